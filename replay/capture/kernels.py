"""Loops over the bytes of a log, compiled: what would cost a Python object a record costs a few ns a byte.

Compiled by numba at their first use, and kept in the user's cache for as long as this stage's code stays
as it is. Places in bytes are unsigned there, because a signed index may count from the end, and the
check costs more than the loop; so what is added to one must be unsigned too.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
Number = Any
"""A number in compiled code, of whatever type the compiler gives it."""
place = np.uint64
"""Makes of a number one that may be added to a place."""


def compiled(function: F) -> F:
    """The function, compiled when it is first called; it makes no array.

    Nothing counts who holds an array: where functions call one another, that costs as much as what they do.
    """
    return cast("F", numba.njit(cache=True, nogil=True, _nrt=False)(function))


def making(function: F) -> F:
    """The same of one that makes arrays."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """The same as `compiled` of a short one that others call."""
    return cast("F", numba.njit(cache=True, nogil=True, _nrt=False, forceinline=True)(function))


def as_bytes(buffer: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> Bytes:
    """The bytes, not to be written to: loops are compiled for such only, whatever they lie in."""
    data = np.frombuffer(buffer, np.uint8)
    data.flags.writeable = False
    return data


def _cache_directory() -> str:
    """Where compiled code is kept: numba itself would not see that a function called has changed."""
    code = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        code.update(file.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = home / "staging-replay" / code.hexdigest()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=directory):
            return str(directory)
    except (OSError, RuntimeError):  # no home, or none that can be written
        scratch = tempfile.mkdtemp(prefix="replay-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        return scratch


ZERO, ONE, TWO = place(0), place(1), place(2)
CACHE = _cache_directory()
numba.config.CACHE_DIR = CACHE
