"""A release's migration, run in the middle of the load on a connection of its own.

It runs as psql would run the file: one statement after the other by the simple protocol, each in
its own implicit transaction unless the file says BEGIN, until one fails. So lock_timeout, SET LOCAL
and CONCURRENTLY mean what they mean in the release.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from types import TracebackType
from typing import Self

import psycopg

from replay import target
from replay.errors import InputError, ReplayError
from replay.outcome import CANCELLED, LOST, OK
from replay.sql.fingerprint import fingerprint
from replay.sql.split import statements
from replay.tag import MIGRATION_APPLICATION, tagged

log = logging.getLogger(__name__)

_CANCEL_S = 5.0
_QUERY_CANCELED = "57014"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement of the file."""

    line: int
    sql: str
    template: str  # id by which samples name it
    shape: str  # canonical text: parameters and literals taken out


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A migration's file."""

    name: str  # base name
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A statement that was sent; times are CLOCK_MONOTONIC ns."""

    round: int
    step: Step
    pid: int  # of the session
    began_ns: int
    ended_ns: int
    outcome: str  # see outcome.py
    error: str  # what the server said


def read_script(path: Path) -> Script:
    """Read a migration; raises InputError where there is none in the file, or psql is needed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 ({error.reason}); save it as that") from None
    steps = tuple(_step(path, line, sql) for line, sql in statements(text))
    if not steps:
        raise InputError(f"{path}: holds no statement")
    return Script(name=path.name, steps=steps)


def _step(path: Path, line: int, sql: str) -> Step:
    what = fingerprint(sql)
    if sql.startswith("\\"):
        raise InputError(
            f"{path}:{line}: {sql.splitlines()[0]} is for psql, not for the server; "
            "write it as SQL, or take it out"
        )
    if what.kind == "copy" and "from stdin" in what.sql:
        raise InputError(f"{path}:{line}: COPY FROM STDIN has its data nowhere; use INSERT")
    return Step(line=line, sql=sql, template=what.id, shape=what.sql)


class During:
    """Runs a script in the background; over a `with` block it has a connection from the start."""

    def __init__(self, script: Script, dsn: str, *, at_s: float, repeat: int) -> None:
        """It begins `at_s` after the origin, and again as long after each end."""
        self._script = script
        self._connect = target.connector(dsn, application_name=MIGRATION_APPLICATION)
        self._at_ns = round(at_s * 1e9)
        self._repeat = repeat
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection | None = None
        self._ran: list[Ran] = []

    def __enter__(self) -> Self:
        self._connection = self._connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, origin_ns: int) -> None:
        """Begin to wait for its time."""
        self._thread = threading.Thread(
            target=self._run, args=(origin_ns,), name="migration", daemon=True
        )
        self._thread.start()

    def stop(self) -> tuple[Ran, ...]:
        """End it, cancelling what is under way; gives what was sent."""
        self._over.set()
        if self._thread is not None and self._thread.is_alive():
            self._cancel()
            self._thread.join(_CANCEL_S)
        if self._connection is not None:
            self._connection.close()
        return tuple(self._ran)

    def _cancel(self) -> None:
        if self._connection is not None and not self._connection.closed:
            try:
                self._connection.cancel_safe(timeout=_CANCEL_S)
            except psycopg.Error as error:
                log.warning("the migration could not be cancelled: %s", error)

    def _run(self, origin_ns: int) -> None:
        due_ns = origin_ns + self._at_ns
        for number in range(1, self._repeat + 1):
            if self._over.wait(max(due_ns - monotonic_ns(), 0) / 1e9):
                return
            for ran in self._round(number):
                self._ran.append(ran)
            due_ns = monotonic_ns() + self._at_ns

    def _round(self, number: int) -> Iterator[Ran]:
        """The file once, up to its end or to what fails, on a fresh session."""
        connection = self._connection
        try:
            if connection is None:
                connection = self._connection = self._connect()
            for step in self._script.steps:
                if self._over.is_set():
                    return
                ran = self._ran_on(connection, number, step)
                yield ran
                if ran.outcome != OK:
                    log.warning(
                        "%s:%d: %s: %s", self._script.name, step.line, ran.outcome, ran.error
                    )
                    return
        except (psycopg.Error, ReplayError) as error:
            log.warning("the migration got no connection: %s", error)
        finally:
            if connection is not None:
                connection.close()
            self._connection = None

    def _ran_on(self, connection: psycopg.Connection, number: int, step: Step) -> Ran:
        outcome, said = OK, ""
        pid = connection.info.backend_pid
        began = monotonic_ns()
        try:
            connection.execute(tagged(step.sql, step.template).encode())
        except psycopg.Error as error:
            outcome, said = self._refused(error)
        return Ran(
            round=number,
            step=step,
            pid=pid,
            began_ns=began,
            ended_ns=monotonic_ns(),
            outcome=outcome,
            error=said,
        )

    def _refused(self, error: psycopg.Error) -> tuple[str, str]:
        said = error.diag.message_primary or str(error).strip()
        if error.sqlstate == _QUERY_CANCELED and self._over.is_set():
            return CANCELLED, "it was still under way when the load had ended"
        return error.sqlstate or LOST, said
