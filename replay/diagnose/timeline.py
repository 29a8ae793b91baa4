"""Which transaction a session was in at a moment, and what filled a stretch of its time."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import accumulate

import numpy as np

from replay import ondisk
from replay.diagnose.attempts import Attempts, Ints

_NOTHING = np.zeros(0, np.int64), np.zeros(0, np.int64)
PAUSE = ""  # instead of a template: the client held its transaction open and sent nothing


class Timeline:
    """The run's attempts by session; `waits` has when each session was seen waiting, in order."""

    def __init__(self, attempts: Attempts, waits: Mapping[int, list[int]]) -> None:
        self.attempts = attempts
        self._waits = waits

    @cached_property
    def _rows(self) -> Mapping[int, tuple[Ints, Ints]]:
        """Session -> when its statements began, ascending, and their positions: on disk."""
        counts: Counter[int] = Counter()
        for pid, rows in self._sent():
            counts[pid] += len(rows)
        ends = dict(zip(counts, accumulate(counts.values()), strict=True))
        place = {pid: end - counts[pid] for pid, end in ends.items()}
        began, positions = (ondisk.zeros(None, counts.total(), np.int64) for _ in range(2))
        for pid, rows in self._sent():
            to = slice(place[pid], place[pid] + len(rows))
            place[pid] = to.stop
            positions[to], began[to] = rows, self.attempts.began_us[rows]
        found = {}
        for pid, end in ends.items():
            mine = slice(end - counts[pid], end)
            if (np.diff(began[mine]) < 0).any():
                order = np.argsort(began[mine], kind="stable")
                began[mine], positions[mine] = began[mine][order], positions[mine][order]
            found[pid] = began[mine], positions[mine]
        return found

    def _sent(self) -> Iterator[tuple[int, Ints]]:
        """Positions of statements by session, part by part, in order of time in each."""
        begin = 0
        for part in self.attempts.parts():
            rows = np.flatnonzero(part.sent & (part.pid > 0))
            rows = rows[np.lexsort((part.began_us[rows], part.pid[rows]))]
            pids = part.pid[rows]
            for mine in np.split(rows, np.flatnonzero(np.diff(pids)) + 1):
                if len(mine):
                    yield int(part.pid[mine[0]]), begin + mine
            begin += len(part.arrival)

    def transaction(self, pid: int, at_us: int, seen: str) -> int | None:
        """The session's transaction at that time, by number of its arrival.

        Near an edge it is the one that `seen` belongs to.
        """
        if pid not in self._rows:
            return None
        began, rows = self._rows[pid]
        at = _last(began, at_us)
        around = [rows[i] for i in (at, at - 1, at + 1) if 0 <= i < len(rows)]
        near = [int(self.attempts.arrival[row]) for row in around]
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
        for at in range(_last(began, at_us), -1, -1):
            name = self.attempts.names[self.attempts.template[rows[at]]]
            if name in templates:
                _, ended_us = self.span_us(int(self.attempts.arrival[rows[at]]))
                return name if ended_us < at_us else ""
        return ""

    def templates(self, transaction: int) -> tuple[str, ...]:
        """Templates of a transaction's statements, in order."""
        rows = self.attempts.statements(transaction)
        return tuple(self.attempts.names[code] for code in self.attempts.template[rows])

    def span_us(self, transaction: int) -> tuple[int, int]:
        """When its first statement was sent and its last one answered."""
        rows = self.attempts.statements(transaction)
        began_us = self.attempts.began_us[rows]
        return int(began_us[began_us >= 0].min()), int(self.attempts.ended_us[rows].max())

    def free_since_us(self, transaction: int, pid: int, at_us: int) -> int:
        """Since when the session, which waits for nobody at `at_us`, does so in its transaction.

        It was last seen waiting somewhere in a statement, and got what it waited for in there.
        """
        begin_us, _ = self.span_us(transaction)
        waits = self._waits.get(pid, [])
        last_us = waits[bisect_left(waits, at_us) - 1] if waits and waits[0] < at_us else begin_us
        rows = self.attempts.statements(transaction)
        waited_in = rows[
            (self.attempts.began_us[rows] <= last_us) & (self.attempts.began_us[rows] >= 0)
        ]
        if last_us <= begin_us or not len(waited_in):
            return begin_us
        ended_us = int(self.attempts.ended_us[waited_in[-1]])
        return ended_us if ended_us <= at_us else last_us

    def profile(self, transaction: int, from_us: int, to_us: int) -> list[tuple[str, float]]:
        """Shares of a stretch of time by statement of the transaction; PAUSE is between them."""
        rows = self.attempts.statements(transaction)
        rows = rows[self.attempts.began_us[rows] >= 0]
        began = np.maximum(self.attempts.began_us[rows], from_us)
        ended = np.minimum(self.attempts.ended_us[rows], to_us)
        shares = (np.maximum(ended - began, 0) / max(to_us - from_us, 1)).tolist()
        names = [self.attempts.names[code] for code in self.attempts.template[rows]]
        return [*zip(names, shares, strict=True), (PAUSE, max(1.0 - sum(shares), 0.0))]


def _last(began: Ints, at_us: int) -> int:
    """Position of the last that had begun then; -1 for none."""
    return int(np.searchsorted(began, at_us, "right")) - 1
