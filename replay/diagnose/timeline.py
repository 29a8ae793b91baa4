"""Which transaction a session was in at a moment, and what filled a stretch of its time."""

from bisect import bisect_left
from collections.abc import Collection, Mapping

import numpy as np

from replay.diagnose.attempts import Attempts, Ints

_NOTHING = np.zeros(0, np.int64), np.zeros(0, np.int64)
PAUSE = ""  # instead of a template: the client held its transaction open and sent nothing


class Timeline:
    """The run's attempts by session; `waits` has when each session was seen waiting, in order."""

    def __init__(self, attempts: Attempts, waits: Mapping[int, list[int]]) -> None:
        self.attempts = attempts
        self._rows: dict[int, tuple[Ints, Ints]] = {}  # pid -> began, row
        order = np.lexsort((attempts.began_us, attempts.pid))
        order = order[attempts.sent[order] & (attempts.pid[order] > 0)]
        pids = attempts.pid[order]
        for rows in np.split(order, np.flatnonzero(np.diff(pids)) + 1):
            if len(rows):
                self._rows[int(attempts.pid[rows[0]])] = (attempts.began_us[rows], rows)
        self._waits = waits

    def transaction(self, pid: int, at_us: int, seen: str) -> int | None:
        """The session's transaction at that time; near an edge the one that `seen` belongs to."""
        if pid not in self._rows:
            return None
        began, rows = self._rows[pid]
        at = _last(began, at_us)
        around = [rows[i] for i in (at, at - 1, at + 1) if 0 <= i < len(rows)]
        near = [int(self.attempts.number[row]) for row in around]
        fitting = (number for number in near if seen in self.templates(number))
        return next(fitting, near[0] if near else None)

    def statement(self, pid: int, at_us: int) -> int:
        """Position of the statement that the session was in, or had ended last; -1 for none."""
        began, rows = self._rows.get(pid, _NOTHING)
        at = _last(began, at_us)
        return int(rows[at]) if at >= 0 else -1

    def earlier(self, pid: int, at_us: int, templates: Collection[str]) -> str:
        """The last of these templates that the session ran in a transaction that is over."""
        began, rows = self._rows.get(pid, _NOTHING)
        numbers = self.attempts.number
        for at in range(_last(began, at_us), -1, -1):
            name = self.attempts.names[self.attempts.template[rows[at]]]
            if name in templates:
                _, ended_us = self.span_us(int(numbers[rows[at]]))
                return name if ended_us < at_us else ""
        return ""

    def templates(self, transaction: int) -> tuple[str, ...]:
        """Templates of a transaction's statements, in order."""
        rows = self._statements(transaction)
        return tuple(self.attempts.names[code] for code in self.attempts.template[rows])

    def span_us(self, transaction: int) -> tuple[int, int]:
        """When its first statement was sent and its last one answered."""
        rows = self._statements(transaction)
        sent = self.attempts.began_us[rows][self.attempts.sent[rows]]
        return int(sent.min()), int(self.attempts.ended_us[rows].max())

    def free_since_us(self, transaction: int, pid: int, at_us: int) -> int:
        """Since when the session, which waits for nobody at `at_us`, does so in its transaction.

        It was last seen waiting somewhere in a statement, and got what it waited for in there.
        """
        begin_us, _ = self.span_us(transaction)
        waits = self._waits.get(pid, [])
        last_us = waits[bisect_left(waits, at_us) - 1] if waits and waits[0] < at_us else begin_us
        rows = self._statements(transaction)
        waited_in = rows[(self.attempts.began_us[rows] <= last_us) & self.attempts.sent[rows]]
        if last_us <= begin_us or not len(waited_in):
            return begin_us
        ended_us = int(self.attempts.ended_us[waited_in[-1]])
        return ended_us if ended_us <= at_us else last_us

    def profile(self, transaction: int, from_us: int, to_us: int) -> list[tuple[str, float]]:
        """Shares of a stretch of time by statement of the transaction; PAUSE is between them."""
        rows = self._statements(transaction)
        rows = rows[self.attempts.sent[rows]]
        began = np.maximum(self.attempts.began_us[rows], from_us)
        ended = np.minimum(self.attempts.ended_us[rows], to_us)
        shares = (np.maximum(ended - began, 0) / max(to_us - from_us, 1)).tolist()
        names = [self.attempts.names[code] for code in self.attempts.template[rows]]
        return [*zip(names, shares, strict=True), (PAUSE, max(1.0 - sum(shares), 0.0))]

    def _statements(self, transaction: int) -> Ints:
        return np.arange(self.attempts.first[transaction], self.attempts.last[transaction] + 1)


def _last(began: Ints, at_us: int) -> int:
    """Position of the last that had begun then; -1 for none."""
    return int(np.searchsorted(began, at_us, "right")) - 1
