"""Rows of one of rundir's tables while they come in: typed arrays, 40 to 50 bytes a row.

Names are kept once each. An hour of ten samples a second with a hundred busy sessions is 160 MB.
"""

from array import array
from collections.abc import Sequence
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

_CODES = {pa.int64(): "q", pa.int32(): "i"}


class Columns:
    """A growing table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._numbers: list[array[int]] = []
        self._names: list[dict[str, int] | None] = []
        for field in schema:
            named = pa.types.is_dictionary(field.type)
            self._numbers.append(array("i" if named else _CODES[field.type]))
            self._names.append({} if named else None)

    def extend(self, rows: Sequence[Sequence[int | str]]) -> None:
        """Add rows, each with its values in the schema's order."""
        if rows:
            self.add(tuple(zip(*rows, strict=True)))

    def add(self, columns: Sequence[Sequence[int] | Sequence[str]]) -> None:
        """Add columns of equal length in the schema's order, which is quick."""
        for values, numbers, names in zip(columns, self._numbers, self._names, strict=True):
            if names is None:
                numbers.extend(cast("Sequence[int]", values))
                continue
            for name in dict.fromkeys(cast("Sequence[str]", values)):
                names.setdefault(name, len(names))
            numbers.extend([names[name] for name in cast("Sequence[str]", values)])

    def table(self, *, origin: int) -> pa.Table:
        """The rows from `origin` on as a table; the first column becomes the time since then."""
        columns = []
        for field, numbers, names in zip(self._schema, self._numbers, self._names, strict=True):
            values = pa.array(numbers, type=pa.int32() if names is not None else field.type)
            if names is not None:
                values = pa.DictionaryArray.from_arrays(values, pa.array(list(names), pa.string()))
            columns.append(values)
        table = pa.table(columns, schema=self._schema)
        since = pc.subtract(table.column(0), origin)
        table = table.set_column(0, self._schema.field(0), since)
        return table.filter(pc.greater_equal(since, 0))
