"""What production did, as frozen values: templates, kept transactions, their statements.

These types are the meeting place of all stages. `bundle.py` writes and reads them.

A *slot* is a place in a statement that takes a value: a bound parameter or an inline literal.
A template's `sql` shows parameters as `$n` and literals as `?`, with IN and VALUES lists folded.
A statement's `sql` is whole again: every slot is a `$n` (parameters keep their numbers, literals
are numbered on from there in order of appearance), so that it can be parsed, planned and replayed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What pg_stat_statements counted of a statement, all exact; blocks are PostgreSQL's, of 8 kB.

    A figure is None where the extension's version does not have it.
    """

    calls: int  # those that ended without an error
    total_ms: float  # execution alone, without planning
    rows: int  # returned or written
    shared_hit: int = 0  # blocks of tables and indexes that were in shared_buffers
    shared_read: int = 0
    shared_dirtied: int = 0
    shared_written: int = 0
    temp_read: int = 0  # blocks of sorts and hashes that did not fit in work_mem
    temp_written: int = 0
    read_ms: float = 0.0  # waited for shared blocks; 0 where track_io_timing is off
    write_ms: float = 0.0
    wal_bytes: int | None = None

    def __add__(self, other: "Counters") -> "Counters":
        return self._each(other, lambda mine, theirs: mine + theirs)

    def __sub__(self, other: "Counters") -> "Counters":
        """What was counted since `other`; float dust below 0 is 0."""
        return self._each(other, lambda mine, theirs: max(mine - theirs, 0))

    def is_less_than(self, other: "Counters") -> bool:
        """Whether any count is: counts only grow, so these began anew since `other`.

        Times are left out: sums of them differ by the order of summing.
        """
        return any(
            mine is not None and theirs is not None and mine < theirs
            for name, (mine, theirs) in self._beside(other).items()
            if not name.endswith("_ms")
        )

    def _each(self, other: "Counters", combine: Callable[[float, float], float]) -> "Counters":
        return Counters(
            **{
                name: None if mine is None or theirs is None else combine(mine, theirs)
                for name, (mine, theirs) in self._beside(other).items()
            }  # type: ignore[arg-type]
        )

    def _beside(self, other: "Counters") -> Mapping[str, tuple[float | None, float | None]]:
        return {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One statement shape and its exact figures over the captured window."""

    id: str  # 16 hex digits, from the fingerprint of the text
    sql: str  # canonical text: parameters $n, literals ?, lists folded
    kind: str  # select, insert, update, delete, merge, begin, commit, rollback, savepoint, set, copy, other
    tables: tuple[str, ...]  # as written in the statement, schema-qualified where it is
    calls: int  # exact, unsampled; errors included
    errors: int  # exact
    total_ms: float  # exact, of the calls that ended without an error
    histogram: tuple[tuple[int, int], ...] = ()  # (bucket, calls): see duration_bucket
    calls_per_slice: tuple[
        tuple[int, int], ...
    ] = ()  # (slice number, calls), slice width in the manifest; below 0: failed before the window
    first_seen: datetime | None = None  # aware; None where only pg_stat_statements knows it
    last_seen: datetime | None = None
    kept: int = 0  # kept executions: how many statements of the sample have this template
    rare: bool = False  # see capture.rarity
    source: str = "log"  # log, statements (pg_stat_statements) or both
    query_ids: tuple[tuple[int, int], ...] = ()  # (server's query_id, calls)
    counted: Counters | None = None  # by pg_stat_statements, where it knows the template
    error_states: tuple[tuple[str, int], ...] = ()  # (SQLSTATE, calls that failed with it)
    # Routes of the service that ran it, and the share of its calls, most first.
    routes: tuple[tuple[str, float], ...] = ()
    routes_by: str = ""  # comment, trace, request id, time: how they are known
    routes_sure: float = 0.0  # 0 … 1

    @property
    def routes_known(self) -> str:
        """How its routes are known, and how surely where that is in doubt."""
        is_sure = not self.routes_by or self.routes_sure >= 1
        return self.routes_by if is_sure else f"{self.routes_by}, {self.routes_sure:.0%} sure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One execution inside a kept transaction."""

    template: str
    sql: str  # whole, every slot a $n (see the module's docstring)
    slots: str  # a letter a slot: p bound parameter, s string, n number, b bit string literal
    values: tuple[str | None, ...]  # one a slot, in PostgreSQL's text form, scrubbed; None is NULL
    prepared: (
        str | None
    )  # None: simple protocol; "": unnamed; else the name of the prepared statement
    offset_us: int  # start, since the transaction's start
    duration_us: int
    error: str = ""  # SQLSTATE where it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A kept unit: a whole transaction, or an autocommit statement, with its weight.

    `weight` is how many of production's transactions it stands for: the sum over the kept ones
    of a template estimates that template's calls.
    """

    id: int  # position in transactions.parquet, in order of start
    session: str  # keyed token of the session's id
    start_us: int  # since the window's begin; 0 where it began before, with a failure
    weight: float
    shape: str  # 16 hex digits over the sequence of template ids
    statements: tuple[Statement, ...]
    untold: tuple[str, ...] = ()  # templates of executions whose values the log does not tell
    priority: int = 0  # of the sample: uniform below 2**64
    # Probability that the server logged it, by which the weight is divided; above 1 for what is logged in
    # any case and is partly told by transactions that were drawn (see capture.fragments).
    logged: float = 1.0
    early_us: int = 0  # how long before the window it began
    session_us: int | None = (
        None  # when its session began, as start_us, to the second; None: unknown
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Production's own evidence of contention: lines of its log of one kind, counted together.

    The server may tell of one event twice, so kinds are never summed. `log_lock_waits` tells of a wait
    of deadlock_timeout (waiting) and of its end (acquired, failed, or detected: a deadlock), or that
    the queue was rearranged (avoided); `log_lock_failures` of a lock not to be had at once
    (unobtained). A failed statement tells of a deadlock, a timeout (lock_timeout), a lock refused
    (NOWAIT), or that it was cancelled while it waited for a row.
    A conflict of nothing but a kind counts those that found no room of their own.
    """

    kind: str  # waiting, acquired, failed, avoided, detected, unobtained; deadlock, timeout, refused, cancelled
    template: str  # id of the statement that waited or failed; empty where the log does not say
    peers: tuple[str, ...]  # ids of the other statements of a deadlock, sorted
    lock: str  # ShareLock, ExclusiveLock, AccessExclusiveLock …; empty where not said
    on: str  # transaction, tuple, relation, extension, advisory lock …; empty where not said
    relation: str  # its name, where the log gives it
    count: int
    total_ms: float  # waited until the line, in all; 0 for statements that failed
    longest_ms: float
    most_queued: int  # longest wait queue told
    first_seen: datetime  # aware
    last_seen: datetime
    told: tuple[str, ...] = ()  # the peers as the log tells them, sorted: a cut text is no template
    told_sql: tuple[str, ...] = ()  # canonical text of each; empty where it is known or not cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What production's sessions were at, as looks at pg_stat_activity saw it; the idle are left out."""

    state: str  # active, idle in transaction …
    wait_type: str  # Lock, LWLock, IO …; empty: it waited for nothing
    wait: str  # the event, as PostgreSQL 18 names it
    template: str  # id of what it ran, or ran last; empty where its text was cut off
    sessions: float  # so many on average, at a moment of the window


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place of a stratum of the sample: one of the k smallest ranks, or the next one, τ."""

    group: str  # template, error, slowest, bucket, shape, request
    stratum: str  # template id; the same and an SQLSTATE; number of the time bucket; hash of the shape; priority of a kept request
    rank: int  # below 2**64
    transaction: int | None  # id; None where the sample does not hold it, as a τ may be


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Input that was passed over for one reason."""

    reason: str
    count: int
    first: str  # file:line of the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The production server behind the capture, as far as it was asked (`--stats DSN`).

    `others` are those of a merged workload's other parts, without settings.
    """

    server_version: str = ""
    database: str = ""
    system_identifier: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    others: tuple["Source", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the workload is, where it comes from, and what it is not."""

    tool_version: str
    format: str  # jsonlog, …: how the input was read
    inputs: tuple[str, ...]  # base names of the files read
    begin: datetime  # first start in the window, aware
    end: datetime  # last end
    slice_s: float  # width of a slice of calls_per_slice
    seed: int
    per_stratum: int  # k of the bottom-k sample
    everything: bool = False  # there is no sample: every transaction of the log is kept
    scrub: Mapping[str, str]  # policy, by kind of value; never the key
    records: int  # log records read
    executions: int  # statements executed, of every template
    transactions: int  # units seen; kept ones stand in transactions.parquet
    sessions: int
    skipped: tuple[Skip, ...] = ()
    complete: bool = True  # False: the capture was stopped, or an input broke off
    notes: tuple[str, ...] = ()  # what a reader should know: evictions, truncation …
    peak_concurrency: int = 0  # statements in flight at once, at most
    bucket_s: int = 1  # width of the sample's time buckets, which are numbered from 1970
    key_id: str = ""  # of the scrub key: equal where tokens are; never the key
    source: Source = field(default_factory=Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What a session had set before the window began, and had in force when it did."""

    session: str  # as its transactions have it
    statements: tuple[str, ...]  # that set it, one a setting, in the order in which they ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload in memory: all that `NAME.workload/` holds but the schema's profile."""

    manifest: Manifest
    templates: Sequence[Template]  # by calls, most first
    transactions: Sequence[Transaction]  # by start
    conflicts: tuple[Conflict, ...] = ()  # by count, most first
    places: Sequence[Place] = ()  # of the sample, by group, stratum and rank
    activity: tuple[Activity, ...] = ()  # most sessions first; none where nobody looked
    standing: tuple[
        SessionSettings, ...
    ] = ()  # of a capture with a --window, as far as the log tells

    @property
    def window_s(self) -> float:
        """Length of the captured window, in seconds; never 0."""
        return max((self.manifest.end - self.manifest.begin).total_seconds(), 1e-3)

    def template(self, template_id: str) -> Template:
        """The template of that id; KeyError where the workload has none."""
        for template in self.templates:
            if template.id == template_id:
                return template
        raise KeyError(template_id)


def duration_bucket(duration_us: int) -> int:
    """Histogram bucket of a duration, eight to each doubling: 8 w + s begins at 2**w (1 + s/8) µs."""
    value = max(duration_us, 1)
    whole = value.bit_length() - 1
    return whole * 8 + ((value << 3) >> whole) - 8
