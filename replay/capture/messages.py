"""What a record's message says: a statement that ran, one that begins, or a duration alone.

The shapes are postgres.c's (check_log_duration, errdetail_params), alike in every log format. With
`log_statement` a statement's text comes at its start and its bare duration at its end.
"""

import re

import numpy as np
import pyarrow as pa

from replay.capture.kernels import Bytes, Ints, Number, compiled

# What a record is to capture.
NOTHING = 0
RAN = 1  # a whole execution: duration, text
BEGINS = 2  # text without a duration: log_statement
ENDED = 3  # a bare duration, of the text before it
PREPARED = 4  # parse or bind: time of the execution to come
FAILED = 5  # an error, with the statement that failed
FETCHES = 6  # from a portal, of an execution that is known already; its duration may follow


def _bytes(text: bytes) -> Bytes:
    return np.frombuffer(text, np.uint8)


_DURATION, _UNIT = _bytes(b"duration: "), _bytes(b" ms")
_STATEMENT, _EXECUTE, _FETCH = _bytes(b"statement: "), _bytes(b"execute "), _bytes(b"fetch from ")
_BIND, _PARSE = _bytes(b"bind "), _bytes(b"parse ")
_UNNAMED = "<unnamed>"
_PARAMETERS = re.compile(r"[Pp]arameters: (?=\$1 = )")
_PARAMETER = re.compile(r"\$(\d+) = (?:NULL|'((?:[^']|'')*)')(?:, )?")


def said(messages: pa.BinaryArray) -> tuple[Ints, Ints, Ints]:
    """What each message of a client's LOG record is, its duration in µs, and where its SQL begins.

    The begin is a place in the messages' data; it means something for RAN, BEGINS and PREPARED only.
    """
    offsets, data = raw(messages)
    kinds, durations, begins = (np.zeros(len(messages), np.int64) for _ in range(3))
    _say(data, offsets, kinds, durations, begins)
    return kinds, durations, begins


def call_of(message: str) -> tuple[str | None, str]:
    """Name of the prepared statement (None: simple protocol) and SQL of a statement's message."""
    text = message[message.find(" ms  ", 10, 40) + 5 :] if message[:10] == "duration: " else message
    if text.startswith("statement: "):
        return None, text[11:]
    _, _, called = text.partition(" ")  # execute, bind or parse
    return _named(called)


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


def raw(texts: pa.BinaryArray) -> tuple[Ints, Bytes]:
    """Where each text begins in the data, and where the last one ends; and the data."""
    _, offsets, data = texts.buffers()
    begin = texts.offset
    places = np.frombuffer(offsets, np.int32)[begin : begin + len(texts) + 1]
    return places.astype(np.int64), np.frombuffer(data or b"", np.uint8)


@compiled
def _say(data: Bytes, offsets: Ints, kinds: Ints, durations: Ints, begins: Ints) -> None:
    for row in range(kinds.size):
        at, end = offsets[row], offsets[row + 1]
        duration_us, behind = _duration(data, at, end)
        timed = behind > at
        if timed and behind == end:
            kinds[row], durations[row] = ENDED, duration_us
            continue
        at = behind + 2 if timed else at  # two blanks
        prepares = timed and (_is_at(data, at, end, _BIND) or _is_at(data, at, end, _PARSE))
        if _is_at(data, at, end, _EXECUTE) and _is_at(data, at + 8, end, _FETCH):
            kinds[row] = NOTHING if timed else FETCHES
            continue
        if _is_at(data, at, end, _STATEMENT):
            at += _STATEMENT.size
        elif prepares or _is_at(data, at, end, _EXECUTE):
            while at + 1 < end and not (data[at] == 58 and data[at + 1] == 32):  # NAME:
                at += 1
            at = min(at + 2, end)
        else:
            continue
        kinds[row] = PREPARED if prepares else RAN if timed else BEGINS
        durations[row], begins[row] = duration_us, at


@compiled
def _duration(data: Bytes, at: Number, end: Number) -> tuple[Number, Number]:
    """µs of `duration: 12.345 ms` and where it ends; nothing and `at` where there is none."""
    place, value = at + _DURATION.size, 0
    if not _is_at(data, at, end, _DURATION):
        return 0, at
    while place < end and 48 <= data[place] <= 57:
        value = value * 10 + data[place] - 48
        place += 1
    if place + 7 > end or data[place] != 46:  # .
        return 0, at
    for decimal in range(place + 1, place + 4):
        if not 48 <= data[decimal] <= 57:
            return 0, at
        value = value * 10 + data[decimal] - 48
    return (value, place + 7) if _is_at(data, place + 4, end, _UNIT) else (0, at)


@compiled
def _is_at(data: Bytes, at: Number, end: Number, word: Bytes) -> Number:
    if at + word.size > end:
        return False
    for place in range(word.size):
        if data[at + place] != word[place]:
            return False
    return True


def _named(called: str) -> tuple[str, str]:
    """Name and text of `NAME: text` or `NAME/PORTAL: text`."""
    name, _, text = called.partition(": ")
    return ("" if name == _UNNAMED else name.partition("/")[0]), text
