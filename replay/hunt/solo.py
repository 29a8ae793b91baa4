"""Solo profiles: each path's kept transactions, run alone, a few times, and rolled back.

What is measured is what the model asks for: seconds of the server and of the connection, and the
locks that `pg_locks` shows at the end of the transaction. Where the server is on this machine its
process's CPU time tells work from waiting (a sleep, the disk); elsewhere all time counts as work.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from replay.bind import Binder
from replay.load import refuse
from replay.sql.slots import render
from replay.workload import Statement, Transaction

_REPEATS = 4
_ENOUGH_S = 0.6  # of measuring; one execution at least
_CUSTOM = (
    12  # executions of a prepared statement: after the fifth the server may take a generic plan
)
_TRIPS = 20
_TIMEOUT_MS = 10_000
_LOCK_TIMEOUT_MS = 2000
_CONTROL = frozenset({"begin", "commit", "rollback"})
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_LOCKS = b"""
SELECT l.locktype, l.mode,
       CASE l.locktype
           WHEN 'relation' THEN 'table ' || n.nspname || '.' || c.relname
           ELSE 'advisory ' || l.classid || '/' || l.objid || '/' || l.objsubid
       END
FROM pg_locks l
LEFT JOIN pg_class c ON c.oid = l.relation
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted
  AND (l.locktype = 'advisory' OR (l.locktype = 'relation' AND c.relkind IN ('r', 'p')
       AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'replay')))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo:
    """What one kept transaction did alone; seconds."""

    transaction: int  # id
    statements_s: tuple[float, ...]  # of each, the median of all executions; 0 for control
    gaps_s: tuple[float, ...]  # the client's time before each
    cpu_share: float  # of the statements' time in which the server worked
    trip_s: float = 0.0  # of each statement's time, what any round trip takes
    locks: tuple[tuple[str, str], ...] = ()  # (target, mode) at its end
    leaked: tuple[str, ...] = ()  # targets held after it
    failed: str = ""  # SQLSTATE that production did not have here

    @property
    def elapsed_s(self) -> float:
        """Seconds that it occupies a connection."""
        return sum(self.statements_s) + sum(self.gaps_s)

    @property
    def demand_s(self) -> float:
        """Seconds of the server; a tenth of a statement's time at least, however short."""
        worked = (max(took - self.trip_s, took / 10) for took in self.statements_s)
        return sum(worked) * self.cpu_share

    def hold_s(self, position: int) -> float:
        """From the beginning of a statement to the transaction's end."""
        return sum(self.statements_s[position:]) + sum(self.gaps_s[position + 1 :])


class Soloist:
    """Runs kept transactions alone on one connection in autocommit mode."""

    def __init__(self, connection: psycopg.Connection, binder: Binder, seed: int) -> None:
        self._connection = connection
        self._binder = binder
        self._rng = np.random.default_rng([seed, 77])
        self._cpu = _Cpu(connection)
        self._trip_s = _trip_s(connection)
        self._prepared: dict[bytes, bytes] = {}  # SQL as sent -> name
        self._settled: set[str] = set()  # SQL of prepared statements
        connection.execute(f"SET statement_timeout = {_TIMEOUT_MS}".encode())
        connection.execute(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}".encode())

    def profile(self, transaction: Transaction) -> Solo | None:
        """Run it a few times; None where it holds a statement that is never replayed."""
        if not transaction.statements or refuse.first_reason(transaction.statements):
            return None
        # At first it reads what is not cached yet, and what was prepared has not the plan that stays.
        anew = {s.sql for s in transaction.statements if s.prepared} - self._settled
        self._settled |= anew
        settling, enough_s = (_CUSTOM, 2 * _ENOUGH_S) if anew else (1, _ENOUGH_S)
        took: list[list[float]] = []
        locks: tuple[tuple[str, str], ...] = ()
        leaked: tuple[str, ...] = ()
        failed = ""
        cpu_before, began = self._cpu.seconds(), time.monotonic()
        while len(took) < settling + _REPEATS:
            if took and time.monotonic() - began > enough_s:
                break
            seconds, locks, failed = self._once(transaction)
            took.append(seconds)
            leaked = self._leftovers()
            if failed:
                break
        spent = sum(map(sum, took))
        return Solo(
            transaction=transaction.id,
            statements_s=tuple(np.median(np.array(took[settling:] or took[-1:]), axis=0).tolist()),
            gaps_s=tuple(_gaps(transaction.statements)),
            cpu_share=self._cpu.share(cpu_before, spent),
            trip_s=self._trip_s,
            locks=locks,
            leaked=leaked,
            failed=failed,
        )

    def _once(
        self, transaction: Transaction
    ) -> tuple[list[float], tuple[tuple[str, str], ...], str]:
        bound = self._binder.bind(transaction, self._rng)
        seconds: list[float] = []
        locks: tuple[tuple[str, str], ...] = ()
        failed = ""
        self._connection.execute("BEGIN")
        try:
            for statement, values in zip(transaction.statements, bound, strict=True):
                seconds.append(self._run(statement, values))
            locks = tuple(
                dict.fromkeys(
                    (target, mode) for _, mode, target in self._connection.execute(_LOCKS)
                )
            )
        except psycopg.Error as error:
            state = error.sqlstate or "08006"
            failed = "" if state == statement.error else state
            seconds += [0.0] * (len(transaction.statements) - len(seconds))
        finally:
            if not self._connection.closed:
                self._connection.execute("ROLLBACK")
        return seconds, locks, failed

    def _run(self, statement: Statement, values: tuple[str | None, ...]) -> float:
        if _is_control(statement.sql):
            return 0.0
        sql, parameters = render(statement.sql, statement.slots, values)
        if statement.prepared:
            return self._run_prepared(sql.encode(), parameters)
        began = time.monotonic()
        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(sql.encode(), parameters or None, prepare=False)
        return time.monotonic() - began

    def _run_prepared(self, sql: bytes, parameters: Sequence[str | None]) -> float:
        """By libpq itself: psycopg forgets what it has prepared with every ROLLBACK."""
        server = self._connection.pgconn
        name = self._prepared.get(sql)
        if name is None:
            name = b"replay_solo_%d" % len(self._prepared)
            _require(self._connection, server.prepare(name, sql))
            self._prepared[sql] = name
        given = [None if value is None else value.encode() for value in parameters]
        values = cast("Sequence[bytes]", given)  # NULL is None, which the declared type leaves out
        began = time.monotonic()
        _require(self._connection, server.exec_prepared(name, values))
        return time.monotonic() - began

    def _leftovers(self) -> tuple[str, ...]:
        """Locks that outlived the transaction; they are given back."""
        if self._connection.closed:
            return ()
        held = tuple(target for _, _, target in self._connection.execute(_LOCKS))
        if held:
            self._connection.execute("SELECT pg_advisory_unlock_all()")
        return held


def _require(connection: psycopg.Connection, result: PGresult) -> None:
    """Raise the server's error, if that is what it answered."""
    if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        raise psycopg.errors.error_from_result(result, connection.info.encoding)


def _trip_s(connection: psycopg.Connection) -> float:
    """What a statement takes that does nothing."""
    took = []
    for _ in range(_TRIPS):
        began = time.monotonic()
        with psycopg.RawCursor(connection) as cursor:
            cursor.execute(b"SELECT 1", prepare=False)
        took.append(time.monotonic() - began)
    return float(np.median(took))


def _is_control(sql: str) -> bool:
    words = sql.split(None, 1)
    return not words or words[0].lower().rstrip(";") in _CONTROL | {"start", "end", "abort"}


def _gaps(statements: Sequence[Statement]) -> Iterator[float]:
    answered_us = 0
    for number, statement in enumerate(statements):
        yield max(statement.offset_us - answered_us, 0) / 1e6 if number else 0.0
        answered_us = statement.offset_us + statement.duration_us


class _Cpu:
    """CPU seconds of a connection's server process, where it runs on this machine (Linux)."""

    def __init__(self, connection: psycopg.Connection) -> None:
        host = connection.info.host or ""
        process = Path(f"/proc/{connection.info.backend_pid}")
        local = host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"}
        try:
            ours = local and b"postgres" in (process / "cmdline").read_bytes()
        except OSError:
            ours = False
        self._file = process / "stat" if ours else None

    def seconds(self) -> float | None:
        """User and system time until now; None where it cannot be known."""
        if self._file is None:
            return None
        fields = self._file.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def share(self, before: float | None, spent_s: float) -> float:
        """Part of the time spent since then that was work; 1 where it is not known."""
        now = self.seconds()
        # The kernel counts ticks of 10 ms: of less than a few nothing can be said.
        if before is None or now is None or spent_s < 10 / _TICK:
            return 1.0
        return min(max((now - before) / spent_s, 0.02), 1.0)
