"""What kept units' records say: read from their bytes once more, by the format they came in."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import pyarrow as pa

from replay.capture.messages import call_of, decoded, parameters
from replay.capture.registry import Registry
from replay.capture.store import Stored

_FAILURES = frozenset({"ERROR", "FATAL", "PANIC"})


class Told(NamedTuple):
    """What an execution's records tell of its call."""

    sql: str
    prepared: str | None  # None: simple protocol; "": unnamed
    parameters: Mapping[int, str | None]
    is_failed: bool


_Record = tuple[str, str, str, str, str]
"""Message, detail, context, statement, severity."""

_NONE: Mapping[int, str | None] = {}


def retold(units: Sequence[Stored], registry: Registry) -> Iterator[tuple[Stored, list[Told]]]:
    """Units with what their executions' records tell, in order."""
    executions = [execution for unit in units for execution in unit.executions]
    records = _read([execution.record for execution in executions], registry)
    failed = [place for place, execution in enumerate(executions) if execution.call]
    calls = dict(
        zip(failed, _read([executions[place].call for place in failed], registry), strict=True)
    )
    told = (_told(record, calls.get(place)) for place, record in enumerate(records))
    for unit in units:
        yield unit, list(islice(told, len(unit.executions)))


def _told(record: _Record, call: _Record | None) -> Told:
    message, detail, context, sql, severity = record
    if severity not in _FAILURES:
        name, sql = call_of(message)
        return Told(sql, name, parameters(detail) if detail else _NONE, False)
    if call is not None:
        name, text = call_of(call[0])
        if text == sql:
            return Told(sql, name, parameters(call[1]), True)
    values = parameters(context)
    return Told(sql, "" if values else None, values, True)


def _read(records: Sequence[bytes], registry: Registry) -> list[_Record]:
    """What the records say; those of one format are read as one block."""
    by_format: dict[int, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        by_format[record[0]].append(place)
    found: list[_Record] = [("", "", "", "", "")] * len(records)
    for number, places in by_format.items():
        bodies = [records[place][1:] for place in places]
        block = b"".join([body if body[-1:] == b"\n" else body + b"\n" for body in bodies])
        columns = registry.formats[number].parse(memoryview(block))
        if len(columns) != len(places):
            raise AssertionError("a record that was read is none when it is read again")
        rows = zip(
            _strings(columns.message),
            _strings(columns.detail),
            _strings(columns.context),
            _strings(columns.statement),
            map(decoded, columns.severity.to_pylist()),
            strict=True,
        )
        for place, row in zip(places, rows, strict=True):
            found[place] = row
    return found


def _strings(texts: pa.BinaryArray) -> list[str]:
    try:
        return list(texts.cast(pa.string()).to_pylist())
    except pa.ArrowInvalid:  # another encoding among them
        return [decoded(text) for text in texts.to_pylist()]
