"""Eight or sixty-four bytes of a log at once, in compiled code, on whatever the processor has for that.

Nothing here looks whether the array goes on so far, but where it says so.
"""

import numpy as np
import numpy.typing as npt

from replay.capture.kernels import ONE, TWO, Bytes, Instruction, Number, compiled, inlined, place

Places = npt.NDArray[np.uint32]

AT_ONCE = place(64)
EIGHT, SIXTEEN = place(8), place(16)
_AHEAD = 8  # rows
_HIGH = np.uint64(0x8080808080808080)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)

word_at = Instruction("word_at")
within = Instruction("within")
alike = Instruction("alike")
put = Instruction("put")
product = Instruction("product")
fetch = Instruction("fetch")
first_of_bits = Instruction("first_of_bits")
count_of_bits = Instruction("count_of_bits")


def places_in(data: Bytes, *, each: bool = False) -> Places:
    """Room for the places of some bytes in the data: one in four, or each, may be such."""
    return np.empty((data.size if each else data.size // 4) + 2 * int(AT_ONCE), np.uint32)


@inlined
def put_bits(bits: np.uint64, at: np.uint64, places: Places, count: np.uint64) -> np.uint64:
    """Write where each bit that is set stands, counted from `at`, behind so many; how many then are.

    Eight at a time, because a processor guesses wrongly how many there are: there must be room for
    as many as a word has bits.
    """
    behind = place(count + count_of_bits(bits))
    while count < behind:
        for step in range(8):
            places[count + place(step)] = at + first_of_bits(bits)
            bits &= bits - ONE
        count += EIGHT
    return behind


@inlined
def fetch_text(data: Bytes, begins: npt.NDArray[np.int32], row: Number) -> None:
    """Have the text of a row to come brought near: a block is larger than a processor's own memory."""
    if row + _AHEAD < begins.size:
        at = place(begins[row + _AHEAD])
        fetch(data, at)
        fetch(data, at + AT_ONCE)


@inlined
def eight(data: Bytes, at: np.uint64) -> np.uint64:
    """Eight bytes, the first one lowest; those beyond the array's end are 0."""
    size = place(data.size)
    if at + EIGHT <= size:
        return np.uint64(word_at(data, at))
    word = place(0)
    for step in range(size - min(at, size)):
        word |= place(data[at + step]) << (EIGHT * place(step))
    return word


@inlined
def up_to(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """At most eight bytes, as far as a text goes."""
    word = eight(data, at)
    return word if end - at >= EIGHT else word & ((ONE << (EIGHT * (end - at))) - ONE)


@inlined
def same(data: Bytes, one: np.uint64, other: np.uint64, size: np.uint64) -> bool:
    """Whether the same bytes stand at two places."""
    step = place(0)
    ahead = place(data.size) - max(one, other)
    while step + AT_ONCE <= ahead and step < size:
        differ = ~alike(data, one + step, other + step)
        left = size - step
        if (differ << (AT_ONCE - left) if left < AT_ONCE else differ) != place(0):
            return False
        step += AT_ONCE
    while step < size:
        if up_to(data, one + step, one + size) != up_to(data, other + step, other + size):
            return False
        step += EIGHT
    return True


@inlined
def find(data: Bytes, at: np.uint64, end: np.uint64, byte: Number) -> np.uint64:
    """Where a byte first stands in a text; its end where it does not."""
    once = np.uint8(1)
    while at < end:
        if at + AT_ONCE <= place(data.size):
            found = within(data, at, np.uint8(byte), once)
            if found:
                return min(at + first_of_bits(found), end)
            at += AT_ONCE
        elif data[at] == byte:
            return at
        else:
            at += ONE
    return end


@inlined
def holds(data: Bytes, at: np.uint64, end: np.uint64, byte: Number) -> bool:
    """Whether a byte stands somewhere in a text."""
    once = np.uint8(1)
    while at + AT_ONCE <= place(data.size) and at < end:
        found = within(data, at, np.uint8(byte), once)
        if end - at < AT_ONCE:
            found &= (ONE << (end - at)) - ONE
        if found:
            return True
        at += AT_ONCE
    while at < end:
        if data[at] == byte:
            return True
        at += ONE
    return False


@inlined
def digits(word: np.uint64) -> bool:
    """Whether eight bytes are digits."""
    return below_ten(word ^ _ZEROS)


@inlined
def below_ten(word: np.uint64) -> bool:
    """Whether eight bytes are numbers below ten."""
    return bool((((word + _ABOVE_NINE) | word) & _HIGH) == 0)


@inlined
def number_of(word: np.uint64) -> np.uint64:
    """The number that eight digits make."""
    pairs = (word ^ _ZEROS) * place(2561) >> EIGHT  # 10 times each, and the next one
    fours = (pairs & place(0x00FF00FF00FF00FF)) * place(6553601) >> place(16)
    return (fours & place(0x0000FFFF0000FFFF)) * place(42949672960001) >> place(32)


@inlined
def running(bits: np.uint64) -> np.uint64:
    """Whether the bits up to each, itself among them, are odd in number."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits ^= bits << place(shift)
    return bits


@compiled
def stands_in(data: Bytes, word: Bytes) -> bool:
    """Whether a word of three bytes or more stands somewhere in the data."""
    size, count, at, once = place(data.size), place(word.size), place(0), np.uint8(1)
    while at + AT_ONCE + count <= size:
        found = within(data, at, word[0], once) & within(data, at + ONE, word[1], once)
        found &= within(data, at + TWO, word[2], once)
        while found:
            if _is_at(data, at + first_of_bits(found), word):
                return True
            found &= found - ONE
        at += AT_ONCE
    while at + count <= size:
        if _is_at(data, at, word):
            return True
        at += ONE
    return False


@inlined
def _is_at(data: Bytes, at: np.uint64, word: Bytes) -> bool:
    for step in range(word.size):
        if data[at + place(step)] != word[step]:
            return False
    return True


@compiled
def is_at(data: Bytes, at: Number, end: Number, word: Bytes) -> bool:
    """Whether a word stands there, ahead of the end."""
    if at + word.size > end:
        return False
    for step in range(word.size):
        if data[at + step] != word[step]:
            return False
    return True


@compiled
def count_in(data: Bytes, byte: np.uint8) -> np.uint64:
    """How often a byte stands in the data."""
    size, at, count = place(data.size), place(0), place(0)
    while at + AT_ONCE <= size:
        count += count_of_bits(within(data, at, byte, np.uint8(1)))
        at += AT_ONCE
    while at < size:
        count += place(data[at] == byte)
        at += ONE
    return count
