"""Kept units as the workload's transactions and statements, by columns; here values meet the scrubber."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay import columnar
from replay.capture.cells import NULL, Growing, bind
from replay.capture.executions import Mask
from replay.capture.extractor import Extracted, Extractor
from replay.capture.formats.columns import Ints
from replay.capture.logged import logged
from replay.capture.policy import is_secretive
from replay.capture.registry import Registry
from replay.capture.retell import Told, retold
from replay.capture.sample import shape_id
from replay.capture.sampling import Sampling
from replay.capture.scrub import Scrubber
from replay.capture.stored import Batch
from replay.capture.turns import Turns
from replay.schemas import STATEMENT_SCHEMA, TRANSACTION_SCHEMA

# The server's own settings say how, not what: their values stay as they are. One with a dot in its name is
# the application's.
_PLAIN_SETTING = re.compile(
    r"set (?:session |local )?(?:time zone|names|schema|(?:session characteristics|transaction)\b"
    r"|(?!application_name\b|session_authorization\b|seed\b|role\b)[a-z_]+ (?:=|to)(?!\S))",
)
_SESSION_ID = re.compile(rb"([0-9a-f]{8})\.[0-9a-f]+")
_DATA, _PLAIN, _SECRET = range(3)  # what a template's literals are
_SHAPES_AT_MOST = 1 << 16
_SHORT, _LAST = 1024, 3 * columnar.TRANSACTIONS  # units: of a short batch, and of all the last ones
_BATCH_AT_MOST = 16 << 20  # bytes of records
_NO_NAME = (0, 0, NULL)


class Kept(Protocol):
    """Units by number, with their records; a Store is."""

    def sizes(self, numbers: Ints) -> Ints:
        """Bytes of those units' records, about."""

    def batch(self, numbers: Ints) -> Batch:
        """The units of those numbers, in that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What kept units' records become transactions with."""

    registry: Registry
    begin_us: int  # of the window, epoch
    scrubber: Scrubber
    sampling: Sampling
    _extractor: Extractor = field(default_factory=Extractor)
    _shapes: dict[bytes, str] = field(default_factory=dict)

    def begin(self, kept: Kept, numbers: Ints, jobs: int) -> Turns:
        """The units of those numbers, in order of start, with whole-slotted SQL and scrubbed values.

        They are made by so many processes, a batch each, of which the others begin at once. What their
        weights are divided by is as `logged` says, and their weights are yet to come.
        """

        def tables(begin: int, end: int) -> columnar.Batch:
            return self.tables(kept.batch(numbers[begin:end]), begin)

        return Turns(tables, list(cuts(kept.sizes(numbers))), jobs, self._extractor)

    def tables(self, batch: Batch, at: int) -> columnar.Batch:
        """Transactions, numbered from `at` on, and their statements."""
        told = retold(batch, self.registry)
        data = Growing(told.data)
        found = self._extractor(data, told.sql)
        wanted = np.array([shape.parameters for shape in found.shapes], np.int64)[found.shape]
        is_there = bind(data, told.parameters, found.first, wanted, found.cells) == wanted
        # Where the log does not tell what was sent: values of a failed call.
        untold = told.is_failed & ~is_there
        template = batch.columns[0]
        values = self._scrubbed(data, found, template)
        offsets = pa.array(found.first.astype(np.int32))
        ids, codes = self._template_ids(template)
        columns = {
            "transaction": pa.array(
                np.repeat(np.arange(at, at + len(batch.sessions)), batch.counts())
            ),
            "template": ids.take(codes),
            "sql": _taken([shape.sql for shape in found.shapes], found.shape),
            "slots": _taken([shape.slots for shape in found.shapes], found.shape),
            "values": pa.ListArray.from_arrays(offsets, values),
            "prepared": _names(data, told, wanted),
            "offset_us": pa.array(batch.columns[1] - np.repeat(batch.starts_us(), batch.counts())),
            "duration_us": pa.array(batch.columns[2]),
            "error": _taken(["", *self.registry.states], batch.columns[3] + 1),
        }
        arrays = [columns[name] for name in STATEMENT_SCHEMA.names]
        statements = pa.RecordBatch.from_arrays(arrays, schema=STATEMENT_SCHEMA)
        if untold.any():
            statements = statements.filter(pa.array(~untold))
        return self._wholes(batch, at, untold, ids.take(codes)), statements

    def _wholes(self, batch: Batch, at: int, untold: Mask, templates: pa.Array) -> pa.RecordBatch:
        starts_us = batch.starts_us()
        tokens = {name: self.scrubber.token(name.decode("latin-1")) for name in set(batch.sessions)}
        of_unit = np.concatenate(([0], np.cumsum(untold)))[batch.first].astype(np.int32)
        columns = {
            "id": pa.array(np.arange(at, at + len(batch.sessions))),
            "session": pa.array([tokens[name] for name in batch.sessions], pa.string()),
            "start_us": pa.array(np.maximum(starts_us - self.begin_us, 0)),
            "weight": pa.array(np.zeros(starts_us.size)),
            "shape": pa.array(list(self._shape_ids(batch)), pa.string()),
            "untold": pa.ListArray.from_arrays(
                pa.array(of_unit), templates.filter(pa.array(untold))
            ),
            "priority": pa.array(batch.priorities),
            "logged": pa.array(logged(self.sampling, self.registry, batch)),
            "early_us": pa.array(np.maximum(self.begin_us - starts_us, 0)),
            "session_us": pa.array(self._sessions_us(batch), pa.int64()),
        }
        arrays = [columns[name] for name in TRANSACTION_SCHEMA.names]
        return pa.RecordBatch.from_arrays(arrays, schema=TRANSACTION_SCHEMA)

    def _template_ids(self, template: Ints) -> tuple[pa.Array, pa.Array]:
        numbers, codes = np.unique(template, return_inverse=True)
        ids = [self.registry.templates[number].id for number in numbers.tolist()]
        return pa.array(ids, pa.string()), pa.array(codes)

    def _shape_ids(self, batch: Batch) -> Iterator[str]:
        """A hash of each unit's sequence of templates."""
        if len(self._shapes) > _SHAPES_AT_MOST:
            self._shapes.clear()
        template = batch.columns[0]
        raw, size = template.tobytes(), template.itemsize
        for begin, end in pairwise((batch.first * size).tolist()):
            key = raw[begin:end]
            if key not in self._shapes:
                numbers = template[begin // size : end // size].tolist()
                self._shapes[key] = shape_id([self.registry.templates[n].id for n in numbers])
            yield self._shapes[key]

    def _sessions_us(self, batch: Batch) -> Iterator[int | None]:
        """When each unit's session began, where its name is PostgreSQL's own: %c of log_line_prefix."""
        began_us = {name: _began_us(name) for name in set(batch.sessions)}
        for name, start_us in zip(batch.sessions, batch.starts_us().tolist(), strict=True):
            at_us = began_us[name]
            yield None if at_us is None or at_us > start_us else at_us - self.begin_us

    def _scrubbed(self, data: Growing, found: Extracted, template: Ints) -> pa.StringArray:
        """The tokens of all values."""
        raw = data.column(found.cells)
        values = self.scrubber.column(raw)
        others = dict(self._others(raw, found, template))
        if not others:
            return values
        mask = np.zeros(len(raw), np.bool_)
        mask[[*others]] = True
        texts = pa.array([text for _, text in sorted(others.items())], pa.string())
        return pc.replace_with_mask(values, pa.array(mask), texts)

    def _others(
        self, raw: pa.BinaryArray, found: Extracted, template: Ints
    ) -> Iterator[tuple[int, str]]:
        """Tokens of those that are no data, or bits; by place."""
        numbers = np.unique(template)
        cares = np.zeros(int(numbers[-1]) + 1, np.int64)
        cares[numbers] = [_care(self.registry.templates[n].sql) for n in numbers.tolist()]
        care = cares[template]
        has_bits = np.array(["b" in shape.slots for shape in found.shapes], np.bool_)[found.shape]
        for row in np.flatnonzero((care != _DATA) | has_bits).tolist():
            slots = found.shapes[found.shape[row]].slots
            for place, letter in enumerate(slots, int(found.first[row])):
                if letter == "p" or (care[row] == _DATA and letter != "b"):
                    continue
                literal = raw[place].as_py().decode()
                if care[row] == _PLAIN:
                    yield place, literal
                elif care[row] == _SECRET:
                    yield place, self.scrubber.secret(literal)
                else:
                    yield place, self.scrubber.bits(literal)


def cuts(sizes: Ints) -> Iterator[tuple[int, int]]:
    """Where batches begin and end: of so many units, or so many bytes, at most.

    The first is a short one: what is learned of it serves all processes that make the others. The last
    ones are short: no process waits long for what another one makes.
    """
    begin, long = 0, sizes.size - _LAST
    while begin < sizes.size:
        most = columnar.TRANSACTIONS if 0 < begin < long else _SHORT
        inside = np.cumsum(sizes[begin : begin + most]) <= _BATCH_AT_MOST
        end = begin + max(int(inside.sum()), 1)
        yield begin, end
        begin = end


def _care(sql: str) -> int:
    """How a template's literals are to be taken."""
    return _SECRET if is_secretive(sql) else _PLAIN if _PLAIN_SETTING.match(sql) else _DATA


def _names(data: Growing, told: Told, wanted: Ints) -> pa.StringArray:
    """Names of prepared statements; a failed call may have parameters, and a bind that no log shows."""
    is_none = told.prepared[:, 0] < 0
    cells = np.column_stack((told.prepared, np.zeros(is_none.size, np.int64)))
    cells[is_none] = _NO_NAME
    cells[is_none & (wanted > 0)] = 0
    return data.column(cells).cast(pa.string())


def _taken(texts: Sequence[str], places: Ints) -> pa.StringArray:
    return pa.array(texts, pa.string()).take(pa.array(places))


def _began_us(session: bytes) -> int | None:
    told = _SESSION_ID.match(session)
    return None if told is None else int(told[1], 16) * 1_000_000
