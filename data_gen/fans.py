"""How unevenly a foreign key's rows are shared out among its parents: what was counted, made again.

Which parents have many is told by hot keys, by what the parents look like and by the column's own
statistics; how many each has is told by the count alone, so that the mass on hot keys is production's.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from data_gen.couple import Weights
from data_gen.profile import FanOut
from data_gen.questions import Row
from data_gen.shuffle import Ints, mixed


def fan_outs(rows: Iterable[Row]) -> Mapping[tuple[int, str], FanOut]:
    """By OID of the table and name of the foreign key, from the answers to the question `fans`."""
    return {
        (int(row["oid"]), row["name"]): FanOut(
            sizes=tuple((int(children), int(parents)) for children, parents in row["sizes"]),
            hot=tuple((key, int(children)) for key, children in row["hot"]),
        )
        for row in rows
    }


def shared_out(
    fan_out: FanOut, like: Ints, hot: Mapping[str, int], rows: int, *, parents: int, key: int
) -> Ints | None:
    """How many of so many rows each parent has: numbers as counted, in the order of those in `like`.

    Hot keys have their own share of the rows; `hot` tells their positions. Of fewer parents than
    production's the others are thinned out evenly. None where there is nothing to share out.
    """
    sizes = _sizes(fan_out)
    if not rows or not sizes.size:
        return None
    named = {hot[token]: children for token, children in fan_out.hot if token in hot}
    left = sizes[len(named) :]
    number = round(left.size * min(like.size / max(parents, 1), 1.0))
    left = left[np.arange(number) * left.size // max(number, 1)]
    order = np.lexsort((mixed(np.arange(like.size), key), -like))
    order = order[~np.isin(order, list(named))]
    counts = np.zeros_like(like)
    counts[order[: left.size]] = left[: order.size]
    hottest = np.rint(np.array(list(named.values())) * rows / sizes.sum()).astype(np.int64)
    rest = scaled(counts, max(rows - int(hottest.sum()), 0))
    counts = counts if rest is None else rest
    counts[list(named)] = hottest
    return counts if rest is not None else scaled(counts, rows)


def scaled(counts: Ints, rows: int) -> Ints | None:
    """In proportion, to that sum; what is over or short goes to few, so that the others stay."""
    sums = np.cumsum(counts)
    if not sums[-1]:
        return None
    over = np.rint(sums / sums[-1] * (rows - sums[-1])).astype(np.int64)
    changed: Ints = counts + np.diff(over, prepend=0)
    return changed


def shares(fan_out: FanOut) -> Weights:
    """Each parent's share of the children, largest first."""
    sizes = _sizes(fan_out)
    return sizes / max(int(sizes.sum()), 1)


def _sizes(fan_out: FanOut) -> Ints:
    """Numbers of children, largest first."""
    children, parents = np.array(fan_out.sizes, np.int64).reshape(-1, 2).T
    return np.sort(np.repeat(children, parents))[::-1]
