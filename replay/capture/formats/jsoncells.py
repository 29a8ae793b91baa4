"""Fields of one JSON object a line, found in two passes, where every line is as it should be.

The first finds the quotes of strings, sixty-four bytes at once; the second goes from quote to quote,
and looks at every byte outside of strings.
"""

import numpy as np

from replay.capture.formats.cells import FIELDS, MORE, WRONG, Cells, code
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.texts import ESCAPED, PLAIN
from replay.capture.kernels import ONE, TWO, Bytes, Ints, Number, as_bytes, compiled, inlined, place
from replay.capture.words import (
    AT_ONCE,
    EIGHT,
    Places,
    count_of_bits,
    holds,
    places_in,
    put_bits,
    running,
    up_to,
    within,
)

# jsonlog's names of the fields that are wanted, and of what else is; each with its number.
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
_OTHERS = ("timestamp", "line_num", "query_id", "session_start")
_KEYS = [*(_NAMES[field] for field in FIELDS), *_OTHERS]
_TIMESTAMP, _LINE, _QUERY_ID, _STARTED = range(len(FIELDS), len(_KEYS))
_AT_MOST = place(16)  # bytes of a key
_WORDS = np.array([key.ljust(16, "\0").encode() for key in _KEYS]).view(np.uint64).reshape(-1, 2)
_SIZES = np.array([len(key) for key in _KEYS], np.uint64)
_SLOT_BITS = place(56)  # left out of the product
_ALL = 7  # bits of what a record must have


def _slots() -> tuple[np.uint64, Ints]:
    """A factor that gives every key a slot of its own, and the keys by slot; -1 for none."""
    draws = np.random.default_rng(1)
    while True:
        factor = draws.integers(1 << 63, 1 << 64, dtype=np.uint64) | ONE
        slots = ((_WORDS[:, 0] ^ _WORDS[:, 1]) * factor) >> _SLOT_BITS
        if np.unique(slots).size == slots.size:
            keys = np.full(256, -1)
            keys[slots] = np.arange(slots.size)
            return factor, keys


_FACTOR, _KEY_IN = _slots()


def split(block: memoryview) -> tuple[Cells, int] | None:
    """The fields, and the number of records; None where one is not as it should be, or there is none."""
    data = as_bytes(block)
    quotes, window = places_in(data), np.zeros(int(AT_ONCE), np.uint8)
    count, lines = _index(data, quotes, window)
    if count == MORE:
        quotes = places_in(data, each=True)
        count, lines = _index(data, quotes, window)
    if count <= 0:
        return None
    found = Cells.room(lines + 1)
    records = _take(data, quotes[:count], found)
    if records == MORE:
        found = Cells.more_room(lines + 1)
        records = _take(data, quotes[:count], found)
    return (found, records) if records > 0 else None


@compiled
def _index(data: Bytes, quotes: Places, window: Bytes) -> tuple[Number, Number]:
    """Find the quotes of strings, and how many line breaks are outside of any; or WRONG, or MORE."""
    size = place(data.size)
    nothing, once, controls = np.uint8(0), np.uint8(1), np.uint8(32)
    quote, slash, line = np.uint8(34), np.uint8(92), np.uint8(10)
    at, count, ended = place(0), place(0), place(0)
    inside, escaped_first = place(0), place(0)
    while at < size:
        if at + AT_ONCE <= size:
            found = within(data, at, quote, once)
            slashes = within(data, at, slash, once)
            low = within(data, at, nothing, controls)
            lines = within(data, at, line, once)
        else:
            window[:] = 48
            for step in range(size - at):
                window[step] = data[at + step]
            found = within(window, place(0), quote, once)
            slashes = within(window, place(0), slash, once)
            low = within(window, place(0), nothing, controls)
            lines = within(window, place(0), line, once)
        escaped = escaped_first
        slashes &= ~escaped
        escaped_first = place(0)
        while slashes:
            bit = slashes & (~slashes + ONE)
            escaped |= bit << ONE
            escaped_first = bit >> place(63)
            slashes &= ~(bit | bit << ONE)
        found &= ~escaped
        quoted = running(found) ^ inside
        inside = place(np.int64(quoted) >> 63)
        if low & quoted:
            return WRONG, 0
        ended += count_of_bits(lines)
        if count + AT_ONCE > place(quotes.size):
            return MORE, 0
        count = put_bits(found, at, quotes, count)
        at += AT_ONCE
    return (WRONG if inside else np.int64(count)), np.int64(ended)


@compiled
def _take(data: Bytes, quotes: Places, found: Cells) -> Number:
    """Take the fields that are wanted; how many records there are, or WRONG, or MORE."""
    size, count = place(data.size), place(quotes.size)
    at, quote, row, known, minute = place(0), place(0), 0, 0, found.minute
    while True:
        while at < size and (data[at] == 10 or data[at] == 13):
            at += ONE
        if at >= size:
            return row
        if data[at] != 123:  # {
            return WRONG
        found.records[0, row] = at
        seen = 0
        at += ONE
        while True:
            # The key's two quotes, a colon, and the first byte of what follows.
            if quote + ONE >= count or place(quotes[quote]) != at:
                return WRONG
            begin, end = at + ONE, place(quotes[quote + ONE])
            quote += TWO
            at = end + TWO
            if at >= size or data[end + ONE] != 58:
                return WRONG
            key = _key(data, begin, end)
            is_text = data[at] == 34
            if is_text:
                if quote + ONE >= count:
                    return WRONG
                begin, end = at + ONE, place(quotes[quote + ONE])
                quote += TWO
                at = end + ONE
            else:
                begin = at
                while at < size and _in_number(data[at]):
                    at += ONE
                end = at
                if begin == end:
                    return WRONG
            if at >= size:
                return WRONG
            if key == _TIMESTAMP:
                found.numbers[0, row] = local_us(data, begin, minute)
                if (
                    found.numbers[0, row] < 0
                    or end <= begin + STAMPED
                    or holds(data, begin, end, 92)
                ):
                    return WRONG
                zone = zone_at(data, begin + STAMPED, end, found.zones, known)
                if zone < 0:
                    return WRONG
                known = max(known, zone + 1)
                found.numbers[1, row] = zone
                seen |= 1
            elif key == _LINE:
                found.numbers[2, row], right = number(data, begin, end)
                if not right:
                    return WRONG
                seen |= 2
            elif key == _QUERY_ID:
                found.numbers[3, row], right = number(data, begin, end)
                if not right:
                    return WRONG
            elif key == _STARTED:
                found.started[0, row], found.started[1, row] = begin, end
            elif key >= 0:
                seen |= 4 * (key == 0)
                found.begins[key, row], found.ends[key, row] = begin, end
                found.marks[key, row] = (
                    ESCAPED if is_text and holds(data, begin, end, 92) else PLAIN
                )
            if data[at] != 44:  # ,
                break
            at += ONE
        if data[at] != 125 or seen != _ALL:  # }
            return WRONG
        at += ONE
        if at < size and data[at] == 13:
            at += ONE
        if at < size:
            if data[at] != 10:
                return WRONG
            at += ONE
        found.records[1, row] = at
        right = code(
            data,
            found.begins,
            found.ends,
            found.codes,
            found.firsts,
            found.counts,
            found.table,
            found.last,
            place(row),
        )
        if not right:
            return MORE
        row += 1


@inlined
def _in_number(byte: Number) -> Number:
    """Whether a byte may stand in a number, or in true, false and null."""
    return 48 <= byte <= 57 or 97 <= byte <= 122 or byte in (43, 45, 46, 69)


@inlined
def _key(data: Bytes, begin: np.uint64, end: np.uint64) -> Number:
    """Which key it is; -1 for none that is wanted."""
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
