"""Loops over the lines of an access log, compiled: fields, times, numbers, request lines."""

import numpy as np
import numpy.typing as npt

from replay.capture.kernels import ONE, ZERO, Bytes, Ints, Number, compiled

__all__ = ["Bytes", "decimals", "instants", "quotes", "request_lines", "split"]

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_DAYS_TO_1970 = 719468  # from the 1st of March of the year 0
_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)


@compiled
def split(
    data: Bytes,
    lines: Ints,
    line_ends: Ints,
    literals: Bytes,
    literal_at: Ints,
    begins: Rows,
    ends: Rows,
    good: Bools,
) -> None:
    """Find the fields of lines: each ends where the literal behind it first stands unescaped.

    The last one ends with its line, and so does a line that has more fields than are known.
    """
    fields = begins.shape[0]
    for row in range(lines.size):
        at, end = np.uint64(lines[row]), np.uint64(line_ends[row])
        if end > at and data[end - ONE] == 13:
            end -= ONE
        right = _stands(data, at, end, literals, literal_at[0], literal_at[1])
        at += np.uint64(literal_at[1] - literal_at[0])
        for field in range(fields):
            if not right:
                break
            first, stop = literal_at[field + 1], literal_at[field + 2]
            begins[field, row] = at
            if first == stop:
                at = _blank(data, at, end) if field == fields - 1 else end
            else:
                at = _until(data, at, end, literals, first, stop)
                right = at < end
            ends[field, row] = at
            at += np.uint64(stop - first)
        good[row] = right and end > np.uint64(lines[row])


@compiled
def _blank(data: Bytes, at: Number, end: Number) -> Number:
    while at < end and data[at] != 32:
        at += ONE
    return at


@compiled
def _stands(
    data: Bytes, at: Number, end: Number, literals: Bytes, first: Number, stop: Number
) -> bool:
    step, after = np.uint64(first), np.uint64(stop)
    if at + (after - step) > end:
        return False
    while step < after:
        if data[at] != literals[step]:
            return False
        step += ONE
        at += ONE
    return True


@compiled
def _until(
    data: Bytes, at: Number, end: Number, literals: Bytes, first: Number, stop: Number
) -> Number:
    """Where a literal stands; the end where it does not. What a backslash precedes is text."""
    byte = literals[np.uint64(first)]
    while at < end:
        if data[at] == 92:
            at += ONE
        elif data[at] == byte and _stands(data, at, end, literals, first, stop):
            return at
        at += ONE
    return end


@compiled
def quotes(data: Bytes, lines: Ints, line_ends: Ints, count: Ints) -> None:
    """How many double quotes each line has; -1 where it has a backslash."""
    for row in range(lines.size):
        at, end = np.uint64(lines[row]), np.uint64(line_ends[row])
        found, escaped = np.int64(0), np.int64(0)
        while at < end:
            found += np.int64(data[at] == 34)
            escaped += np.int64(data[at] == 92)
            at += ONE
        count[row] = -1 if escaped else found


@compiled
def request_lines(data: Bytes, begins: Ints, ends: Ints, found: Rows) -> None:
    """Begin and end of the method and of the target in `GET /a?b HTTP/1.1`; empty in what is none."""
    for row in range(begins.size):
        at, end = np.uint64(begins[row]), np.uint64(ends[row])
        begin = at
        while at < end and 65 <= data[at] <= 90:
            at += ONE
        if at == begin or at + ONE >= end or data[at] != 32:
            continue
        target = at + ONE
        stop = target
        while stop < end and data[stop] != 32:
            stop += ONE
        if stop == target:
            continue
        found[0, row], found[1, row] = begin, at
        found[2, row], found[3, row] = target, stop


@compiled
def decimals(data: Bytes, begins: Ints, ends: Ints, scale: Number, value: Ints) -> None:
    """Numbers with a fraction perhaps, times a power of ten; -1 for what is none, or below 0."""
    for row in range(begins.size):
        value[row] = decimal(data, np.uint64(begins[row]), np.uint64(ends[row]), scale)


@compiled
def decimal(data: Bytes, at: Number, end: Number, scale: Number) -> Number:
    """One of them."""
    if at >= end:
        return -1
    whole, unit, in_fraction = np.int64(0), np.int64(scale), False
    fraction = np.int64(0)
    while at < end:
        byte = data[at]
        if byte == 46 and not in_fraction:
            in_fraction = True
        elif 48 <= byte <= 57:
            digit = np.int64(byte) - 48
            if in_fraction:
                unit //= 10
                fraction += digit * unit
            else:
                whole = whole * 10 + digit
        else:
            return -1
        at += ONE
    return whole * scale + fraction


@compiled
def instants(data: Bytes, begins: Ints, ends: Ints, at_us: Ints) -> None:
    """Epoch µs of `10/Oct/2000:13:55:36 -0700`, in brackets or not, of ISO 8601, or of seconds.

    -1 for what is none of these.
    """
    for row in range(begins.size):
        at, end = np.uint64(begins[row]), np.uint64(ends[row])
        if at < end and data[at] == 91:
            at += ONE
        if end > at and data[end - ONE] == 93:
            end -= ONE
        if end - at >= 26 and data[at + np.uint64(2)] == 47:
            at_us[row] = _of_access_log(data, at, end)
        elif end - at >= 19 and data[at + np.uint64(4)] == 45:
            at_us[row] = _of_iso(data, at, end)
        else:
            at_us[row] = decimal(data, at, end, 1_000_000)


@compiled
def _of_access_log(data: Bytes, at: Number, end: Number) -> Number:
    month = 0
    for number in range(12):
        same = True
        for step in range(3):
            same = same and data[at + np.uint64(3 + step)] == _MONTHS[3 * number + step]
        if same:
            month = number + 1
    if not month:
        return -1
    day, year = _digits(data, at, 2), _digits(data, at + np.uint64(7), 4)
    seconds = _clock(data, at + np.uint64(12))
    ahead = _ahead(data, at + np.uint64(21), end)
    if day < 0 or year < 0 or seconds < 0:
        return -1
    return (_days(year, month, day) * 86_400 + seconds - ahead) * 1_000_000


@compiled
def _of_iso(data: Bytes, at: Number, end: Number) -> Number:
    year, month = _digits(data, at, 4), _digits(data, at + np.uint64(5), 2)
    day, seconds = _digits(data, at + np.uint64(8), 2), _clock(data, at + np.uint64(11))
    if year < 0 or month < 1 or month > 12 or day < 1 or seconds < 0:
        return -1
    at += np.uint64(19)
    fraction, unit = np.int64(0), np.int64(1_000_000)
    if at < end and data[at] in (46, 44):
        at += ONE
        while at < end and 48 <= data[at] <= 57:
            unit //= 10
            fraction += (np.int64(data[at]) - 48) * unit
            at += ONE
    ahead = _ahead(data, at, end)
    return (_days(year, month, day) * 86_400 + seconds - ahead) * 1_000_000 + fraction


@compiled
def _ahead(data: Bytes, at: Number, end: Number) -> Number:
    """Seconds that `+0200`, `+02:00` or `Z` is ahead of UTC; 0 where nothing is said."""
    if at >= end or data[at] not in (43, 45):
        return 0
    negative = data[at] == 45
    at += ONE
    digits, count = np.int64(0), 0
    while at < end and count < 4:
        if data[at] != 58:
            if not 48 <= data[at] <= 57:
                break
            digits = digits * 10 + np.int64(data[at]) - 48
            count += 1
        at += ONE
    if count == 2:
        digits *= 100
    seconds = (digits // 100) * 3600 + (digits % 100) * 60
    return -seconds if negative else seconds


@compiled
def _clock(data: Bytes, at: Number) -> Number:
    hour, minute = _digits(data, at, 2), _digits(data, at + np.uint64(3), 2)
    second = _digits(data, at + np.uint64(6), 2)
    if hour < 0 or minute < 0 or second < 0:
        return -1
    return (hour * 60 + minute) * 60 + second


@compiled
def _digits(data: Bytes, at: Number, count: Number) -> Number:
    """The number that so many digits make; -1 where one is none."""
    value = np.int64(0)
    step = ZERO
    while step < np.uint64(count):
        digit = np.int64(data[at + step]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
        step += ONE
    return value


@compiled
def _days(year: Number, month: Number, day: Number) -> Number:
    """Days since 1970; years that begin in March have their leap day at the end."""
    if month <= 2:
        year -= 1
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - _DAYS_TO_1970
