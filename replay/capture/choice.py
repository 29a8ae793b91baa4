"""Which records of a block a capture takes: clients' own, of what is asked for, and none of this program's."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from replay.capture.captured import Filters
from replay.capture.formats.columns import Columns, Ints
from replay.capture.formats.texts import Texts
from replay.capture.messages import BEGINS, RAN, decoded, said
from replay.tag import APPLICATION_NAME, LOAD_APPLICATION

OWN = "a line of this program's own session"
_OTHERS = {
    "database": "a line of another database",
    "user": "a line of another user",
    "application": "a line of another application",
}
_OURS = (APPLICATION_NAME, LOAD_APPLICATION)
_CLIENT = ("client backend", "")  # "": the format does not say
_OWN_AT_MOST = 1000  # texts a block

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class Choice:
    """What is taken of n records, and what is not."""

    taken: Mask
    passed_over: dict[str, tuple[int, int]] = field(default_factory=dict)  # see Digest
    others: dict[str, set[str]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    def leave_out(self, reason: str, which: Mask, columns: Columns) -> Ints:
        """Take these no more; says which of them were taken."""
        gone = np.flatnonzero(self.taken & which)
        if gone.size:
            self.passed_over[reason] = (gone.size, int(columns.begin[gone[0]]))
            self.taken[gone] = False
        return gone


def choose(columns: Columns, filters: Filters) -> Choice:
    """The statements' records of clients that are asked for."""
    choice = Choice(taken=is_one_of(columns.backend_type, _CLIENT))
    own = choice.leave_out(OWN, is_one_of(columns.application, _OURS), columns)
    choice.own = _texts(columns, own[:_OWN_AT_MOST])
    for what, names in filters.asked().items():
        column = getattr(columns, what)
        untold = ("",) * (what == "database" and filters.untold)
        gone = choice.leave_out(_OTHERS[what], ~is_one_of(column, (*names, *untold)), columns)
        if gone.size:
            choice.others[what] = set(map(decoded, few(column, gone)[1]))
    return choice


def _texts(columns: Columns, rows: Ints) -> set[str]:
    """What this program itself ran: pg_stat_statements cannot tell it from production's."""
    if not rows.size:
        return set()
    messages = Texts.of(columns.message).only(rows)
    kind, _, begins = said(messages)
    spoken = np.flatnonzero(np.isin(kind, (RAN, BEGINS)))
    sql = messages.only(spoken, begins[spoken])
    return set(map(decoded, sql.to_pylist()))


def is_one_of(column: pa.DictionaryArray, values: tuple[str, ...]) -> Mask:
    """Which rows have one of those names."""
    codes, names = _names(column)
    found = np.fromiter((decoded(name) in values for name in names), np.bool_, len(names))
    return found[codes] if len(names) else np.zeros(len(codes), np.bool_)


def few(column: pa.DictionaryArray, rows: Ints) -> tuple[Ints, list[bytes]]:
    """Codes of those rows, and the names of the codes that occur."""
    codes, names = _names(column)
    codes = codes[rows]
    occurs = np.zeros(len(names), np.bool_)
    occurs[codes] = True
    places = np.cumsum(occurs) - 1
    return places[codes], [names[code] for code in np.flatnonzero(occurs).tolist()]


def _names(column: pa.DictionaryArray) -> tuple[npt.NDArray[np.int32], list[bytes]]:
    return column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()
