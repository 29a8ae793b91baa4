"""Rows of one of rundir's tables while they come in: typed arrays, 30 to 40 bytes a row.

The names of a row are kept as one number, once for all rows that have the same. An hour of ten samples a
second with a hundred busy sessions is 120 MB.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

_CODES = {pa.int64(): "q", pa.int32(): "i"}


class _Numbered(dict[tuple[str, ...], int]):
    """Numbers of what comes, given out as it comes."""

    def __missing__(self, names: tuple[str, ...]) -> int:
        number = self[names] = len(self)
        return number


class Columns:
    """A growing table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._named = [at for at, field in enumerate(schema) if pa.types.is_dictionary(field.type)]
        self._numbers = {
            at: array(_CODES[field.type])
            for at, field in enumerate(schema)
            if at not in self._named
        }
        self._names = _Numbered()
        self._which = array("i")

    def extend(self, rows: Sequence[Sequence[int | str]]) -> None:
        """Add rows, each with its values in the schema's order."""
        if rows:
            columns = tuple(zip(*rows, strict=True))
            numbers = [cast("Sequence[int]", columns[at]) for at in self._numbers]
            named = (cast("Sequence[str]", columns[at]) for at in self._named)
            self.add(numbers, zip(*named, strict=True))

    def add(self, numbers: Iterable[Sequence[int]], names: Iterable[tuple[str, ...]]) -> None:
        """Add columns of numbers and, of each row, its names, in the schema's order; this is quick."""
        for kept, added in zip(self._numbers.values(), numbers, strict=True):
            kept.extend(added)
        self._which.extend(map(self._names.__getitem__, names))

    def table(self, *, origin: int) -> pa.Table:
        """The rows from `origin` on as a table; the first column becomes the time since then."""
        columns = {at: pa.array(n, self._schema.field(at).type) for at, n in self._numbers.items()}
        which = pa.array(self._which, pa.int32())
        for place, at in enumerate(self._named):
            once = pa.array([names[place] for names in self._names], pa.string())
            encoded = once.dictionary_encode()
            columns[at] = pa.DictionaryArray.from_arrays(
                encoded.indices.take(which), encoded.dictionary
            )
        table = pa.table([columns[at] for at in range(len(columns))], schema=self._schema)
        since = pc.subtract(table.column(0), origin)
        table = table.set_column(0, self._schema.field(0), since)
        return table.filter(pc.greater_equal(since, 0))
