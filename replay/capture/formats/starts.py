"""Where lines begin in a block of a log, and which of them begin with a time stamp.

All of it on the raw bytes, eight at a time, because every byte of a hundred gigabytes passes here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replay.capture.formats.columns import Ints

Words = npt.NDArray[np.uint64]
Block = bytes | memoryview

STAMP = 24  # bytes of `2026-01-31 23:59:59.123 `, before the zone
_STAMPED = b"dddd-dd-dd dd:dd:dd.ddd "  # d: a digit
_HEAD = 32  # bytes; any record has more
_STEP = 1 << 19  # bytes looked at together: they stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """Time stamps in a block, with what stands behind them."""

    at: Ints  # positions, ascending
    heads: Words  # four rows: the 32 bytes from each position on, the first byte lowest

    @classmethod
    def read(cls, block: Block, at: Ints) -> "Stamps":
        """The stamps at known positions."""
        every = np.ndarray((max(0, len(block) - _HEAD + 1),), f"V{_HEAD}", block, strides=(1,))
        heads = np.ascontiguousarray(every[at].view("<u8").reshape(-1, _HEAD // 8).T)
        return cls(at=at, heads=heads)

    def only(self, which: npt.NDArray[np.bool_]) -> "Stamps":
        """Some of them."""
        return self if which.all() else Stamps(at=self.at[which], heads=self.heads[:, which])


def positions(block: Block, byte: int) -> Ints:
    """Positions of a byte that is rare: words without it are passed over first."""
    found = np.zeros(_STEP, np.bool_)
    inside, words = [], []
    for begin in range(0, len(block), _STEP):
        part = np.frombuffer(block[begin : begin + _STEP], np.uint8)
        np.equal(part, byte, out=found[: len(part)])
        found[len(part) :] = False
        step = found.view(np.uint64)
        some = np.flatnonzero(step != 0)
        inside.append(some + begin // 8)
        words.append(step[some])
    if not words:
        return np.zeros(0, np.int64)
    places = np.flatnonzero(np.concatenate(words).view(np.bool_))
    found_at: Ints = np.concatenate(inside)[places >> 3] * 8 + (places & 7)
    return found_at


def line_begins(block: Block) -> Ints:
    """Where lines begin; the end of the block, behind its last newline, is none."""
    after = positions(block, 0x0A) + 1
    if len(after) and after[-1] == len(block):
        after = after[:-1]
    return np.concatenate([np.zeros(min(1, len(block)), np.int64), after])


def stamps(block: Block, at: Ints) -> Stamps:
    """Those of the positions at which `2026-01-31 23:59:59.123 ` stands, and more behind it."""
    found = Stamps.read(block, at[at <= len(block) - _HEAD])
    amiss = np.zeros(len(found.at), np.uint64)
    for words, model, above in zip(found.heads, _MODEL, _ABOVE, strict=False):
        beyond = words ^ model
        amiss |= beyond
        beyond += above
        amiss |= beyond
    found = found.only((amiss & _HIGH) == 0)
    return found.only(_is_moment(*found.heads[:3]))


def _is_moment(day: Words, minute: Words, second: Words) -> npt.NDArray[np.bool_]:
    """Whether month, day, hour, minute and second are such."""
    month, of_month, hour = digits(day, 5, 2), digits(minute, 0, 2), digits(minute, 3, 2)
    right = (month >= 1) & (month <= 12) & (of_month >= 1) & (of_month <= 31) & (hour <= 24)
    found: npt.NDArray[np.bool_] = (
        right & (digits(minute, 6, 2) <= 59) & (digits(second, 1, 2) <= 60)
    )
    return found


def digits(words: Words, first: int, count: int) -> Ints:
    """The number that so many digits from a byte of the words on make."""
    number = np.zeros(len(words), np.uint64)
    for place in range(first, first + count):
        number *= np.uint64(10)
        number += (words >> np.uint64(8 * place)) & np.uint64(0x0F)
    return number.view(np.int64)


def outside_quotes(block: Block, found: Stamps) -> Stamps:
    """Those of the stamps that have an even number of quotes before them in the block."""
    quotes = positions(block, 0x22)
    return found.only(np.searchsorted(quotes, found.at) % 2 == 0)


# What is left of a byte when its model is taken out is at most 9 where a digit should be, and 0
# elsewhere: what is more reaches the byte's highest bit when the rest up to it is added.
_MODEL = np.frombuffer(_STAMPED.replace(b"d", b"0"), "<u8")
_ABOVE = np.frombuffer(bytes(0x76 if byte == ord("d") else 0x7F for byte in _STAMPED), "<u8")
_HIGH = np.uint64(0x8080808080808080)
