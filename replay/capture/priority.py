"""Numbers by chance, out of hashes: what units and requests are sampled by."""

import numpy as np
import numpy.typing as npt

from replay.capture.kernels import inlined

Priorities = npt.NDArray[np.uint64]
NEVER = np.uint64(2**64 - 1)
"""The limit of a stratum that has room: no priority reaches it."""


def mix(values: Priorities) -> Priorities:
    """splitmix64's finaliser."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """The same of one."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
