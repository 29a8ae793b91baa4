"""A recording whose transactions commit in production's order, where they wrote the same keys.

A statement that has to wait for other transactions is held back here, and not at the server: no
longer than a second, so that an order which cannot be kept does not stop the load. How often it was
not kept is counted.
"""

from collections import defaultdict
from time import monotonic_ns
from typing import Any

from replay.load.recorded import Recorded
from replay.load.session import PAUSED, RUNNING, Session
from replay.load.shard import Arrival

_PATIENCE_NS = 1_000_000_000


class _Held:
    """A statement that waits for others' commits."""

    __slots__ = ("lag", "number", "pending", "position")

    def __init__(self, session: Session, pending: set[int], lag: int) -> None:
        self.number = session.number
        self.position = session.position
        self.pending = pending
        self.lag = lag


class Ordered(Recorded):
    """A recording in production's order of commits."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._over: set[int] = set()  # transactions that others wait for, and that are over
        self._ident_at: dict[int, int] = {}  # by slot
        self._held: dict[int, _Held] = {}  # by slot
        self._waiters: dict[int, list[int]] = defaultdict(list)  # slots, by who is waited for
        super().__init__(*arguments, **options)

    def _begin(self, session: Session, arrival: Arrival, due: int, lag: int | None) -> None:
        self._ident_at[session.slot] = arrival.ident
        super()._begin(session, arrival, due, lag)

    def _send(self, session: Session, lag_ns: int | None = None) -> None:
        after = session.lines[session.position].after
        if after and not self._ending and self._hold(session, after, lag_ns):
            return
        super()._send(session, lag_ns)

    def _hold(self, session: Session, after: tuple[int, ...], lag_ns: int | None) -> bool:
        held = self._held.pop(session.slot, None)
        here = session.number, session.position
        if held is not None and (held.number, held.position) == here:
            self.out_of_order += 1  # it has waited long enough
            return False
        pending = {other for other in after if other not in self._over}
        if not pending:
            return False
        now = monotonic_ns()
        lag = now - session.due if lag_ns is None else lag_ns
        self._held[session.slot] = _Held(session, pending, lag)
        for other in pending:
            self._waiters[other].append(session.slot)
        self._pause(session, now + _PATIENCE_NS)
        return True

    def _release(self, session: Session, now: int) -> None:
        ident = self._ident_at.pop(session.slot, -1)
        super()._release(session, now)
        if ident >= 0:
            self._over.add(ident)
            for slot in self._waiters.pop(ident, ()):
                self._let_go(slot, ident)

    def _let_go(self, slot: int, ident: int) -> None:
        """One that was waited for is over; send what waits for nobody any more."""
        session, held = self.sessions[slot], self._held.get(slot)
        if held is None or held.number != session.number or session.state != PAUSED:
            return
        held.pending.discard(ident)
        if not held.pending:
            del self._held[slot]
            session.state = RUNNING
            super()._send(session, held.lag)
