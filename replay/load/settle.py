"""Close the books over what no record speaks of: arrivals that never came due, or were cut off.

A run that is stopped, or whose worker is killed, has planned transactions without a record, or with
records of which none is the last. Here they get one, so that planned = started + skipped holds.
"""

import numpy as np

from replay.load.record import CODE_CANCELLED, CODE_END, DTYPE, FINAL
from replay.load.shard import Index


def settle(
    records: np.ndarray, arrivals: np.ndarray, index: Index, worker: int, origin_ns: int
) -> np.ndarray:
    """The worker's records, and one more for each of its arrivals that has no last one."""
    mine = np.arange(worker, len(arrivals), len(index.planned))
    closed = records["arrival"][records["flags"] & FINAL != 0]
    cut_off = np.setdiff1d(records["arrival"], closed)
    never = np.setdiff1d(mine, records["arrival"])
    due_ns = arrivals["due_us"] * 1000 + origin_ns
    skipped = _rows(never, arrivals, index, np.zeros(len(never), dtype=np.int64))
    skipped["outcome"] = CODE_END
    skipped["due"] = skipped["ended"] = due_ns[never]
    last = _last_records(records, cut_off)
    cancelled = _rows(cut_off, arrivals, index, last["ordinal"] + 1)
    cancelled["outcome"] = CODE_CANCELLED
    cancelled["session"], cancelled["pid"] = last["session"], last["pid"]
    cancelled["due"] = cancelled["ended"] = last["ended"]
    return np.concatenate([records, skipped, cancelled])


def _last_records(records: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """The last record of each of these arrivals, in the order of `arrivals`, which is sorted."""
    of_them = records[np.isin(records["arrival"], arrivals)]
    backwards = of_them[np.lexsort((of_them["ordinal"], of_them["arrival"]))][::-1]
    _, first = np.unique(backwards["arrival"], return_index=True)
    return backwards[first]


def _rows(
    numbers: np.ndarray, arrivals: np.ndarray, index: Index, ordinals: np.ndarray
) -> np.ndarray:
    position = {template: n for n, template in enumerate(index.templates)}
    rows = np.zeros(len(numbers), dtype=DTYPE)
    rows["arrival"] = numbers
    rows["ordinal"] = ordinals
    rows["flags"] = FINAL
    rows["session"] = rows["began"] = rows["rows"] = -1
    shapes = arrivals["shape"][numbers]
    rows["template"] = [
        position[index.shapes[shape][ordinal]]
        for shape, ordinal in zip(shapes, ordinals, strict=True)
    ]
    return rows
