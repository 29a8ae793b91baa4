"""What a server is asked in one sample: its sessions, and only where one waits for a lock, for whom.

This runs ten times a second beside a server that is under load, where its code is never warm, so it
costs no more than it must: statements go to libpq without a cursor, rows come as the tables of a run have
them, and names of relations are asked for once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import compress
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8BinaryLoader

from replay.waitnames import normal

_ACTIVITY = files(__package__).joinpath("activity.sql").read_text(encoding="utf-8")
_BUSY = _ACTIVITY.replace(
    "{which}",
    "datid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (wait_event_type IN ('Lock', 'IPC')"
    " OR (backend_type = 'client backend' AND state <> 'idle'))",
).encode()
_THESE = _ACTIVITY.replace("{which}", "pid = ANY ($1)").encode()
_TYPE, _WAIT, _LISTED = 2, 3, 10  # positions among the columns of activity.sql
_BLOCKING = files(__package__).joinpath("blocking.sql").read_text(encoding="utf-8").encode()
_NAMES = b"""
SELECT c.oid::int8, n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])
"""


class Session(NamedTuple):
    """One backend in one sample, in the order of runtables.SAMPLES behind the time."""

    pid: int  # a parallel worker stands under its leader's
    state: str  # pg_stat_activity's, or the backend's type where it has none
    wait_type: str
    wait: str
    template: str  # "" for a session that is not ours
    transaction_age_us: int
    query_age_us: int
    text: str  # how its statement begins, where the session is none of the replay's
    xmin_age: int


class Waiting(NamedTuple):
    """One backend that waits for others."""

    pid: int
    # As pg_blocking_pids has them, repeated, soft ones too; of a row's queue who stands first.
    blockers: Sequence[int]
    lock_type: str
    mode: str
    relation: str  # of the row, where the waiter holds its tuple lock
    wait_us: int  # 0 where the server does not know yet
    key: str = ""  # the row's place, the advisory lock's number, or the object


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look."""

    columns: Sequence[
        Sequence[Any]
    ]  # of Session, for the busy ones: not plainly idle, of this database
    waiting: Sequence[Waiting]
    sessions: Mapping[int, Session]  # all that wait or are waited for, by pid; empty where none is


class Looker:
    """Asks one connection, in autocommit mode, that is used for nothing else."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._names: dict[int, str] = {0: ""}
        # The server's own µs: what makes datetimes of them costs more than all the rest.
        connection.adapters.register_loader("timestamptz", Int8BinaryLoader)
        self._busy = _Question(connection, "replay_busy", _BUSY)
        self._blocking = _Question(connection, "replay_blocking", _BLOCKING)
        self._these = _Question(connection, "replay_these", _THESE)
        self._relations = _Question(connection, "replay_relations", _NAMES)

    def look(self) -> Sample:
        """What the server shows at this moment; raises psycopg.Error."""
        rows = self._busy.rows()
        seen = _turned(rows)
        listed = seen[_LISTED]
        columns = _columns(seen if all(listed) else _turned(compress(rows, listed)))
        if "Lock" not in seen[_TYPE] and "SafeSnapshot" not in seen[_WAIT]:
            return Sample(columns=columns, waiting=(), sessions={})
        rows = self._blocking.rows()
        self._learn({row[4] for row in rows})
        waiting = [
            Waiting(pid, on, kind, mode, self._names.get(relation, ""), max(now - since, 0), key)
            for pid, on, kind, mode, relation, since, key, now in rows
            if on  # else it has its lock by now
        ]
        sessions = self._with_others(columns, waiting)
        return Sample(columns=columns, waiting=waiting, sessions=sessions)

    def _with_others(
        self, columns: Sequence[Sequence[Any]], waiting: Iterable[Waiting]
    ) -> dict[int, Session]:
        """The busy ones, and blockers that are idle, no clients, or in another database."""
        known = {one[0]: Session._make(one) for one in zip(*columns, strict=True)}
        involved = {one.pid for one in waiting}.union(*(one.blockers for one in waiting))
        missing = involved - known.keys() - {0}
        if missing:
            found = _columns(_turned(self._these.rows(missing)))
            known.update((one[0], Session._make(one)) for one in zip(*found, strict=True))
        return known

    def _learn(self, relations: set[int]) -> None:
        unknown = relations - self._names.keys()
        if unknown:
            self._names.update(self._relations.rows(unknown))


class _Question:
    """A statement of at most one parameter, a list of numbers, prepared when it is first asked."""

    def __init__(self, connection: psycopg.Connection, name: str, statement: bytes) -> None:
        self._pgconn = connection.pgconn
        self._name, self._statement = name.encode(), statement
        self._loaders = Transformer(connection)
        self._prepared = False

    def rows(self, *numbers: Iterable[int]) -> list[Any]:
        """The answer; raises psycopg.OperationalError."""
        given = [f"{{{','.join(map(str, some))}}}".encode() for some in numbers]
        if not self._prepared:
            self._require(self._pgconn.prepare(self._name, self._statement))
        answer = self._pgconn.exec_prepared(self._name, given, result_format=Format.BINARY)
        self._require(answer)
        self._loaders.set_pgresult(answer, set_loaders=not self._prepared, format=Format.BINARY)
        self._prepared = True
        return self._loaders.load_rows(0, answer.ntuples, tuple)

    def _require(self, answer: PGresult) -> None:
        if answer.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
            raise psycopg.OperationalError(answer.error_message.decode(errors="replace"))


def _turned(rows: Iterable[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Columns of activity.sql from its rows."""
    return tuple(zip(*rows, strict=True)) or ((),) * (_LISTED + 1)


def _columns(seen: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Columns of sessions from those of activity.sql."""
    pid, state, kind, wait, template, xact, query, text, xmin_age, now, _ = seen
    waits = list(zip(kind, wait, strict=True))
    names = {one: normal(*one) for one in set(waits)}
    at = now[0] if now else 0
    return (
        pid,
        state,
        kind,
        [names[one] for one in waits],
        template,
        [at - began for began in xact],
        [at - began for began in query],
        text,
        xmin_age,
    )
