"""The records of a block of a stderr log, by columns."""

import re

import numpy as np
import pyarrow as pa

from replay.capture.formats.columns import TEXTS, Broken, Columns, Ints, names
from replay.capture.formats.leads import SEVERITIES, SEVERITY_OF, Kind
from replay.capture.formats.lines import Block, Rows, read
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.reports import CUT_OFF, Reports, joined, last_begun
from replay.capture.formats.spans import Bools, Spans, few, matches, number, renamed, texts
from replay.capture.formats.stamps import Zones, epoch_us, naive_us, offsets_us, told
from replay.capture.formats.texts import Texts

_POSITION = re.compile(rb" at character \d+\Z")
_POSITION_AT_MOST = 24
_VERBOSE = 7  # bytes of `42P01: `
_STATE, _NO_ERROR = re.compile(rb"[0-9A-Z]{5}"), b"00000"
_SEVERITY_OF = np.array(SEVERITY_OF, np.int32)
_LOG = SEVERITIES.index(b"LOG")
_UNKNOWN = {b"[unknown]": b""}


def columns(raw: memoryview, prefix: Prefix, zones: Zones) -> Columns:
    """The records of a block, and what in it is none."""
    block = read(raw, prefix)
    kinds, size = block.kinds, len(raw)
    broken: tuple[Broken, ...] = ()
    if len(kinds) and not block.whole:
        kept = last_begun(kinds)
        kinds, size = kinds[:kept], int(block.lines.begin[kept])
        broken = (Broken(offset=size, reason=CUT_OFF, cut_off=True),)
    reports = joined(block.lines.begin[: len(kinds)], size, kinds, _process(block, len(kinds)))
    rows = Rows(block, reports.records)
    message = Spans(block.heads.text[rows.lines], block.lines.end[rows.lines])
    severity = _SEVERITY_OF[block.heads.lead[rows.lines]]
    state, message = _verbose(rows, message, severity == _LOG)
    database, user = renamed(rows.names("d"), _UNKNOWN), renamed(rows.names("u"), _UNKNOWN)
    return Columns(
        begin=block.lines.begin[rows.lines],
        end=reports.ends,
        at_us=_at_us(rows, prefix, zones),
        session=_sessions(rows),
        line_num=rows.number("l"),
        query_id=rows.number("Q"),
        user=user,
        database=database,
        application=renamed(rows.names("a"), _UNKNOWN),
        backend_type=_backend_types(rows, prefix),
        severity=names(severity, SEVERITIES),
        sqlstate=state,
        message=texts(
            block.buffer, _unplaced(block, message, severity != _LOG), block.several[rows.lines]
        ),
        detail=_said(block, reports, Kind.DETAIL),
        context=_said(block, reports, Kind.CONTEXT),
        statement=_said(block, reports, Kind.STATEMENT),
        broken=reports.broken + broken,
    )


def _process(block: Block, count: int) -> Ints | None:
    """Something that tells the process of each line; None where the prefix has no such."""
    fields = block.heads.fields
    if "p" in fields:
        return number(block.buffer, fields["p"].of(np.arange(count)))
    if "c" in fields:
        known = few(block.buffer, fields["c"].of(np.arange(count)))
        return np.asarray(known.indices.to_numpy(), np.int64)
    return None


def _sessions(rows: Rows) -> pa.DictionaryArray:
    if rows.has("c") or not rows.has("p"):
        return rows.names("c")
    encoded = pa.array(rows.number("p")).dictionary_encode()
    pids = [b"0.%x" % pid for pid in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(pids, TEXTS))


def _backend_types(rows: Rows, prefix: Prefix) -> pa.DictionaryArray:
    """As %b has it; without it `background` for what is of no session."""
    if rows.has("b"):
        return renamed(rows.names("b"), {})
    background = np.zeros(rows.count, np.bool_)
    beyond_q = prefix.beyond_q
    if beyond_q:
        background = rows.field(beyond_q).end == 0
    elif rows.has("u") and rows.has("d"):
        user, database = rows.field("u"), rows.field("d")
        background = (user.begin == user.end) & (database.begin == database.end)
    return names(background.astype(np.int32), [b"", b"background"])


def _at_us(rows: Rows, prefix: Prefix, zones: Zones) -> Ints:
    block = rows.block
    if not prefix.stamp or not rows.count:
        return np.zeros(rows.count, np.int64)
    field = rows.field(prefix.stamp)
    if prefix.stamp == "n":
        return epoch_us(block.buffer, field)
    at_us = naive_us(block.buffer, field.begin, millis=prefix.stamp == "m")
    zones = zones.knowing(_zones_told(rows))
    zone = Spans(field.begin + (24 if prefix.stamp == "m" else 20), field.end)
    return at_us - offsets_us(block.buffer, zone, at_us, zones)


def zones_told(raw: bytes, prefix: Prefix) -> tuple[tuple[bytes, int], ...]:
    """What a piece of a log tells of its zones, in seconds ahead of UTC."""
    block = read(raw, prefix)
    return _zones_told(Rows(block, np.flatnonzero(block.kinds == Kind.RECORD)))


def _zones_told(rows: Rows) -> tuple[tuple[bytes, int], ...]:
    if not (rows.has("s") and rows.has("c")):
        return ()
    return told(rows.block.buffer, rows.field("s"), rows.field("c"))


def _verbose(rows: Rows, message: Spans, is_log: Bools) -> tuple[pa.DictionaryArray, Spans]:
    """SQLSTATE, and messages without it, where log_error_verbosity = verbose writes `42P01: no x`.

    Sessions may have it each their own way: a block without `LOG:  00000: ` has none that does.
    """
    buffer, begin = rows.block.buffer, message.begin
    held = (message.end - begin >= _VERBOSE) & matches(buffer, begin + 5, b": ")
    if not (held.any() and (held & is_log & matches(buffer, begin, _NO_ERROR)).any()):
        return rows.names("e"), message
    ahead = few(buffer, Spans(begin, np.where(held, begin + 5, begin)))
    states = ahead.dictionary.to_pylist()
    is_state = np.array([bool(_STATE.fullmatch(state)) for state in states], np.bool_)
    held &= is_state[ahead.indices.to_numpy()]
    ends = np.where(held, begin + 5, begin)
    told = Spans(begin, ends)
    if rows.has("e"):
        field = rows.field("e")
        told = Spans(np.where(held, begin, field.begin), np.where(held, ends, field.end))
    return few(buffer, told), Spans(np.where(held, begin + _VERBOSE, begin), message.end)


def _unplaced(block: Block, message: Spans, errors: Bools) -> Spans:
    """Errors' messages without the place in the statement, which the other formats keep apart."""
    end = message.end.copy()
    for row in np.flatnonzero(errors).tolist():
        begin = max(int(message.begin[row]), int(end[row]) - _POSITION_AT_MOST)
        found = _POSITION.search(block.buffer[begin : end[row]].tobytes())
        if found:
            end[row] = begin + found.start()
    return Spans(message.begin, end)


def _said(block: Block, reports: Reports, kind: Kind) -> Texts:
    """The text of the records' lines of a kind."""
    count = len(reports.records)
    lines = np.flatnonzero((block.kinds[: len(reports.owner)] == kind) & (reports.owner >= 0))
    said = Spans(np.zeros(count, np.int64), np.zeros(count, np.int64))
    several = np.zeros(count, np.bool_)
    owner = reports.owner[lines]
    said.begin[owner], said.end[owner] = block.heads.text[lines], block.lines.end[lines]
    several[owner] = block.several[lines]
    return texts(block.buffer, said, several)
