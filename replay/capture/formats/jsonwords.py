"""What stands in a line of JSON: keys that are known, texts and numbers, and where each ends."""

import numpy as np

from replay.capture.formats.cells import FIELDS, NAMED
from replay.capture.formats.texts import ESCAPED, PLAIN
from replay.capture.kernels import ONE, ZERO, Bytes, Ints, Number, inlined, place
from replay.capture.words import AT_ONCE, EIGHT, first_of_bits, up_to, within

# jsonlog's names of the fields that are wanted, and of what else is known; each with its number.
_NAMES = {
    "session": "session_id",
    "user": "user",
    "database": "dbname",
    "application": "application_name",
    "backend_type": "backend_type",
    "severity": "error_severity",
    "sqlstate": "state_code",
    "message": "message",
    "detail": "detail",
    "context": "context",
    "statement": "statement",
}
_NUMBERS = ("timestamp", "line_num", "query_id")
_OF_SESSION = ("session_start", "pid", "remote_host", "remote_port", "leader_pid")
KEYS = [*(_NAMES[field] for field in FIELDS), *_NUMBERS, *_OF_SESSION]
FIRST_TOLD, BEHIND_TOLD = len(NAMED), len(FIELDS)
TIMESTAMP, LINE, QUERY_ID, STARTED = range(BEHIND_TOLD, BEHIND_TOLD + 4)
_AT_MOST = place(16)  # bytes of a key
_WORDS = np.array([key.ljust(16, "\0").encode() for key in KEYS]).view(np.uint64).reshape(-1, 2)
_SIZES = np.array([len(key) for key in KEYS], np.uint64)
_SLOT_BITS = place(56)  # left out of the product
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_QUOTE, _SLASH, _ZERO_DIGIT = map(np.uint8, b'"\\0')
_ODD = np.uint64(0xAAAAAAAAAAAAAAAA)
_LAST_BIT = place(63)


def _slots() -> tuple[np.uint64, Ints]:
    """A factor that gives every key a slot of its own, and the keys by slot; -1 for none."""
    power = int(_PRIME)
    while True:
        power = power * int(_PRIME) % (1 << 64)
        factor = np.uint64(power)
        slots = ((_WORDS[:, 0] ^ _WORDS[:, 1]) * factor) >> _SLOT_BITS
        if len({*slots.tolist()}) == slots.size:
            keys = np.full(256, -1)
            keys[slots] = np.arange(slots.size)
            return factor, keys


_FACTOR, _KEY_IN = _slots()


@inlined
def key_of(data: Bytes, begin: np.uint64, end: np.uint64) -> Number:
    """Which key it is; -1 for none that is known."""
    size = end - begin
    if size > _AT_MOST:
        return -1
    one, other = up_to(data, begin, end), place(0)
    if size > EIGHT:
        other = up_to(data, begin + EIGHT, end)
    key = _KEY_IN[((one ^ other) * _FACTOR) >> _SLOT_BITS]
    if key < 0 or _WORDS[key, 0] != one or _WORDS[key, 1] != other or _SIZES[key] != size:
        return -1
    return key


@inlined
def text_end(data: Bytes, at: np.uint64) -> tuple[np.uint64, Number]:
    """Where the quote stands that ends a text, and how it is written; the data's size for none."""
    size, mark, escaped_first = place(data.size), PLAIN, ZERO
    nothing, once, controls = np.uint8(0), np.uint8(1), np.uint8(32)
    while at + AT_ONCE <= size:
        quotes = within(data, at, _QUOTE, once)
        slashes = within(data, at, _SLASH, once)
        low = within(data, at, nothing, controls)
        if slashes | escaped_first:
            # Of the slashes of a run, each second one is escaped (simdjson, Langdale and Lemire 2019).
            escaping = slashes & ~escaped_first
            series = ((escaping << ONE) | _ODD) - escaping
            terminal = series ^ _ODD
            quotes &= ~(terminal ^ (slashes | escaped_first))
            escaped_first = (terminal & slashes) >> _LAST_BIT
        before = (quotes - ONE) & ~quotes  # all, where there is no quote
        if low & before:
            return size, mark
        if slashes & before:
            mark = ESCAPED
        if quotes:
            return at + first_of_bits(quotes), mark
        at += AT_ONCE
    skips = escaped_first != ZERO
    while at < size:
        byte = data[at]
        if byte < 32:
            return size, mark
        if byte == 34 and not skips:
            return at, mark
        skips = byte == 92 and not skips
        if skips:
            mark = ESCAPED
        at += ONE
    return size, mark


@inlined
def number_end(data: Bytes, at: np.uint64) -> np.uint64:
    """Where the digits end that stand there, with a sign perhaps; `at` for none."""
    if at + AT_ONCE >= place(data.size):
        return at
    begin = at + place(data[at] == 45)
    end = begin + first_of_bits(~within(data, begin, _ZERO_DIGIT, np.uint8(10)))
    return end if end > begin else at


@inlined
def is_in_number(byte: Number) -> Number:
    """Whether a byte may stand in a number, or in true, false and null."""
    return 48 <= byte <= 57 or 97 <= byte <= 122 or byte in (43, 45, 46, 69)
