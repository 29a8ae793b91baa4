"""Times and numbers in the bytes of a request log, compiled."""

import numpy as np

from replay.capture.formats.texts import Spans
from replay.capture.kernels import ONE, ZERO, Bytes, Hashes, Ints, Number, compiled, inlined, place
from replay.capture.words import EIGHT, eight, number_of
from replay.capture.words import digits as are_digits

_DAYS_TO_1970 = 719468  # from the 1st of March of the year 0
_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)
_CLF = place(26)  # bytes of `10/Oct/2000:13:55:36 -0700`
_ISO = place(19)  # bytes of `2000-10-10T13:55:36`
_LOCAL = place(20)  # the same without its zone
_DAY, _MINUTE, _SECOND = place(8), place(16), place(18)
# Of the eight bytes from there on, those that are no seconds.
_BUT_SECONDS, _FROM_BLANK = place(0xFFFFFFFF0000FFFF), place(0xFFFFFFFFFFFF0000)
_MINUTE_US = 60_000_000


def no_minute() -> Hashes:
    """What `instant` knows of a log's minutes before it has seen one: both forms', each with what it means."""
    return np.zeros(8, np.uint64)


@compiled
def instants(data: Bytes, begins: Spans, ends: Spans, minute: Hashes, at_us: Ints) -> None:
    """`instant` of each."""
    for row in range(begins.size):
        at_us[row] = instant(data, place(begins[row]), place(ends[row]), minute)


@compiled
def instant(data: Bytes, at: np.uint64, end: np.uint64, minute: Hashes) -> Number:
    """Epoch µs of `10/Oct/2000:13:55:36 -0700`, in brackets or not, of ISO 8601, or of seconds.

    Seconds may have a fraction; a time without a zone is UTC. -1 for what is none of these. Most are of the same minute as the one before, whose bytes `minute` keeps.
    """
    if at < end and data[at] == 91:
        at += ONE
    if end > at and data[end - ONE] == 93:
        end -= ONE
    if end - at >= _LOCAL and data[at + place(2)] == 47:
        if end - at >= _CLF and data[at + _LOCAL] == 32:
            return _of_access_log(data, at, end, minute)
        return _of_local_time(data, at, end)
    if end - at >= _ISO and data[at + place(4)] == 45:
        return _of_iso(data, at, end, minute)
    return decimal(data, at, end, 1_000_000)


@compiled
def decimal(data: Bytes, at: np.uint64, end: np.uint64, scale: Number) -> Number:
    """A number with a fraction perhaps, times a power of ten; -1 for what is none, or below 0."""
    if at >= end:
        return -1
    whole, unit, in_fraction = np.int64(0), np.int64(scale), False
    fraction = np.int64(0)
    if end - at >= EIGHT and are_digits(eight(data, at)):
        whole = np.int64(number_of(eight(data, at)))
        at += EIGHT
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


@inlined
def _of_access_log(data: Bytes, at: np.uint64, end: np.uint64, minute: Hashes) -> Number:
    one, two = eight(data, at), eight(data, at + _DAY)
    three = eight(data, at + _MINUTE) & _BUT_SECONDS
    four = eight(data, at + _SECOND) & _FROM_BLANK
    is_known = one == minute[0] and two == minute[1] and three == minute[2] and four == minute[3]
    begin_us = np.int64(minute[4])
    if not (is_known and end - at == _CLF):
        begin_us = _minute_of_access_log(data, at, end)
        if begin_us < 0:
            return -1
        if end - at == _CLF:
            minute[0], minute[1], minute[2], minute[3] = one, two, three, four
            minute[4] = place(begin_us)
    seconds = _digits(data, at + _SECOND, 2)
    return begin_us + seconds * 1_000_000 if seconds >= 0 else -1


@compiled
def _minute_of_access_log(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    month = 0
    for number in range(12):
        same = True
        for step in range(3):
            same = same and data[at + place(3 + step)] == _MONTHS[3 * number + step]
        if same:
            month = number + 1
    day, year = _digits(data, at, 2), _digits(data, at + place(7), 4)
    minutes = _clock(data, at + place(12))
    if not month or day < 0 or year < 0 or minutes < 0:
        return -1
    minutes_ahead = _ahead(data, at + place(21), end)
    return (_days(year, month, day) * 1440 + minutes - minutes_ahead) * _MINUTE_US


@compiled
def _of_local_time(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    """`10/Oct/2000:13:55:36.123`, as HAProxy has it, with or without a zone."""
    begin_us = _minute_of_access_log(data, at, at + _LOCAL)
    seconds = _digits(data, at + _SECOND, 2)
    if begin_us < 0 or seconds < 0:
        return -1
    return begin_us + seconds * 1_000_000 + _behind_seconds(data, at + _LOCAL, end)


@inlined
def _of_iso(data: Bytes, at: np.uint64, end: np.uint64, minute: Hashes) -> Number:
    one, two = eight(data, at), eight(data, at + _DAY)
    if one != minute[5] or two != minute[6]:
        begin_us = _minute_of_iso(data, at)
        if begin_us < 0:
            return -1
        minute[5], minute[6], minute[7] = one, two, place(begin_us)
    seconds = _digits(data, at + _MINUTE + ONE, 2)
    if seconds < 0:
        return -1
    return np.int64(minute[7]) + seconds * 1_000_000 + _behind_seconds(data, at + _ISO, end)


@inlined
def _behind_seconds(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    """µs of what stands behind a time's whole seconds: their fraction, less what its zone is ahead."""
    fraction, unit = np.int64(0), np.int64(1_000_000)
    if at < end and data[at] in (46, 44):
        at += ONE
        while at < end and 48 <= data[at] <= 57:
            unit //= 10
            fraction += (np.int64(data[at]) - 48) * unit
            at += ONE
    if at < end and data[at] == 32:
        at += ONE
    return fraction - _ahead(data, at, end) * _MINUTE_US


@compiled
def _minute_of_iso(data: Bytes, at: np.uint64) -> Number:
    year, month = _digits(data, at, 4), _digits(data, at + place(5), 2)
    day, minutes = _digits(data, at + place(8), 2), _clock(data, at + place(11))
    if year < 0 or month < 1 or month > 12 or day < 1 or minutes < 0:
        return -1
    return (_days(year, month, day) * 1440 + minutes) * _MINUTE_US


@compiled
def _ahead(data: Bytes, at: np.uint64, end: np.uint64) -> Number:
    """Minutes that `+0200`, `+02:00` or `Z` is ahead of UTC; 0 where nothing is said."""
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
    minutes = (digits // 100) * 60 + digits % 100
    return -minutes if negative else minutes


@compiled
def _clock(data: Bytes, at: np.uint64) -> Number:
    """Minutes of `13:55`; -1 where that does not stand there."""
    hour, minute = _digits(data, at, 2), _digits(data, at + place(3), 2)
    return hour * 60 + minute if hour >= 0 and minute >= 0 else -1


@inlined
def _digits(data: Bytes, at: np.uint64, count: Number) -> Number:
    """The number that so many digits make; -1 where one is none."""
    value = np.int64(0)
    step = ZERO
    while step < place(count):
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
