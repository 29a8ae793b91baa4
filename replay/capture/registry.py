"""Templates, SQLSTATEs and formats of a whole capture, numbered alike for all its blocks."""

import numpy as np

from replay.capture.executions import Mask
from replay.capture.formats.columns import Format, Ints
from replay.capture.priority import Priorities
from replay.capture.templates import effect_of
from replay.sql.fingerprint import Fingerprint
from replay.sql.setting import changed

NO_SETTING = -1
"""The number of what a template sets that sets nothing."""
_CONTROL = frozenset({"begin", "commit", "rollback", "savepoint"})


class Registry:
    """Numbers count on in order of appearance."""

    def __init__(self) -> None:
        self.templates: list[Fingerprint] = []
        self.states: list[str] = []
        self.formats: list[Format] = []
        self.languages: list[str] = []  # of messages, other than English
        self._by_id: dict[str, int] = {}
        self._by_state: dict[str, int] = {}
        self._settings: dict[str, int] = {"": NO_SETTING}
        self._effects: Ints = np.empty(0, np.int64)
        self._sets: Ints = np.empty(0, np.int64)
        self._identities: Priorities = np.empty(0, np.uint64)

    def template(self, found: Fingerprint) -> int:
        """Number of a template, known or new."""
        number = self._by_id.get(found.id)
        if number is None:
            number = self._by_id[found.id] = len(self.templates)
            self.templates.append(found)
        return number

    def state(self, state: str) -> int:
        """Number of an SQLSTATE, known or new."""
        if state not in self._by_state:
            self._by_state[state] = len(self.states)
            self.states.append(state)
        return self._by_state[state]

    def format(self, found: Format) -> int:
        """Number of a log's format, known or new."""
        if found not in self.formats:
            self.formats.append(found)
        return self.formats.index(found)

    def effects(self) -> Ints:
        """What each template does to its session's transaction."""
        known = self._effects.size
        if known < len(self.templates):
            more = [effect_of(found.sql) for found in self.templates[known:]]
            self._effects = np.concatenate((self._effects, more))
        return self._effects

    def sets(self) -> Ints:
        """Which setting of its session each template changes, numbered; NO_SETTING: none."""
        known = self._sets.size
        if known < len(self.templates):
            names = [changed(found.sql) for found in self.templates[known:]]
            numbers = [self._settings.setdefault(name, len(self._settings)) for name in names]
            self._sets = np.concatenate((self._sets, np.array(numbers, np.int64)))
        return self._sets

    def is_control(self) -> Mask:
        """Which templates mean nothing outside of a transaction of several statements."""
        return np.array([found.kind in _CONTROL for found in self.templates], np.bool_)

    def rolls_back(self) -> Mask:
        """Which templates undo the transaction that they end."""
        return np.array([found.kind == "rollback" for found in self.templates], np.bool_)

    def identities(self) -> Priorities:
        """The templates' ids as numbers."""
        known = self._identities.size
        if known < len(self.templates):
            more = np.array([int(found.id, 16) for found in self.templates[known:]], np.uint64)
            self._identities = np.concatenate((self._identities, more))
        return self._identities
