"""Models of JSON lines: a record that was read key by key, and where others of its session may differ."""

import numpy as np

from replay.capture.formats.cells import Cells
from replay.capture.formats.figures import STAMPED, local_us, number, zone_at
from replay.capture.formats.jsonwords import (
    BEHIND_TOLD,
    FIRST_TOLD,
    KEYS,
    LINE,
    QUERY_ID,
    STARTED,
    TIMESTAMP,
    is_in_number,
    key_of,
    text_end,
)
from replay.capture.formats.texts import PLAIN, Spans
from replay.capture.kernels import ONE, TWO, ZERO, Bytes, Number, inlined, place

_ALL = 7  # bits of what a record must have

# A model: how many spots it has, where values differ; its row; where it begins and ends. Then of each
# spot where it begins and ends, and what stands there.
SPOTS_AT_MOST = 16
COUNT, ROW, BEGIN, END, FIRST = map(place, range(5))
SPOT = place(3)  # numbers of each
OTHER, TEXT = len(KEYS), 32  # for no field that is wanted; added where it is a text
MODELS, WAYS = 2048, 4  # sessions by their hashes; models of each


def room() -> Spans:
    """Room for the models of a block."""
    return np.zeros((MODELS * WAYS, int(FIRST) + int(SPOT) * SPOTS_AT_MOST), np.int32)


@inlined
def vacant(models: Spans, first: np.uint64, row: Number) -> np.uint64:
    """A session's model that is none yet, or one of them in turn."""
    for step in range(WAYS):
        if not models[first + place(step), COUNT]:
            return place(first + place(step))
    return place(first + place(row % WAYS))


@inlined
def read(
    data: Bytes,
    at: np.uint64,
    found: Cells,
    models: Spans,
    model: np.uint64,
    row: np.uint64,
    known: Number,
) -> tuple[np.uint64, Number]:
    """Take the fields of a record, key by key, and make it a model; where it ends, or 0 for a wrong one.

    And how many zones are known then.
    """
    size, seen, spots, spot = place(data.size), 0, 0, FIRST
    models[model, ROW], models[model, BEGIN], models[model, COUNT] = row, at, 0
    if data[at] != 123:  # {
        return ZERO, known
    while True:
        # A key in quotes, a colon, and the first byte of what follows.
        at += ONE
        if at >= size or data[at] != 34:
            return ZERO, known
        begin = at + ONE
        end, _ = text_end(data, begin)
        at = end + TWO
        if at >= size or data[end + ONE] != 58:
            return ZERO, known
        key = key_of(data, begin, end)
        is_text, mark = data[at] == 34, PLAIN
        if is_text:
            begin = at + ONE
            end, mark = text_end(data, begin)
            at = end + ONE
        else:
            begin = at
            while at < size and is_in_number(data[at]):
                at += ONE
            end = at
            if begin == end:
                return ZERO, known
        if at >= size:
            return ZERO, known
        if key == TIMESTAMP:
            found.numbers[0, row] = local_us(data, begin, found.minute)
            if found.numbers[0, row] < 0 or end <= begin + STAMPED or mark != PLAIN:
                return ZERO, known
            zone = zone_at(data, begin + STAMPED, end, found.zones, known)
            if zone < 0:
                return ZERO, known
            known = max(known, zone + 1)
            found.numbers[1, row] = zone
            end = begin + STAMPED  # a zone is that of the model
            seen |= 1
        elif key in (LINE, QUERY_ID):
            found.numbers[2 + key - LINE, row], right = number(data, begin, end)
            if not right:
                return ZERO, known
            seen |= 2 * (key == LINE)
        elif key == STARTED:
            found.started[0, row], found.started[1, row] = begin, end
        elif 0 <= key < BEHIND_TOLD:
            seen |= 4 * (key == 0)
            found.begins[key, row], found.ends[key, row] = begin, end
            found.marks[key, row] = mark
        if key < 0 or FIRST_TOLD <= key < STARTED:
            usual = key < 0 or key == TIMESTAMP or is_text == (key < BEHIND_TOLD)
            spots += 1 if usual else SPOTS_AT_MOST + 1
            if spots <= SPOTS_AT_MOST:
                models[model, spot], models[model, spot + ONE] = begin, end
                what = OTHER if key < 0 else key
                models[model, spot + TWO] = what + TEXT * (is_text and key != TIMESTAMP)
                spot += SPOT
        if data[at] != 44:  # ,
            break
    if data[at] != 125 or seen != _ALL:  # }
        return ZERO, known
    at += ONE
    if at < size and data[at] == 13:
        at += ONE
    if at < size:
        if data[at] != 10:
            return ZERO, known
        at += ONE
    models[model, END], models[model, COUNT] = at, spots * (spots <= SPOTS_AT_MOST)
    return at, known
