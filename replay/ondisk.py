"""Arrays as long as a load, on disk: pages of them that nobody needs are the kernel's to take back.

Their files have no name, and are gone with the last array that is one.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from replay.errors import EnvironmentFaultError

BLOCK = 1 << 16
"""Entries that are in memory together."""


def zeros(directory: Path | None, count: int, dtype: npt.DTypeLike) -> np.ndarray:
    """So many zeros; without a directory, in the system's for temporary files.

    Raises EnvironmentFaultError where the disk has no room for them.
    """
    if not count:
        return np.zeros(0, dtype)
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            _make_room(file.fileno(), count * np.dtype(dtype).itemsize)
            return np.memmap(file, dtype=dtype, mode="r+", shape=(count,))
    except OSError as error:
        raise EnvironmentFaultError(
            f"{directory or tempfile.gettempdir()}: no room to add up what was done: {error}"
        ) from error


def grown(directory: Path | None, array: np.ndarray, count: int) -> np.ndarray:
    """An array itself where it has so many entries; or one that does, with more to spare."""
    if count <= len(array):
        return array
    more = zeros(directory, max(count, 2 * len(array)), array.dtype)
    more[: len(array)] = array
    return more


def dealt(place: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deal values to their groups: the order in which to take them, and where each goes.

    `place` has, by group, where its next value goes; it is moved on.
    """
    order = np.argsort(groups, kind="stable")
    found, begins, counts = np.unique(groups[order], return_index=True, return_counts=True)
    within = np.arange(len(order)) - np.repeat(begins, counts)
    to = np.repeat(place[found], counts) + within
    place[found] += counts
    return order, to


def _make_room(file: int, size: int) -> None:
    """A page of a file that finds no room only when it is written to would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
