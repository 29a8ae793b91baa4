"""Which column fills a table's TOAST, and how long its values are.

pg_stats counts a value that is stored outside its row by its pointer alone, and has no values wider
than a kilobyte; but the pages of the TOAST table are known. They are given to the one column that
can hold them and of whose values least is known.
"""

from dataclasses import dataclass

import numpy as np

from data_gen.profile import ColumnProfile, TableProfile
from data_gen.shuffle import Ints

_TYPES = frozenset({"text", "varchar", "bpchar", "json", "jsonb", "bytea", "xml"})
_PAGE_BYTES = 4 * 1996  # of values on a page: four chunks (TOAST_MAX_CHUNK_SIZE)
_UNFILLED = 700  # bytes that a value leaves free behind its last chunk, about (seen, of 5 KB each)
_LEAST = 2100  # bytes of a value that is stored outside
_POINTER = 18  # bytes of a pointer, as average_width counts it
_ALL = 30  # an average width below this says that all values are outside
_USUAL = 4000  # bytes of a value outside, where only some are
_LEAST_PAGES = 8
_SHARES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How a column's values are stored: a share of them outside of the rows."""

    share: float
    length: int  # mean bytes of a value outside
    inline: int  # bytes of one inside

    def lengths(self) -> Ints:
        """Lengths to draw from."""
        number = max(round(self.share * _SHARES), 1)
        spread = np.linspace(0.6, 1.4, number) * self.length
        inside = [self.inline] * (_SHARES - number)
        return np.array([*spread.astype(np.int64).tolist(), *inside], np.int64)


def outside(table: TableProfile, column: ColumnProfile) -> Outside | None:
    """How much of a column's values is outside; None for one whose values are not."""
    if table.toast_pages < _LEAST_PAGES or not table.rows or _column(table) != column.name:
        return None
    rows = table.rows * max(1 - column.null_fraction, 1 / table.rows)
    each = table.toast_pages * _PAGE_BYTES / rows
    share = 1.0 if column.average_width <= _ALL else min(each / _USUAL, 1.0)
    left = column.average_width - share * _POINTER
    inline = left / (1 - share) if share < 1 else 0.0
    length = max(round(each / share) - _UNFILLED, _LEAST)
    return Outside(share=share, length=length, inline=max(round(inline), 1))


def _column(table: TableProfile) -> str:
    """The column that TOAST is of: the one with fewest values in the statistics, then the widest."""
    able = [
        column
        for column in table.columns
        if column.base_type in _TYPES and "(" not in column.type and not column.generated
    ]
    if not able:
        return ""
    return min(
        able,
        key=lambda one: (len(one.histogram) + len(one.common_values), -one.average_width),
    ).name
