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


def _make_room(file: int, size: int) -> None:
    """A page of a file that finds no room only when it is written to would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
