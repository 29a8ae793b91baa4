"""A run's attempts in order of their transactions, as columns on disk: they may be more than memory holds."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay import ondisk
from replay.diagnose.attempts import COLUMNS, Attempts, Codes

_NAMED = ("template", "outcome")


def stored(read: Callable[[], Iterable[pa.Table]]) -> Attempts:
    """Columns of a run's attempts, where temporary files are.

    `read` gives them in blocks of runtables.ATTEMPTS, in any order, the same ones each time. Raises
    EnvironmentFaultError where there is no room.
    """
    place = ondisk.zeros(None, 0, np.int64)  # by arrival: how many, then where the next goes
    for block in read():
        arrival = block["arrival"].to_numpy()
        place = ondisk.grown(None, place, int(arrival.max(initial=-1)) + 1)
        np.add.at(place, arrival, 1)
    count = _begins(place)
    columns = {name: ondisk.zeros(None, count, dtype) for name, dtype in COLUMNS.items()}
    ordinal = ondisk.zeros(None, count, np.int32)
    known: dict[str, dict[str, int]] = {name: {} for name in _NAMED}
    for block in read():
        order, to = ondisk.dealt(place, block["arrival"].to_numpy())
        for name, column in columns.items():
            column[to] = _values(block, name, known)[order]
        ordinal[to] = block["ordinal"].to_numpy()[order]
    names = {name: tuple(known[name]) for name in _NAMED}
    attempts = Attempts(names=names["template"], outcomes=names["outcome"], **columns)
    _order(attempts, ordinal)
    return replace(
        attempts,
        names=_by_appearance(attempts, "template", attempts.names),
        outcomes=_by_appearance(attempts, "outcome", attempts.outcomes),
    )


def _begins(counts: np.ndarray) -> int:
    """In the place of each count the sum of those before it; gives the sum of all."""
    total = 0
    for at in range(0, len(counts), ondisk.BLOCK):
        some = counts[at : at + ondisk.BLOCK]
        ends = total + np.cumsum(some)
        some[:] = ends - some
        total = int(ends[-1])
    return total


def _values(block: pa.Table, name: str, known: dict[str, dict[str, int]]) -> np.ndarray:
    """A column, of names by their place among those that are known, to which new ones are added."""
    if name not in known:
        return np.asarray(block[name].to_numpy())
    plain = pc.fill_null(block[name].cast(pa.string()), "").combine_chunks()
    encoded = plain.dictionary_encode()
    places = [known[name].setdefault(n, len(known[name])) for n in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    found: np.ndarray = np.array(places, np.int32)[codes]
    return found


def _order(attempts: Attempts, ordinal: np.ndarray) -> None:
    """Put the statements of each transaction in order, where they came in another."""
    begin = 0
    for part in attempts.parts():
        rows = slice(begin, begin + len(part.arrival))
        begin = rows.stop
        mine = ordinal[rows]
        if ((np.diff(mine) < 0) & (np.diff(part.arrival) == 0)).any():
            order = np.lexsort((mine, part.arrival))
            for name in COLUMNS:
                getattr(attempts, name)[rows] = getattr(part, name)[order]


def _by_appearance(attempts: Attempts, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Number a column's names anew, in the order in which they come first, and give them."""
    rank: dict[int, int] = {}
    for part in attempts.parts():
        codes: Codes = getattr(part, name)
        present, first = np.unique(codes, return_index=True)
        for code in present[np.argsort(first)].tolist():
            rank.setdefault(code, len(rank))
        # Views of the columns: what is written here is written there.
        codes[:] = np.array([rank.get(code, 0) for code in range(len(known))], np.int32)[codes]
    return tuple(known[code] for code in rank)
