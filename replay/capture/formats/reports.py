"""Which lines of a stderr log are one record: its first, and its DETAIL, CONTEXT, STATEMENT.

The logging collector keeps a report's lines together. Without it (journald, containers) the lines of
two processes may mix: then a line goes to the last record of its own process.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.leads import Kind

NO_PREFIX = "line without the log_line_prefix and a severity"
ORPHAN = "DETAIL, CONTEXT or STATEMENT without its record"
CUT_OFF = "record is cut off"


@dataclass(frozen=True, slots=True)
class Reports:
    """The records of a block, and what of its lines belongs to none."""

    records: Ints  # lines that begin one
    ends: Ints  # per record: where its unbroken run of lines ends in the block
    owner: Ints  # per line: its record's place in `records`; -1 for none
    broken: tuple[Broken, ...]


def joined(begin: Ints, size: int, kinds: Ints, process: Ints | None) -> Reports:
    """The records of lines of these kinds, that begin there in a block of `size` bytes.

    `process` tells the process of each line; without it a line belongs to the record ahead of it.
    """
    count = len(begin)
    if not count:
        return Reports(begin, begin, begin, ())
    follows = kinds > Kind.RECORD
    head = np.maximum.accumulate(np.where(follows, -1, np.arange(count)))
    good = (head >= 0) & (kinds[head] == Kind.RECORD)
    if process is not None:
        good &= process == process[head]
    owner = np.where(good, head, -1)
    stray = np.flatnonzero(follows & ~good)
    if len(stray) and process is not None:
        owner[stray] = _last_of_process(stray, kinds, process)
    opens = ~follows
    opens[stray] = True
    runs = np.append(np.flatnonzero(opens), count)
    records = np.flatnonzero(kinds == Kind.RECORD)
    place = np.full(count + 1, -1)
    place[records] = np.arange(len(records))
    return Reports(
        records=records,
        ends=np.append(begin, size)[runs[np.searchsorted(runs, records, side="right")]],
        owner=place[owner],
        broken=tuple(
            Broken(offset=int(begin[line]), reason=ORPHAN if follows[line] else NO_PREFIX)
            for line in np.flatnonzero((owner < 0) & (kinds != Kind.BLANK)).tolist()
        ),
    )


def last_begun(kinds: Ints) -> int:
    """The last line that does not follow another one; the first where all do."""
    begun = np.flatnonzero(kinds <= Kind.RECORD)
    return int(begun[-1]) if len(begun) else 0


def _last_of_process(stray: Ints, kinds: Ints, process: Ints) -> list[int]:
    """For each stray line the last record of its process ahead of it; -1 where there is none."""
    earlier: dict[int, list[int]] = defaultdict(list)
    records = np.flatnonzero(kinds == Kind.RECORD)
    for line, its in zip(records.tolist(), process[records].tolist(), strict=True):
        earlier[its].append(line)
    owners = []
    for line in stray.tolist():
        known = earlier[int(process[line])]
        before = bisect_left(known, line)
        owners.append(known[before - 1] if before else -1)
    return owners
