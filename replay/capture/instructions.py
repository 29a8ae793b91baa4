"""What the compiler's language has and numba has not: loads of several bytes from an array, and bits."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.registry import cpu_target

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_WHOLE = ir.IntType(128)
_MANY = ir.VectorType(_BYTE, 64)
_Generated = tuple[Any, Callable[..., Any]]
written: Callable[[Callable[..., _Generated]], Any] = extending.intrinsic
"""Makes a function of compiled code of one that writes the compiler's language."""


def type_of(instruction: Any) -> Any:
    """What numba knows it as."""
    context = cpu_target.typing_context
    context.refresh()
    return context.resolve_value_type(instruction)


def _pointer(context: Any, builder: Any, array: Any, value: Any, at: Any, kind: Any) -> Any:
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _loaded(context: Any, builder: Any, signature: Any, args: Any, kind: Any) -> Any:
    pointer = _pointer(context, builder, signature.args[0], args[0], args[1], kind)
    return builder.load(pointer, align=1)


def _splat(builder: Any, byte: Any) -> Any:
    """The byte sixty-four times."""
    lane, lanes = ir.IntType(32), ir.VectorType(ir.IntType(32), 64)
    first = builder.insert_element(ir.Constant(_MANY, ir.Undefined), byte, lane(0))
    return builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * 64))


@written
def word_at(_typing: Any, data: Any, at: Any) -> _Generated:
    """Eight bytes, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _loaded(context, builder, signature, args, _WORD)

    return types.uint64(data, at), generate


@written
def within(_typing: Any, data: Any, at: Any, _first: Any, _count: Any) -> _Generated:
    """Which of sixty-four bytes are among `count` from `first` on: a bit each, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = _loaded(context, builder, signature, args, _MANY)
        above = builder.sub(loaded, _splat(builder, args[2]))
        found = builder.icmp_unsigned("<", above, _splat(builder, args[3]))
        return builder.bitcast(found, _WORD)

    return types.uint64(data, at, types.uint8, types.uint8), generate


@written
def alike(_typing: Any, data: Any, one: Any, other: Any) -> _Generated:
    """Which of sixty-four bytes are the same at two places: a bit each, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = signature.args[0]
        first = builder.load(_pointer(context, builder, array, args[0], args[1], _MANY), align=1)
        second = builder.load(_pointer(context, builder, array, args[0], args[2], _MANY), align=1)
        return builder.bitcast(builder.icmp_unsigned("==", first, second), _WORD)

    return types.uint64(data, one, other), generate


@written
def put(_typing: Any, _out: Any, _at: Any, _data: Any, _begin: Any, _size: Any) -> _Generated:
    """Write so many bytes of the data, from a place on, to a place of another array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _pointer(context, builder, signature.args[0], args[0], args[1], _BYTE)
        source = _pointer(context, builder, signature.args[2], args[2], args[3], _BYTE)
        cgutils.raw_memcpy(builder, to, source, args[4], 1)
        return args[4]

    return types.uint64(_out, types.uint64, _data, types.uint64, types.uint64), generate


@written
def fetch(_typing: Any, data: Any, at: Any) -> _Generated:
    """Have a place's bytes brought near before they are asked for."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], _BYTE)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, number(0), number(3), number(1)])  # read; keep; data
        return context.get_dummy_value()

    return types.void(data, at), generate


@written
def product(_typing: Any, _one: Any, _other: Any) -> _Generated:
    """Both halves of a product, one on the other: what wyhash (Wang Yi) mixes with."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        whole = builder.mul(*(builder.zext(arg, _WHOLE) for arg in args))
        high = builder.lshr(whole, ir.Constant(_WHOLE, 64))
        return builder.xor(builder.trunc(whole, _WORD), builder.trunc(high, _WORD))

    return types.uint64(types.uint64, types.uint64), generate


@written
def first_of_bits(_typing: Any, _word: Any) -> _Generated:
    """The place of the lowest bit that is set; 64 where none is."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(0))

    return types.uint64(types.uint64), generate


@written
def count_of_bits(_typing: Any, _word: Any) -> _Generated:
    """How many bits are set."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate
