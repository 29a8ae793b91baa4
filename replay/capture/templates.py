"""From SQL text to template, quickly: only unseen texts pay for a fingerprint.

Texts are known again by a hash that is blind to literals (`masks`): what it equates has one
fingerprint. Before it a hash of the bytes as they are is looked up, which is quicker still: the
texts of prepared statements come again and again. The server's query_id is no key: it may stand for
several templates (a line of several statements carries the id of one of them; casts of literals and
aliases are not hashed).
"""

import re
from collections.abc import Sequence

import numpy as np

from replay.capture.formats.texts import PLAIN, Marks, Spans, Texts, meant
from replay.capture.kernels import ZERO, Bytes, Hashes, Ints, compiled, inlined, place
from replay.capture.lists import fold_lists
from replay.capture.masks import exact_hash, folded
from replay.capture.messages import decoded
from replay.capture.words import fetch_text
from replay.sql.fingerprint import Fingerprint, fingerprint

NO_TEMPLATE = -1
"""The number of what a record has that names no statement."""

# What a statement does to its session's transaction.
STAYS = 0
OPENS = 1  # a transaction is open afterwards
CLOSES = 2  # none is open afterwards
CHAINS = 3  # one ended, and another is open

Learned = tuple[Hashes, Sequence[Fingerprint]]
"""Hashes of texts, two numbers each, and what their texts are."""

_NO_HASHES = np.empty((0, 2), np.uint64)
_ROOM = 1 << 14  # hashes, at first
_ROOM_AT_MOST = 1 << 20  # a table that is half full by then starts anew
_EXACT_ROOM = 1 << 15  # hashes of texts as they are; a later one takes an earlier one's place

_CONTROL = re.compile(
    r"(?P<open>BEGIN|START\s+TRANSACTION)\b"
    r"|(?P<stay>(?:COMMIT|ROLLBACK)\s+PREPARED|ROLLBACK\s+(?:(?:WORK|TRANSACTION)\s+)?TO)\b"
    r"|(?P<close>COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b(?P<chain>[\w\s]*\bAND\s+CHAIN\b)?",
    re.IGNORECASE,
)
_ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)  # a function's body, with its own END
_PART = re.compile(r'((?:"(?:[^"]|"")*"|[^";])*)(?:;|$)')


class Templates:
    """All templates seen, numbered in order of appearance."""

    def __init__(self) -> None:
        self.known: list[Fingerprint] = []
        self._by_id: dict[str, int] = {}
        self._news: list[tuple[Hashes, Ints]] = []
        self._exact: Hashes = np.zeros((_EXACT_ROOM, 2), np.uint64)
        self._exact_numbers: Ints = np.full(_EXACT_ROOM, NO_TEMPLATE)
        self._clear(_ROOM)

    def numbers_of(self, texts: Texts) -> Ints:
        """Template numbers of SQL texts."""
        hashes = np.empty((len(texts), 2), np.uint64)
        numbers = np.empty(len(texts), np.int64)
        known = self._exact, self._exact_numbers, self._hashes, self._numbers
        longest = int((texts.ends - texts.begins).max(initial=0))
        room = np.empty(longest, np.uint8), np.empty(longest, np.uint8), np.empty((0, 3), np.int64)
        _look_up(texts.data, texts.begins, texts.ends, texts.marks, hashes, numbers, *known, *room)
        rows = np.flatnonzero(numbers == NO_TEMPLATE)
        new: dict[tuple[int, ...], int] = {}
        for row, pair in zip(rows.tolist(), map(tuple, hashes[rows].tolist()), strict=True):
            if pair not in new:
                new[pair] = self._number_of(fingerprint(decoded(texts[row])))
            numbers[row] = new[pair]
        if new:
            unseen = np.array([*new], np.uint64), np.array([*new.values()])
            self._news.append(unseen)
            self._remember(*unseen)
        return numbers

    def news(self) -> Learned:
        """What was learned of texts since this was last asked."""
        news, self._news = self._news, []
        hashes = np.concatenate([_NO_HASHES, *(hashes for hashes, _ in news)])
        return hashes, [self.known[number] for _, of in news for number in of.tolist()]

    def learn(self, learned: Learned) -> None:
        """Take what others learned."""
        hashes, found = learned
        if found:
            self._remember(hashes, np.array([self._number_of(one) for one in found]))

    def _number_of(self, found: Fingerprint) -> int:
        number = self._by_id.setdefault(found.id, len(self.known))
        if number == len(self.known):
            self.known.append(found)
        return number

    def _remember(self, hashes: Hashes, numbers: Ints) -> None:
        room = self._numbers.size
        while 2 * (self._held + numbers.size) > room:
            room *= 2
        if room > self._numbers.size:
            kept = self._numbers != NO_TEMPLATE
            before = self._hashes[kept], self._numbers[kept]
            self._clear(room)
            if room <= _ROOM_AT_MOST:
                self._put(*before)
        self._put(hashes, numbers)

    def _put(self, hashes: Hashes, numbers: Ints) -> None:
        self._held += _put(hashes, numbers, self._hashes, self._numbers)

    def _clear(self, room: int) -> None:
        room = min(room, _ROOM_AT_MOST)
        self._hashes: Hashes = np.zeros((room, 2), np.uint64)
        self._numbers: Ints = np.full(room, NO_TEMPLATE)
        self._held = 0


def effect_of(canonical: str) -> int:
    """What a statement, or several in one line, leave of the session's transaction."""
    effect = STAYS
    if _ATOMIC.search(canonical):
        return effect
    for part in _PART.findall(canonical):
        found = _CONTROL.match(part.strip())
        if found is None or found["stay"]:
            continue
        if found["open"]:
            effect = CHAINS if effect == CLOSES else OPENS
        else:
            effect = CHAINS if found["chain"] else CLOSES
    return effect


@compiled
def _look_up(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    marks: Marks,
    hashes: Hashes,
    numbers: Ints,
    exact: Hashes,
    exact_numbers: Ints,
    known: Hashes,
    known_numbers: Ints,
    plain: Bytes,
    text: Bytes,
    nowhere: Ints,
) -> None:
    """Find every text's number, or its hash at least.

    `known` is an open-addressed table whose size is a power of two; `exact` has one place a hash.
    `plain` and `text` are room for the longest text, and `nowhere` for none of its literals.
    """
    mask, exact_mask = place(known_numbers.size - 1), place(exact_numbers.size - 1)
    for row in range(begins.size):
        fetch_text(data, begins, row)
        at, end, mark = place(begins[row]), place(ends[row]), marks[row]
        one, other = exact_hash(data, at, end, place(mark))
        slot = (one ^ (one >> place(32))) & exact_mask
        number = exact_numbers[slot]
        if number != NO_TEMPLATE and exact[slot, 0] == one and exact[slot, 1] == other:
            numbers[row] = number
            continue
        exact[slot, 0], exact[slot, 1] = one, other
        if mark == PLAIN:
            size, _ = folded(data, at, end, nowhere, text)
        else:
            size, _ = folded(plain, ZERO, meant(data, at, end, mark, plain), nowhere, text)
        one, other = exact_hash(text, ZERO, fold_lists(text, size), ZERO)
        hashes[row, 0], hashes[row, 1] = one, other
        found = _place_of(one, other, known, known_numbers, mask)
        numbers[row] = exact_numbers[slot] = known_numbers[found]


@inlined
def _place_of(
    one: np.uint64, other: np.uint64, known: Hashes, numbers: Ints, mask: np.uint64
) -> np.uint64:
    """Where a hash is in the table, or where it would be."""
    found = (one ^ (one >> place(32))) & mask
    while numbers[found] != NO_TEMPLATE and (known[found, 0] != one or known[found, 1] != other):
        found = (found + place(1)) & mask
    return found


@compiled
def _put(hashes: Hashes, numbers: Ints, known: Hashes, known_numbers: Ints) -> int:
    """Put hashes into the table; gives how many it did not hold."""
    mask, more = place(known_numbers.size - 1), 0
    for row in range(numbers.size):
        found = _place_of(hashes[row, 0], hashes[row, 1], known, known_numbers, mask)
        more += known_numbers[found] == NO_TEMPLATE
        known[found, 0], known[found, 1] = hashes[row, 0], hashes[row, 1]
        known_numbers[found] = numbers[row]
    return more
