"""Two foreign keys that are unique together: each keeps how many rows every one of its values has.

Rows are paired at random first; a pair that comes twice changes one of its sides with another row,
until none does. So both keys keep their hot values, which counting on from one to the next loses.
"""

import numpy as np

from data_gen.shuffle import Flags, Ints, Permutation, mixed
from data_gen.spread import Spread

MOST = 1 << 21  # rows: they lie in memory
_TURNS = 100


def paired(lead: Spread, follower: Spread, key: int) -> Ints | None:
    """The follower's point for each of the lead's slots, no pair twice; None where none is found."""
    rows = lead.rows
    if rows > MOST or follower.rows != rows or lead.most > follower.values:
        return None
    slots = np.arange(rows, dtype=np.int64)
    groups = np.cumsum(lead.occurrences(slots) == 0)
    points = follower.points(Permutation(rows, key).forward(slots))
    for turn in range(_TURNS):
        twice = np.flatnonzero(_repeated(groups, points))
        if not twice.size:
            return points
        # So many drawn rows that are not wrong themselves, no one twice.
        drawn = (mixed(twice, key + turn + 1) % np.uint64(rows)).astype(np.int64)
        drawn, first = np.unique(drawn, return_index=True)
        is_free = ~np.isin(drawn, twice)
        here, there = twice[first[is_free]], drawn[is_free]
        points[here], points[there] = points[there], points[here]
    return None


def _repeated(groups: Ints, points: Ints) -> Flags:
    """Rows whose pair an earlier row has."""
    order = np.lexsort((points, groups))
    same = (np.diff(groups[order]) == 0) & (np.diff(points[order]) == 0)
    repeated = np.zeros(groups.size, bool)
    repeated[order[1:]] = same
    return repeated
