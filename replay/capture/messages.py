"""What a record's message says: a statement that ran, one that begins, or a duration alone.

The shapes are postgres.c's (check_log_duration, errdetail_params), alike in every log format. With
`log_statement` a statement's text comes at its start and its bare duration at its end.
"""

import re

import numpy as np

from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import ONE, TWO, Bytes, Ints, Number, compiled, inlined, place
from replay.capture.words import EIGHT, up_to

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
_POINT, _COLON, _BLANK = 46, 58, 32
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
        at, end = place(begin[row]), place(ends[row])
        duration_us, behind = _duration(data, at, end)
        timed = behind > at
        if timed and behind == end:
            kinds[row], durations[row] = ENDED, duration_us
            continue
        at = behind + TWO if timed else at  # two blanks
        if _is_at(data, at, end, 8, _STATEMENT) and _is_at(
            data, at + EIGHT, end, 3, _STATEMENT_ENDS
        ):
            prepares = False
            at += place(11)
        else:
            executes = _is_at(data, at, end, 8, _EXECUTE)
            prepares = bool(timed) and (
                _is_at(data, at, end, 5, _BIND) or _is_at(data, at, end, 6, _PARSE)
            )
            if not (executes or prepares):
                continue
            name = at + EIGHT
            fetches = executes and _is_at(data, name, end, 8, _FETCH)
            if fetches and _is_at(data, name + EIGHT, end, 3, _FETCH_ENDS):
                kinds[row] = NOTHING if timed else FETCHES
                continue
            while at + ONE < end and not (data[at] == _COLON and data[at + ONE] == _BLANK):  # NAME:
                at += ONE
            at = min(at + TWO, end)
        kinds[row] = PREPARED if prepares else RAN if timed else BEGINS
        durations[row], begins[row] = duration_us, at


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
