"""The compiled loops of one file, called without the compiler that made them (see `replay.objectcode`).

A function is called as numba's own code calls it: an array is handed on as its parts, a tuple as its
members.
"""

import ctypes
import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from replay import cached
from replay.objectcode import ObjectCode, machine

Kinds = tuple[Any, ...]
"""What tells one compiled function from another of the same loop: a kind an argument."""
Entry = Callable[..., Any]

_LARGEST = (1 << 63) - 1
_CONTIGUOUS, _BY_COLUMN, _ALIGNED, _WRITEABLE = 0x1, 0x2, 0x100, 0x400  # numpy's flags
_FLAGS = _CONTIGUOUS | _BY_COLUMN | _ALIGNED | _WRITEABLE
_SCALARS = {bool: "?", np.bool_: "?", np.uint64: "Q", np.int64: "q", np.uint8: "B", float: "d"}
_TYPES: dict[str, Any] = {
    "q": ctypes.c_int64,
    "Q": ctypes.c_uint64,
    "B": ctypes.c_uint8,
    "?": ctypes.c_uint8,
    "d": ctypes.c_double,
}
_WRITTEN = {"p": "ptr", "q": "i64", "Q": "i64", "B": "i8", "?": "i8", "d": "double"}  # by LLVM


def kinds_of(args: tuple[Any, ...]) -> Kinds:
    """The kinds of arguments; None in the place of what no library has a function for."""
    return tuple([_kind(arg) for arg in args])


def _kind(arg: Any) -> Any:
    of = type(arg)
    if of is np.ndarray:
        flags = arg.flags.num & _FLAGS
        return arg.dtype.char, arg.ndim, flags & ~_BY_COLUMN if flags & _CONTIGUOUS else flags
    if of is int:
        return "q" if -_LARGEST <= arg <= _LARGEST else None
    if issubclass(of, tuple):
        return of.__name__, *(_kind(member) for member in arg)
    return _SCALARS.get(of)


def entry(directory: str, name: str, kinds: Kinds) -> Entry | None:
    """The loop of that name for arguments of those kinds; None where no library there has it."""
    key = key_of(name, kinds)
    for library in _libraries(directory):
        if key in library.index:
            return library.entry(key, kinds)
    return None


def write(directory: str, name: str, code: bytes, index: dict[str, tuple[str, str]]) -> None:
    """Keep a library: an object file, and by name and kinds of a loop its symbol and what it gives."""
    stem = Path(directory) / f"{name}-{machine()}"
    head = json.dumps({"digest": _digest(code), "index": index})
    cached.write(stem.with_suffix(".o"), code)
    cached.write(stem.with_suffix(".json"), head.encode())


def names(directory: str) -> set[str]:
    """Names of the loops that libraries there have."""
    return {key.partition(" ")[0] for library in _libraries(directory) for key in library.index}


def look_again() -> None:
    """See libraries that were made since."""
    _libraries.cache_clear()


def leaves(kinds: Iterable[Any]) -> str:
    """What is handed on for arguments of those kinds, a letter each: a pointer, or a number's kind."""
    found = ""
    for kind in kinds:
        if isinstance(kind, str):
            found += kind
        elif isinstance(kind[1], int) and len(kind) == 3:
            found += "ppqqp" + "qq" * kind[1]
        else:
            found += leaves(kind[1:])
    return found


def key_of(name: str, kinds: Kinds) -> str:
    """What a library knows a loop by."""
    return f"{name} {kinds!r}"


def fits(kinds: Kinds, types: list[str]) -> bool:
    """Whether a function with LLVM's types can be called with arguments of those kinds."""
    return types[2:] == [_WRITTEN[letter] for letter in leaves(kinds)]


class Library:
    """One library in memory."""

    def __init__(self, code: bytes, index: dict[str, tuple[str, str]]) -> None:
        self._code, self.index = code, index

    @cached_property
    def _loaded(self) -> ObjectCode:
        return ObjectCode(self._code)

    def entry(self, key: str, kinds: Kinds) -> Entry:
        """A function of the library, to be called with arguments of those kinds."""
        symbol, gives = self.index[key]
        types = [_TYPES.get(letter, ctypes.c_void_p) for letter in leaves(kinds)]
        fields = [(f"member_{at}", _TYPES[letter]) for at, letter in enumerate(gives or "q")]
        given: Any = type("Given", (ctypes.Structure,), {"_fields_": fields})
        pointers: list[Any] = [ctypes.POINTER(given), ctypes.POINTER(ctypes.c_void_p)]
        call = self._loaded.function(symbol, *pointers, *types)

        def run(*args: Any) -> Any:
            parts: list[Any] = []
            _take_apart(args, parts)
            found, failure = given(), ctypes.c_void_p()
            if call(found, failure, *parts):
                raise ArithmeticError(f"{key}: a compiled loop failed")
            members = [getattr(found, name) for name, _ in fields]
            members = [
                bool(m) if kind == "?" else m for m, kind in zip(members, gives, strict=False)
            ]
            return (members[0] if len(gives) == 1 else tuple(members)) if gives else None

        return run


def _take_apart(args: Iterable[Any], parts: list[Any]) -> None:
    """What numba hands on of arguments: its manager and parent of an array are for itself."""
    for arg in args:
        if type(arg) is np.ndarray:
            data = arg.__array_interface__["data"][0]
            parts += (None, None, arg.size, arg.itemsize, data, *arg.shape, *arg.strides)
        elif isinstance(arg, tuple):
            _take_apart(arg, parts)
        else:
            parts.append(arg if type(arg) is float else int(arg))


@cache
def _libraries(directory: str) -> list[Library]:
    """All that were made for this machine."""
    found = []
    for head in sorted(Path(directory).glob(f"*-{machine()}.json")):
        told = json.loads(head.read_bytes())
        code = head.with_suffix(".o").read_bytes()
        if told["digest"] == _digest(code):
            found.append(Library(code, told["index"]))
    return found


def _digest(code: bytes) -> str:
    return hashlib.blake2b(code, digest_size=16).hexdigest()
