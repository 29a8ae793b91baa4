"""Snapshots of pg_stat_statements, and what was counted between two of them.

A snapshot holds fingerprints' texts, never a server's: an entry may hold literals, of utility
statements for example.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import msgspec

from replay import documents
from replay.capture.questions import connected
from replay.capture.source import source_of
from replay.capture.statements import Counted, is_own, read_statements
from replay.errors import InputError
from replay.sql.fingerprint import fingerprint
from replay.workload import Activity, Source

_KIND = "snapshot"
_VERSION = 2
_MADE_BY = "make one with replay snapshot DSN -o FILE"

Key = tuple[int, str]  # query_id, canonical text


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What pg_stat_statements had counted of one database at one moment."""

    source: Source
    taken_us: int  # epoch, by the server's clock
    counted_since_us: int  # epoch; the counters' last reset
    evictions: int  # since then
    entries: tuple[Counted, ...]  # canonical texts, one entry a query_id and text
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was counted between two snapshots."""

    source: Source
    begin_us: int  # epoch
    end_us: int
    entries: tuple[Counted, ...]
    notes: tuple[str, ...]
    activity: tuple[Activity, ...] = ()  # what sessions were at meanwhile, where somebody looked


def take(dsn: str) -> Snapshot:
    """Read the counters over one read-only connection.

    Raises InputError where there are none, EnvironmentFaultError where the server cannot be reached
    or does not answer.
    """
    with connected(dsn) as answers:
        source = source_of(answers)
        counted, counting, notes = read_statements(answers)
    if not counting.now_us or (not counted and notes):
        raise InputError(
            f"{answers.place}: {'; '.join(notes) or 'nothing is counted'}; see replay doctor"
        )
    known = ((entry, fingerprint(entry.text).sql) for entry in counted)
    return Snapshot(
        source=source,
        taken_us=counting.now_us,
        counted_since_us=counting.since_us,
        evictions=counting.evictions,
        entries=_merged(
            replace(entry, text=text) for entry, text in known if not is_own(entry.text, text)
        ),
        notes=notes,
    )


def write(file: Path, snapshot: Snapshot) -> None:
    """Write a snapshot whole, or leave what stood there."""
    documents.write(file, {"kind": _KIND, "version": _VERSION, "snapshot": snapshot})


def read(file: Path) -> Snapshot:
    """Read a snapshot; raises InputError where the file is none."""
    try:
        document = documents.read(file)
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{file}: is no file; {_MADE_BY}") from None
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise InputError(f"{file}: is no snapshot; {_MADE_BY}")
    if document.get("version") != _VERSION:
        raise InputError(f"{file}: has format version {document.get('version')}; {_MADE_BY}")
    try:
        return msgspec.convert(document.get("snapshot"), Snapshot)
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: is no whole snapshot: {error}; {_MADE_BY}") from None


def between(first: Snapshot, last: Snapshot) -> Window:
    """What was counted from the first snapshot to the last.

    Counters that began anew meanwhile, by a reset or an eviction, are taken as they are: their calls
    are the least that there were. Raises InputError where the snapshots are of two databases, or the
    last is not the later one.
    """
    require_same(first.source, last.source)
    if last.taken_us <= first.taken_us:
        raise InputError("the second snapshot is not later than the first: swap them")
    was_reset = last.counted_since_us > first.taken_us
    before = {} if was_reset else {_key(entry): entry for entry in first.entries}
    entries: list[Counted] = []
    anew = 0
    for entry in last.entries:
        known = before.pop(_key(entry), None)
        if known is not None and _began_anew(known, entry, first.taken_us):
            anew += 1
            known = None
        if known is not None:
            entry = replace(entry, counters=entry.counters - known.counters)  # noqa: PLW2901
        entries.append(entry)
    notes = _notes(first, last, was_reset=was_reset, anew=anew, gone=len(before))
    return Window(
        source=last.source,
        begin_us=last.counted_since_us if was_reset else first.taken_us,
        end_us=last.taken_us,
        entries=tuple(entry for entry in entries if entry.counters.calls > 0),
        notes=(*last.notes, *notes),
    )


def require_same(one: Source, other: Source) -> None:
    """Raise InputError where two answers are not of one server's one database."""
    if (one.system_identifier, one.database) != (other.system_identifier, other.database):
        raise InputError(
            f"the counters are of two databases: {one.database!r} on server "
            f"{one.system_identifier}, {other.database!r} on {other.system_identifier}"
        )


def _notes(
    first: Snapshot, last: Snapshot, *, was_reset: bool, anew: int, gone: int
) -> Iterable[str]:
    if was_reset:
        yield (
            "pg_stat_statements was reset between the snapshots: what was counted before that is "
            "missing, and the window begins with the reset"
        )
        return
    evictions = last.evictions - first.evictions
    if evictions > 0:
        yield (
            f"pg_stat_statements evicted entries {evictions} times between the snapshots: templates "
            "that it lacks may exist; raise pg_stat_statements.max"
        )
    if anew or gone:
        yield (
            f"{anew} entries began anew between the snapshots, by eviction or a reset of their own: "
            f"their calls are the least that there were; {gone} are gone, and their calls unknown"
        )


def _began_anew(before: Counted, after: Counted, taken_us: int) -> bool:
    since = after.since_us is not None and after.since_us > taken_us
    return since or after.counters.is_less_than(before.counters)


def _merged(entries: Iterable[Counted]) -> tuple[Counted, ...]:
    """Entries of several users as one."""
    found: dict[Key, list[Counted]] = defaultdict(list)
    for entry in entries:
        found[_key(entry)].append(entry)
    return tuple(
        Counted(
            query_id=key[0],
            text=key[1],
            counters=reduce(add, (entry.counters for entry in same)),
            since_us=min((e.since_us for e in same if e.since_us is not None), default=None),
        )
        for key, same in found.items()
    )


def _key(entry: Counted) -> Key:
    return entry.query_id, entry.text
