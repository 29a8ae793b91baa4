"""Memory by its address and the system's calls, for compiled code."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_Generated = tuple[Any, Callable[..., Any]]
_F = TypeVar("_F", bound=Callable[..., Any])
_written: Callable[[Callable[..., _Generated]], Callable[..., int]] = extending.intrinsic
_i32, _i64 = types.int32, types.int64


def compiled(function: _F) -> _F:
    """The function, for compiled code to call; it makes nothing that has to be counted."""
    return cast("_F", njit(_nrt=False, nogil=True, error_model="numpy")(function))


def inlined(function: _F) -> _F:
    """The same of a short one."""
    options = {"_nrt": False, "nogil": True, "error_model": "numpy", "forceinline": True}
    return cast("_F", njit(**options)(function))


def _system(name: str, gives: Any, *takes: Any) -> Callable[..., int]:
    """A function of the C library's; a pointer is an address."""
    return cast("Callable[..., int]", types.ExternalFunction(name, gives(*takes)))


c_read = _system("read", _i64, _i32, _i64, _i64)
c_write = _system("write", _i64, _i32, _i64, _i64)
c_epoll_wait = _system("epoll_wait", _i32, _i32, _i64, _i32, _i32)
c_clock_gettime = _system("clock_gettime", _i32, _i32, _i64)
c_timerfd_settime = _system("timerfd_settime", _i32, _i32, _i32, _i64, _i64)


@_written
def get(_typing: Any, _address: Any) -> _Generated:
    """The number at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], _WORD.as_pointer()), align=1)

    return _i64(_i64), generate


@_written
def put(_typing: Any, _address: Any, _value: Any) -> _Generated:
    """Write a number to an address."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(_i64, _i64), generate


@_written
def put_byte(_typing: Any, _address: Any, _value: Any) -> _Generated:
    """Write a byte to an address."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = builder.trunc(args[1], _BYTE)
        builder.store(value, builder.inttoptr(args[0], _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(_i64, _i64), generate


@_written
def byte(_typing: Any, _address: Any) -> _Generated:
    """The byte at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        loaded = builder.load(builder.inttoptr(args[0], _BYTE.as_pointer()))
        return builder.zext(loaded, _WORD)

    return _i64(_i64), generate


@_written
def copy(_typing: Any, _to: Any, _source: Any, _size: Any) -> _Generated:
    """Copy so many bytes from one address to another."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointers = [builder.inttoptr(at, _BYTE.as_pointer()) for at in args[:2]]
        cgutils.raw_memcpy(builder, *pointers, args[2], 1)
        return context.get_dummy_value()

    return types.void(_i64, _i64, _i64), generate


@inlined
def big(at: int, size: int) -> int:
    """An unsigned number of so many bytes, the highest first."""
    found = 0
    for n in range(size):
        found = (found << 8) | byte(at + n)
    return found


@inlined
def signed_big(at: int) -> int:
    """A number of four bytes, the highest first."""
    found = big(at, 4)
    return found - (1 << 32) if found >= 1 << 31 else found
