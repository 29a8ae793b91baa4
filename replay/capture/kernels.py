"""Loops over the bytes of a log, compiled: what would cost a Python object a record costs a few ns a byte.

Once after an installation numba compiles them all (`warm`), into a library that is loaded without it
(`library`); it is asked again only for arguments of other types. What is compiled stays in the user's
cache for as long as this stage's code stays as it is (see `replay.cached`). Places in bytes are unsigned
there, because a signed index may count from the end, and the check costs more than the loop; so what is
added to one must be unsigned too.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from replay import cached, objectcode
from replay.capture import library

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
Number = Any
"""A number in compiled code, of whatever type the compiler gives it."""
place = np.uint64
"""Makes of a number one that may be added to a place."""


class Loop:
    """A compiled function; it counts as numba's own where another one that numba compiles calls it."""

    def __init__(self, function: Callable[..., Any], **options: bool) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options
        self.makes_arrays = options.get("_nrt", True)
        self._entries: dict[library.Kinds, Callable[..., Any]] = {}
        self._dispatcher: Any = None
        self.used: dict[library.Kinds, Any] = {}  # by numba: the arguments' types there
        LOOPS.append(self)

    def __call__(self, *args: Any) -> Any:
        """What the function gives."""
        kinds = library.kinds_of(args)
        entry = self._entries.get(kinds)
        if entry is None:
            entry = library.entry(CACHE, self.name, kinds) or self._by_numba(kinds, args)
            self._entries[kinds] = entry
        return entry(*args)

    @property
    def name(self) -> str:
        """Its module's, and its own."""
        return f"{self._function.__module__}.{self._function.__qualname__}"

    @property
    def dispatcher(self) -> Any:
        """What numba has of it."""
        if self._dispatcher is None:
            # What goes into a library is not kept twice.
            kept = self.makes_arrays or os.environ.get(COMPILES) != LIBRARY
            jit = _numba().njit(cache=kept, nogil=True, **self._options)
            self._dispatcher = jit(self._function)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        return self.dispatcher._numba_type_

    def _by_numba(self, kinds: library.Kinds, args: tuple[Any, ...]) -> Callable[..., Any]:
        log.debug("%s is compiled by numba for %s", self.name, kinds)
        self.used[kinds] = tuple(map(_numba().typeof, args))
        return cast("Callable[..., Any]", self.dispatcher)


LOOPS: list[Loop] = []
COMPILES, LIBRARY = "REPLAY_COMPILES", "library"
"""A variable of the environment, and its value, where loops are compiled for a library."""


class Instruction:
    """One of `instructions`, which are for compiled code only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_args: Any) -> Any:
        """Not from Python."""
        raise TypeError(f"{self._name} is for compiled code only")

    @property
    def _numba_type_(self) -> Any:
        module = import_module("replay.capture.instructions")
        return module.type_of(getattr(module, self._name))


def compiled(function: F) -> F:
    """The function, compiled when it is first called; it makes no array.

    Nothing counts who holds an array: where functions call one another, that costs as much as what they do.
    """
    return cast("F", Loop(function, _nrt=False))


def making(function: F) -> F:
    """The same of one that makes arrays, which numba is needed for."""
    return cast("F", Loop(function))


def inlined(function: F) -> F:
    """The same as `compiled` of a short one that others call."""
    return cast("F", Loop(function, _nrt=False, forceinline=True))


def as_bytes(buffer: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> Bytes:
    """The bytes, not to be written to: loops are compiled for such only, whatever they lie in."""
    data = np.frombuffer(buffer, np.uint8)
    data.flags.writeable = False
    return data


def _numba() -> Any:
    """The compiler, which takes a while to load."""
    numba = import_module("numba")
    numba.config.CACHE_DIR = CACHE
    return numba


def _cache_directory() -> tuple[str, str]:
    """Where compiled code is kept, and why not for long, where it is not.

    It goes by all of this stage's code: numba itself would not see that a function called has changed.
    """
    code = sorted(Path(__file__).parent.rglob("*.py"))
    name = cached.name_of(*code, Path(objectcode.__file__))
    try:
        directory = cached.home() / name
        cached.hold(directory)
    except (OSError, RuntimeError) as error:  # no home, or none that can be written
        scratch = Path(tempfile.mkdtemp(prefix="replay-"))
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        cached.make(scratch / cached.FOLDER / name)
        return str(scratch / cached.FOLDER / name), str(error)
    return str(directory), ""


ZERO, ONE, TWO = place(0), place(1), place(2)
CACHE, UNKEPT = _cache_directory()
"""The directory of what is compiled; and why it goes when this process ends, else nothing."""
