"""An incident as frozen values: its traffic, how it is replayed, what must be found, what ends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """How a request's value is drawn, anew for each request.

    A whole number between `low` and `high`, the low ones the likelier the higher the skew (1: all
    alike); shown by `text`, whose `{}` it fills, as it is or as its MD5; or one of `choice`; or
    `length` different draws as a list.
    """

    low: int = 0
    high: int = 0
    skew: float = 1.0
    text: str = ""
    md5: bool = False
    choice: tuple[str | int, ...] = ()
    length: int = 0  # of the list; 0: no list
    sorted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement of a request; values stand in it as %(name)s."""

    sql: str
    name: str = ""  # by which expectation and boost call its template; that of the request if empty
    pause_ms: float = 0.0  # the client's own time before it
    repeat: int = 1
    prepare: bool | None = None  # None: as psycopg does, from the sixth execution on a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one kind of client call does."""

    name: str
    steps: tuple[Step, ...]
    rate: float = 0.0  # a second, Poisson
    calls: int = 0  # instead: so many, spread evenly over the window
    transaction: str = ""  # empty: each step commits by itself; else what follows BEGIN, or "plain"
    may_fail: tuple[str, ...] = ()  # SQLSTATEs that production lives with


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Production's clients."""

    seconds: float = 15.0
    connections: int = 16
    seed: int = 1
    program: str = ""  # a program in the folder, in the place of requests
    requests: tuple[Request, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How staging is made to show it."""

    rate: float = 1.0
    boost: Mapping[str, float] = field(default_factory=dict)  # name, or "rare" -> factor
    duration_s: float = 10.0
    pool: int = 20
    during_at_s: float = 3.0  # when migration.sql begins, where there is one, and then again
    during_repeat: int = 1  # how often it runs, so long after its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The finding that must come first."""

    rule: int
    templates: tuple[str, ...]  # ids, all of which it must name
    one_of: tuple[str, ...] = ()  # and one of these: a release of several statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One folder."""

    folder: Path
    title: str
    source: str  # where it is told
    story: str
    traffic: Traffic
    fixed_traffic: Traffic | None  # of the application with the fix; None: the fix is SQL alone
    replay: Replay
    expects: Expectation
    names: Mapping[str, tuple[str, ...]]  # request or step -> template ids

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    def script(self, name: str) -> str:
        """Text of one of its SQL files; empty where it has none."""
        file = self.folder / name
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def migration(self, *, fixed: bool) -> Path | None:
        """The release that runs in the middle of the replay, as it was or done right."""
        names = ("migration_fixed.sql", "migration.sql") if fixed else ("migration.sql",)
        return next((self.folder / n for n in names if (self.folder / n).is_file()), None)
