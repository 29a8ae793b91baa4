"""What kept units' records say: read from their bytes once more, by the format they came in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from replay.capture.english import in_english
from replay.capture.executions import Mask
from replay.capture.formats.columns import Columns
from replay.capture.formats.texts import Texts
from replay.capture.kernels import ONE, ZERO, Bytes, Ints, Number, compiled
from replay.capture.messages import decoded, parameters
from replay.capture.registry import Registry
from replay.capture.stored import Batch
from replay.capture.words import is_at, put

_FAILURES = frozenset({b"ERROR", b"FATAL", b"PANIC"})
_FIELDS = ("message", "detail", "context", "statement")
_MESSAGE, _DETAIL, _CONTEXT, _STATEMENT = range(len(_FIELDS))
_NO_NAME = -1  # simple protocol
_DURATION, _TIMED, _STATEMENT_IS = (
    np.frombuffer(word, np.uint8) for word in (b"duration: ", b" ms  ", b"statement: ")
)
_UNNAMED = np.frombuffer(b"<unnamed>", np.uint8)


class Told(NamedTuple):
    """What the records of n executions tell of their calls: where it stands in the data, in UTF-8."""

    data: Bytes
    sql: Ints  # begins and ends, (n, 2)
    prepared: Ints  # the same of names; begins below 0 for the simple protocol; "": unnamed
    parameters: Ints  # the same of texts that list them
    is_failed: Mask


def retold(batch: Batch, registry: Registry) -> Told:
    """What a batch's records tell, by execution."""
    # A record and, at odd places, the record of a failed one's call.
    data, fields, failed = _read(batch, registry)
    names, sql = np.empty_like(fields[0]), np.empty_like(fields[0])
    calls(data, fields[_MESSAGE], names, sql)
    told = Told(
        data,
        sql[::2].copy(),
        names[::2].copy(),
        fields[_DETAIL, ::2].copy(),
        failed[::2],
    )
    for place in np.flatnonzero(told.is_failed).tolist():
        begin, end = told.sql[place] = fields[_STATEMENT, 2 * place]
        call = sql[2 * place + 1]
        if (data[begin:end].tobytes()) == data[call[0] : call[1]].tobytes() and end > begin:
            told.prepared[place] = names[2 * place + 1]
            told.parameters[place] = fields[_DETAIL, 2 * place + 1]
            if (
                told.parameters[place, 1] == told.parameters[place, 0]
            ):  # a parse, and the bind failed
                told.parameters[place] = fields[_CONTEXT, 2 * place]
            continue
        begin, end = told.parameters[place] = fields[_CONTEXT, 2 * place]
        told.prepared[place] = 0 if parameters(decoded(data[begin:end].tobytes())) else _NO_NAME
    return told


def _read(batch: Batch, registry: Registry) -> tuple[Bytes, Ints, Mask]:
    """The data, where each field of each record stands in it, and which are of failures."""
    begins, ends = batch.places[:-1], batch.places[1:]
    fields = np.zeros((len(_FIELDS), begins.size, 2), np.int64)
    failed = np.zeros(begins.size, np.bool_)
    parts: list[Bytes] = []
    size = 0
    there = np.flatnonzero(ends > begins)
    assert batch.texts is not None  # it was taken out of the vault
    formats = batch.texts[begins[there]]
    for number in np.unique(formats).tolist():
        rows = there[formats == number]
        block = lines(batch.texts, begins[rows] + 1, ends[rows])
        columns = in_english(registry.formats[number].parse(block.data), registry.languages)
        if len(columns) != rows.size:
            raise AssertionError("a record that was read is none when it is read again")
        for field, text in enumerate(_utf8(columns)):
            _, buffer, values = text.buffers()
            offsets = np.frombuffer(buffer, np.int32)[: rows.size + 1].astype(np.int64) + size
            fields[field, rows, 0], fields[field, rows, 1] = offsets[:-1], offsets[1:]
            parts.append(np.frombuffer(values or b"", np.uint8)[: offsets[-1] - size])
            size += parts[-1].size
        failed[rows] = _is_failure(columns.severity)
    return np.concatenate([np.empty(0, np.uint8), *parts]), fields, failed


def _utf8(columns: Columns) -> Sequence[pa.Array]:
    found = []
    for field in _FIELDS:
        texts = Texts.of(getattr(columns, field)).arrow()
        try:
            found.append(texts.cast(pa.string()))
        except pa.ArrowInvalid:  # another encoding among them
            found.append(pa.array(map(decoded, texts.to_pylist()), pa.string()))
    return found


def _is_failure(severity: pa.DictionaryArray) -> Mask:
    names = severity.dictionary.to_pylist()
    known = np.fromiter((name in _FAILURES for name in names), np.bool_, len(names))
    failed: Mask = known[severity.indices.to_numpy(zero_copy_only=False)]
    return failed


def lines(texts: Bytes, begins: Ints, ends: Ints) -> Bytes:
    """Pieces of the texts behind one another, each with a line break at its end."""
    joined = np.empty(int((ends - begins).sum()) + begins.size, np.uint8)
    return joined[: _join(texts, begins, ends, joined)]


@compiled
def _join(texts: Bytes, begins: Ints, ends: Ints, joined: Bytes) -> int:
    out = ZERO
    for row in range(begins.size):
        out += put(joined, out, texts, begins[row], ends[row] - begins[row])
        if begins[row] == ends[row] or texts[ends[row] - 1] != 10:
            joined[out] = 10
            out += ONE
    return int(out)


@compiled
def calls(data: Bytes, messages: Ints, names: Ints, sql: Ints) -> None:
    """Where the name of the prepared statement stands in each message of a call, and its SQL.

    The messages are those that `messages.said` knows; names begin below 0 for the simple protocol.
    """
    for row in range(names.shape[0]):
        at, end = messages[row]
        if is_at(data, at, end, _DURATION):
            at = _behind_time(data, at, end)
        if is_at(data, at, end, _STATEMENT_IS):
            names[row] = _NO_NAME
            sql[row, 0], sql[row, 1] = at + _STATEMENT_IS.size, end
            continue
        while at < end and data[at] != 32:  # execute, bind or parse
            at += 1
        begin = min(at + 1, end)
        colon = begin
        while colon < end and not _is_colon(data, colon, end):
            colon += 1
        sql[row, 0], sql[row, 1] = min(colon + 2, end), end
        if colon - begin == _UNNAMED.size and is_at(data, begin, end, _UNNAMED):
            colon = begin
        slash = begin
        while slash < colon and data[slash] != 47:
            slash += 1
        names[row, 0], names[row, 1] = begin, slash


@compiled
def _is_colon(data: Bytes, at: Number, end: Number) -> bool:
    return bool(data[at] == 58 and at + 1 < end and data[at + 1] == 32)


@compiled
def _behind_time(data: Bytes, begin: Number, end: Number) -> Number:
    """Where the text begins behind `duration: 0.123 ms  `."""
    for at in range(begin + 10, min(begin + 36, end)):
        if is_at(data, at, end, _TIMED):
            return at + _TIMED.size
    return begin
