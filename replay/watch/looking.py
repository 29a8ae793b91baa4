"""What a server is asked in one sample: its sessions, and only where one waits for a lock, for whom.

This runs ten times a second beside a server that is under load, where its code is never warm, so it
costs no more than it must: statements go to libpq without a cursor, rows come as the tables of a run have
them, and names of relations are asked for once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8BinaryLoader

from replay.tag import template_of
from replay.waitnames import normal

_ACTIVITY = files(__package__).joinpath("activity.sql").read_text(encoding="utf-8")
_BUSY = _ACTIVITY.replace(
    "{which}",
    "datid = {database} AND (wait_event_type IN ('Lock', 'IPC')"
    " OR (backend_type = 'client backend' AND state <> 'idle'))",
)
_THESE = _ACTIVITY.replace("{which}", "pid = ANY ($1)").encode()
_FIELDS = 6  # of activity.sql
_SEPARATOR, _FOREIGN = "\x1f", "\x1e"  # in its words: between them, and before another's statement
_TOLD = 10_000  # sessions' words that are known apart at most
_BLOCKING = files(__package__).joinpath("blocking.sql").read_text(encoding="utf-8").encode()
_NAMES = b"""
SELECT c.oid::int8, n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])
"""


class Words(NamedTuple):
    """What a session is doing, in the order of the names in runtables.SAMPLES."""

    state: str  # pg_stat_activity's, or the backend's type where it has none
    wait_type: str
    wait: str
    template: str  # "" for a session that is not ours
    text: str  # how its statement begins, where the session is none of the replay's


class Session(NamedTuple):
    """One backend in one sample: the numbers in the order of runtables.SAMPLES, and its words."""

    pid: int  # a parallel worker stands under its leader's
    transaction_age_us: int
    query_age_us: int
    xmin_age: int
    words: Words


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

    # Columns of Session's numbers and its words, for the busy ones: not plainly idle, of this database.
    numbers: Sequence[Sequence[int]]
    words: Sequence[Words]
    waiting: Sequence[Waiting]
    sessions: Mapping[int, Session]  # all that wait or are waited for, by pid; empty where none is


class Looker:
    """Asks one connection, in autocommit mode, that is used for nothing else."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._names: dict[int, str] = {0: ""}
        self._told = _Told()
        # The server's own µs: what makes datetimes of them costs more than all the rest.
        connection.adapters.register_loader("timestamptz", Int8BinaryLoader)
        self._busy = _Question(connection, "replay_busy", _of_database(connection, _BUSY))
        self._blocking = _Question(connection, "replay_blocking", _BLOCKING)
        self._these = _Question(connection, "replay_these", _THESE)
        self._relations = _Question(connection, "replay_relations", _NAMES)

    def look(self) -> Sample:
        """What the server shows at this moment; raises psycopg.Error."""
        self._told.tidy()
        rows = self._busy.rows()
        told = [row[0] for row in rows]
        words = [self._told[one] for one in told]
        if not self._told.unlisted.isdisjoint(told):
            rows = [row for row in rows if row[0] not in self._told.unlisted]
            words = [self._told[row[0]] for row in rows]
        numbers = _numbers(rows)
        if self._told.locked.isdisjoint(told):
            return Sample(numbers=numbers, words=words, waiting=(), sessions={})
        rows = self._blocking.rows()
        self._learn({row[4] for row in rows})
        waiting = [
            Waiting(pid, on, kind, mode, self._names.get(relation, ""), max(now - since, 0), key)
            for pid, on, kind, mode, relation, since, key, now in rows
            if on  # else it has its lock by now
        ]
        sessions = {one[0]: Session(*one) for one in zip(*numbers, words, strict=True)}
        self._add_others(sessions, waiting)
        return Sample(numbers=numbers, words=words, waiting=waiting, sessions=sessions)

    def _add_others(self, sessions: dict[int, Session], waiting: Iterable[Waiting]) -> None:
        """Blockers that are idle, no clients, or in another database."""
        involved = {one.pid for one in waiting}.union(*(one.blockers for one in waiting))
        missing = involved - sessions.keys() - {0}
        if missing:
            rows = self._these.rows(missing)
            words = [self._told[row[0]] for row in rows]
            found = zip(*_numbers(rows), words, strict=True)
            sessions.update((one[0], Session(*one)) for one in found)

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


def _of_database(connection: psycopg.Connection, statement: str) -> bytes:
    """The statement with the database's number, which is dearer to ask for in each sample."""
    asked = "SELECT oid FROM pg_database WHERE datname = current_database()"
    [(number,)] = connection.execute(asked).fetchall()
    return statement.replace("{database}", str(number)).encode()


class _Told(dict[str, Words]):
    """Sessions' words as activity.sql has them, taken apart once: most stand in many samples."""

    def __init__(self) -> None:
        super().__init__()
        self.unlisted: set[str] = set()  # of no client, or of an idle one
        self.locked: set[str] = set()  # of who waits for a lock

    def __missing__(self, told: str) -> Words:
        kind, state, wait_type, wait, statement = told.split(_SEPARATOR, 4)
        ours = not statement.startswith(_FOREIGN)
        text = statement.removeprefix(_FOREIGN)
        if kind != "client backend" or state == "idle":
            self.unlisted.add(told)
        if wait_type == "Lock" or wait == "SafeSnapshot":
            self.locked.add(told)
        words = self[told] = Words(
            state=state or kind,
            wait_type=wait_type,
            wait=normal(wait_type, wait),
            template=template_of(text),
            text="" if ours else text,
        )
        return words

    def tidy(self) -> None:
        """Forget all where it has become much: statements with values in them never come again."""
        if len(self) > _TOLD:
            self.clear()
            self.unlisted.clear()
            self.locked.clear()


def _numbers(rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[int]]:
    """Columns of Session's numbers from rows of activity.sql."""
    _, pid, transaction, query, xmin_age, now = zip(*rows, strict=True) if rows else ((),) * _FIELDS
    at = now[0] if now else 0
    return (
        pid,
        [at - began for began in transaction],
        [at - began for began in query],
        xmin_age,
    )
