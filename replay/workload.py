"""What production did, as frozen values: templates, kept transactions, their statements.

These types are the meeting place of all stages. `bundle.py` writes and reads them.

A *slot* is a place in a statement that takes a value: a bound parameter or an inline literal.
A template's `sql` shows parameters as `$n` and literals as `?`, with IN and VALUES lists folded.
A statement's `sql` is whole again: every slot is a `$n` (parameters keep their numbers, literals
are numbered on from there in order of appearance), so that it can be parsed, planned and replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


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
    ] = ()  # (slice number, calls), slice width in the manifest
    first_seen: datetime | None = None  # aware; None where only pg_stat_statements knows it
    last_seen: datetime | None = None
    kept: int = 0  # kept executions: how many statements of the sample have this template
    rare: bool = False  # see capture.rarity
    source: str = "log"  # log, statements (pg_stat_statements) or both
    query_ids: tuple[tuple[int, int], ...] = ()  # (server's query_id, calls)
    rows: int | None = None  # pg_stat_statements, where it knows


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
    start_us: int  # since the window's begin
    weight: float
    shape: str  # 16 hex digits over the sequence of template ids
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Input that was passed over for one reason."""

    reason: str
    count: int
    first: str  # file:line of the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The production server behind the capture, as far as it was asked (`--stats DSN`)."""

    server_version: str = ""
    database: str = ""
    system_identifier: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


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
    scrub: Mapping[str, str]  # policy, by kind of value; never the key
    records: int  # log records read
    executions: int  # statements executed, of every template
    transactions: int  # units seen; kept ones stand in transactions.parquet
    sessions: int
    skipped: tuple[Skip, ...] = ()
    complete: bool = True  # False: the capture was stopped, or an input broke off
    notes: tuple[str, ...] = ()  # what a reader should know: evictions, truncation …
    peak_concurrency: int = 0  # statements in flight at once, at most
    source: Source = field(default_factory=Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload in memory: all that `NAME.workload/` holds but the schema's profile."""

    manifest: Manifest
    templates: tuple[Template, ...]  # by calls, most first
    transactions: tuple[Transaction, ...]  # by start

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
