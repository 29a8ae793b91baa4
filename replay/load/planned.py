"""The load as it is planned: what is due when, before it is written as shards (see `sharding`)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStatement:
    """One statement as it will be sent."""

    template: str
    sql: str  # parameters are $n, literals inline; not yet tagged
    prepared: str | None  # None: simple protocol; "": unnamed; else a named prepared statement
    values: tuple[bytes | None, ...]  # one a parameter, in text form
    gap_us: int = 0  # the client's own time since the answer before; holds locks
    expected_error: str = ""  # SQLSTATE with which it failed in production
    after: tuple[int, ...] = ()  # transactions, by their ident, that have to be over before it


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTransaction:
    """One arrival: when it is due, and what it does."""

    due_us: int  # since the origin
    statements: tuple[PlannedStatement, ...]
    session: str = ""  # one worker drives all of a session; of no session: each in turn
    connect_us: int = 0  # when its session connects, since the origin; the first one's word counts
    client: str = (
        ""  # of no session, but of one client: of one worker, as long as none has too much
    )
    ident: int = -1  # by which others wait for it
    settings: tuple[str, ...] = ()  # statements that set up its connection for it
    # Statements beside requests are of the last worker, which speaks to the database.
    aside: bool = False
    left_out: str = ""  # why it is not replayed at all (see refuse); then it has no statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What was written."""

    transactions: int
    statements: int
    workers: int
    left_out: Mapping[str, int]  # transactions that are not replayed, by reason
    most_sessions: int = 0  # of a recording, open at once; with some `aside`, of these
