"""What units are ranked by, and what shape they have: vectors over the units of a block."""

import numpy as np

from replay.capture.executions import Executions
from replay.capture.formats.columns import Ints
from replay.capture.kernels import Number, inlined, place
from replay.capture.priority import Priorities, mix

# Rank of the slowest: the time from longest to shortest, and of equal ones the priority.
_LONGEST_US, TIE_BITS = (1 << 43) - 1, 20
_POSITIONS = mix(np.arange(1, 4097, dtype=np.uint64)) | np.uint64(1)  # odd: none loses a template


def slowness(spent_us: Ints, priority: Priorities) -> Priorities:
    """Ranks of executions: the smallest is the slowest's."""
    less = (_LONGEST_US - np.minimum(spent_us, _LONGEST_US)).astype(np.uint64)
    return less << np.uint64(TIE_BITS) | priority >> np.uint64(64 - TIE_BITS)


@inlined
def rank_of(spent_us: Number, priority: np.uint64) -> np.uint64:
    """`slowness` of one."""
    less = place(np.int64(_LONGEST_US) - min(np.int64(spent_us), np.int64(_LONGEST_US)))
    return less << place(TIE_BITS) | priority >> place(64 - TIE_BITS)


def shapes(found: Executions, first: Ints, identities: Priorities) -> Priorities:
    """A hash of each unit's sequence of templates; loops of different lengths are one shape."""
    template = found.template
    news = np.ones(len(found), np.bool_)
    news[1:] = template[1:] != template[:-1]
    news[first] = True
    rank: Ints = np.cumsum(news)
    rank -= np.repeat(rank[first], np.diff(np.append(first, len(found))))
    terms = np.where(news, identities[template] * _POSITIONS[rank & 4095], np.uint64(0))
    return mix(np.add.reduceat(terms, first))
