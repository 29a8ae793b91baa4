"""What a record's message says: a statement that ran, one that begins, or a duration alone.

The shapes are postgres.c's (check_log_duration, errdetail_params), alike in every log format. With
`log_statement` a statement's text comes at its start and its bare duration at its end.
"""

import re

import numpy as np

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import ONE, TWO, ZERO, Bytes, Ints, Number, compiled, inlined, place
from replay.capture.words import AT_ONCE, EIGHT, fetch_text, first_of_bits, up_to, within

# What a record is to capture.
NOTHING = 0
RAN = 1  # a whole execution: duration, text
BEGINS = 2  # text without a duration: log_statement
ENDED = 3  # a bare duration, of the text before it
PREPARED = 4  # parse or bind: time of the execution to come
FAILED = 5  # an error, with the statement that failed
FETCHES = 6  # from a portal, of an execution that is known already; its duration may follow


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_DURATION, _DURATION_ENDS = _word(b"duration"), _word(b": ")
_STATEMENT, _STATEMENT_ENDS = _word(b"statemen"), _word(b"t: ")
_FETCH, _FETCH_ENDS = _word(b"fetch fr"), _word(b"om ")
_EXECUTE, _PARSE, _BIND, _UNIT = map(_word, (b"execute ", b"parse ", b"bind ", b" ms"))
_FIVE_BYTES, _SIX_BYTES = np.uint64((1 << 40) - 1), np.uint64((1 << 48) - 1)
_POINT, _COLON, _BLANK = map(np.uint8, b".: ")
_PARAMETERS = re.compile(r"[Pp]arameters: (?=\$1 = )")
_PARAMETER = re.compile(r"\$(\d+) = (?:NULL|'((?:[^']|'')*)')(?:, )?")


def said(messages: Texts) -> tuple[Ints, Ints, Ints]:
    """What each message of a client's LOG record is, its duration in µs, and where its SQL begins.

    The begin is a place in the messages' data; it means something for RAN, BEGINS and PREPARED only.
    """
    kinds, durations, begins = (np.zeros(len(messages), np.int64) for _ in range(3))
    _say(messages.data, messages.begins, messages.ends, kinds, durations, begins)
    return kinds, durations, begins


def parameters(text: str) -> dict[int, str | None]:
    """Values by number from a DETAIL or CONTEXT with `Parameters: $1 = '…', $2 = NULL`.

    Quotes are doubled, line breaks are raw. Empty where the text lists no parameters.
    """
    found = _PARAMETERS.search(text)
    values: dict[int, str | None] = {}
    position = found.end() if found else len(text)
    while one := _PARAMETER.match(text, position):
        value = one.group(2)
        values[int(one.group(1))] = None if value is None else value.replace("''", "'")
        position = one.end()
    return values


def decoded(text: bytes) -> str:
    """Text of a log, which is in UTF-8, or in an encoding of single bytes."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


@compiled
def _say(
    data: Bytes, begin: Spans, ends: Spans, kinds: Ints, durations: Ints, begins: Ints
) -> None:
    for row in range(kinds.size):
        fetch_text(data, begin, row)
        at, end = place(begin[row]), place(ends[row])
        duration_us, behind = _duration(data, at, end)
        timed = behind > at
        if timed and behind == end:
            kinds[row], durations[row] = ENDED, duration_us
            continue
        at = behind + TWO if timed else at  # two blanks
        word = up_to(data, at, end) if at < end else ZERO
        if word == _STATEMENT and _is_at(data, at + EIGHT, end, 3, _STATEMENT_ENDS):
            prepares = False
            at += place(11)
        else:
            executes = word == _EXECUTE
            prepares = bool(timed) and (word & _FIVE_BYTES == _BIND or word & _SIX_BYTES == _PARSE)
            if not (executes or prepares):
                continue
            name = at + EIGHT
            fetches = executes and _is_at(data, name, end, 8, _FETCH)
            if fetches and _is_at(data, name + EIGHT, end, 3, _FETCH_ENDS):
                kinds[row] = NOTHING if timed else FETCHES
                continue
            at = min(_colon(data, at, end) + TWO, end)  # NAME:
        kinds[row] = PREPARED if prepares else RAN if timed else BEGINS
        durations[row], begins[row] = duration_us, at


@inlined
def _colon(data: Bytes, at: np.uint64, end: np.uint64) -> np.uint64:
    """Where a colon stands that a blank follows; the text's last byte, or its end, where none does."""
    once = np.uint8(1)
    while at + AT_ONCE < place(data.size) and at + ONE < end:
        found = within(data, at, _COLON, once) & within(data, at + ONE, _BLANK, once)
        if found:
            return min(at + first_of_bits(found), end)
        at += AT_ONCE
    while at + ONE < end and not (data[at] == _COLON and data[at + ONE] == _BLANK):
        at += ONE
    return at


@inlined
def _duration(data: Bytes, at: np.uint64, end: np.uint64) -> tuple[Number, np.uint64]:
    """µs of `duration: 12.345 ms` and where it ends; nothing and `at` where there is none."""
    begun = _is_at(data, at, end, 8, _DURATION) and _is_at(data, at + EIGHT, end, 2, _DURATION_ENDS)
    point, value = at + place(10), np.int64(0)
    if not begun:
        return value, at
    while point < end and 48 <= data[point] <= 57:
        value = value * 10 + np.int64(data[point]) - 48
        point += ONE
    behind = point + place(7)
    if behind > end or data[point] != _POINT:
        return np.int64(0), at
    for _ in range(3):
        point += ONE
        if not 48 <= data[point] <= 57:
            return np.int64(0), at
        value = value * 10 + np.int64(data[point]) - 48
    return (value, behind) if _is_at(data, point + ONE, end, 3, _UNIT) else (np.int64(0), at)


@inlined
def _is_at(data: Bytes, at: np.uint64, end: np.uint64, size: Number, word: np.uint64) -> Number:
    """Whether the word's bytes, at most eight, stand there."""
    behind = at + place(size)
    return behind <= end and up_to(data, at, behind) == word
