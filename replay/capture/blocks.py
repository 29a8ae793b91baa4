"""Logs as blocks of whole records, those of several inputs in the order of their time."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replay.capture.formats.columns import Format
from replay.capture.inputs import Input, open_stream, position
from replay.capture.kernels import as_bytes
from replay.capture.packed import BREAKS_OFF
from replay.capture.slots import NOWHERE, Slots
from replay.capture.words import count_in

_BLOCK = 16 << 20  # bytes
_RECORD_AT_MOST = 256 << 20  # a longer one is no record
_HEAD = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole records of one input, which stand together in it."""

    input: Input
    data: memoryview
    offset: int  # in the unpacked input
    read: int  # bytes on disk, up to the block's end or beyond
    slot: int = NOWHERE  # that it lies in


class Lines:
    """How many lines of each input stand before the block that is looked at; they come in order."""

    def __init__(self) -> None:
        self._before: Counter[Path] = Counter()

    def place_of(self, block: Block, offset: int) -> str:
        """`file:line` of an offset in the block."""
        line = self._before[block.input.path] + 1 + lines_in(block.data[:offset])
        return f"{block.input.name}:{line}"

    def passed(self, block: Block, lines: int) -> None:
        """The block has been looked at; so many lines end in it."""
        self._before[block.input.path] += lines


BrokeOff = Callable[[Input, Exception], None]


def blocks_of(
    inputs: Sequence[Input],
    broke_off: BrokeOff,
    slots: Slots | None = None,
    first: int = _BLOCK,
) -> Iterator[Block]:
    """All blocks of inputs that come in order of their first record.

    `broke_off` is told of an input that cannot be read to its end. They are read into slots, as far
    as some are free. `first` bytes of an input are its first block, and each is twice as large as the one
    before until they have their usual size.
    """
    slots = slots or Slots(0)
    if len(inputs) == 1:
        yield from _blocks(inputs[0], broke_off, slots, first)
        return
    waiting = list(reversed(inputs))
    heads: list[tuple[int, int, Block, Iterator[Block]]] = []
    while waiting or heads:
        while waiting and (not heads or waiting[-1].started_us <= heads[0][0]):
            _push(heads, len(waiting), _blocks(waiting.pop(), broke_off, slots, first))
        if heads:
            _, order, block, rest = heapq.heappop(heads)
            yield block
            _push(heads, order, rest)


def _push(
    heads: list[tuple[int, int, Block, Iterator[Block]]], order: int, rest: Iterator[Block]
) -> None:
    block = next(rest, None)
    if block is not None:
        heapq.heappush(heads, (_first_us(block), -order, block, rest))


def _first_us(block: Block) -> int:
    """When the block's first record was logged; that of its input where it cannot be read."""
    head = block.data[:_HEAD]
    end = block.input.format.cut(head, whole_file=len(head) == len(block.data))
    columns = block.input.format.parse(head[:end])
    return int(columns.at_us[0]) if len(columns) else block.input.started_us


def _blocks(log: Input, broke_off: BrokeOff, slots: Slots, first: int) -> Iterator[Block]:
    offset = 0
    for whole, slot, read in _whole_records(log, broke_off, slots, first):
        size = len(whole)
        yield Block(input=log, data=whole, offset=offset, read=read, slot=slot)
        offset += size


def _whole_records(
    log: Input, broke_off: BrokeOff, slots: Slots, size: int
) -> Iterator[tuple[memoryview, int, int]]:
    """Whole records, the slot that they lie in, and how many bytes were read on disk."""
    rest = b""
    read, ended = 0, False
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open_stream(log))
        except BREAKS_OFF as error:
            broke_off(log, error)
            return
        while not ended:
            data, slot = slots.take(len(rest) + min(size, _BLOCK))
            size *= 2
            data[: len(rest)] = rest
            filled = len(rest)
            try:
                while filled < len(data) and (more := stream.readinto(data[filled:])):
                    filled += more
                read = position(stream)
            except BREAKS_OFF as error:
                broke_off(log, error)
                ended = True
            ended = ended or filled < len(data)
            end = _end_of(log.format, data[:filled], whole_file=ended)
            rest = bytes(data[end:filled])
            if end:
                yield data[:end], slot, read
            else:
                slots.give_back(slot)


def _end_of(log_format: Format, data: memoryview, *, whole_file: bool) -> int:
    if whole_file or len(data) > _RECORD_AT_MOST:
        return len(data)
    return log_format.cut(data, whole_file=False)


def lines_in(data: memoryview) -> int:
    """How many lines end in the data."""
    return int(count_in(as_bytes(data), np.uint8(10)))
