"""From SQL text to template, quickly: only unseen texts pay for a fingerprint.

Texts are known again by a hash that is blind to literals (`masks`), so that a look-up costs about a
nanosecond a byte. What it equates has one fingerprint. The server's query_id is no key: it may stand
for several templates (a line of several statements carries the id of one of them; casts of literals
and aliases are not hashed).
"""

import re

import numpy as np

from replay.capture.kernels import Bytes, Hashes, Ints, compiled
from replay.capture.masks import hash_of
from replay.capture.messages import decoded
from replay.sql.fingerprint import Fingerprint, fingerprint

NO_TEMPLATE = -1
"""The number of what a record has that names no statement."""

# What a statement does to its session's transaction.
STAYS = 0
OPENS = 1  # a transaction is open afterwards
CLOSES = 2  # none is open afterwards
CHAINS = 3  # one ended, and another is open

_ROOM = 1 << 14  # hashes, at first
_ROOM_AT_MOST = 1 << 20  # a table that is half full by then starts anew

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
        self._clear(_ROOM)

    def numbers_of(self, data: Bytes, begins: Ints, ends: Ints) -> Ints:
        """Template numbers of the SQL texts data[begin:end], as the log has them."""
        hashes = np.empty((begins.size, 2), np.uint64)
        numbers = np.empty(begins.size, np.int64)
        _look_up(data, begins, ends, hashes, numbers, self._hashes, self._numbers)
        new: dict[tuple[int, int], int] = {}
        for place in np.flatnonzero(numbers == NO_TEMPLATE).tolist():
            one, other = hashes[place].tolist()
            if (one, other) not in new:
                text = data[begins[place] : ends[place]].tobytes()
                new[one, other] = self._number_of(fingerprint(decoded(text)))
            numbers[place] = new[one, other]
        if new:
            self._remember(np.array([*new], np.uint64), np.array([*new.values()]))
        return numbers

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
        _put(hashes, numbers, self._hashes, self._numbers)
        self._held += numbers.size

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
    begins: Ints,
    ends: Ints,
    hashes: Hashes,
    numbers: Ints,
    known: Hashes,
    known_numbers: Ints,
) -> None:
    """Hash every text, and find its number in an open-addressed table whose size is a power of two."""
    mask = np.uint64(known_numbers.size - 1)
    nowhere = np.empty((0, 3), np.int64)
    for row in range(begins.size):
        one, other, _ = hash_of(data, np.uint64(begins[row]), np.uint64(ends[row]), nowhere)
        hashes[row, 0], hashes[row, 1] = one, other
        place = np.int64((one ^ (one >> np.uint64(32))) & mask)
        while known_numbers[place] != NO_TEMPLATE and (
            known[place, 0] != one or known[place, 1] != other
        ):
            place = np.int64(np.uint64(place + 1) & mask)
        numbers[row] = known_numbers[place]


@compiled
def _put(hashes: Hashes, numbers: Ints, known: Hashes, known_numbers: Ints) -> None:
    mask = np.uint64(known_numbers.size - 1)
    for row in range(numbers.size):
        one = hashes[row, 0]
        place = np.int64((one ^ (one >> np.uint64(32))) & mask)
        while known_numbers[place] != NO_TEMPLATE:
            place = np.int64(np.uint64(place + 1) & mask)
        known[place] = hashes[row]
        known_numbers[place] = numbers[row]
