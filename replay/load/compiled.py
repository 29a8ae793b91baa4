"""The open loop, with the usual transaction driven by compiled code and all others as `Engine` does.

The loop (see `native`) has the arrivals, the free sessions and whatever goes as usual. A transaction that
does not is lent: from then on, and to its end, it is this program's, as any of `Engine`'s.
"""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns
from typing import Any

import msgspec

from replay.load import clock
from replay.load.carrier import READ
from replay.load.direct import Direct
from replay.load.engine import Engine
from replay.load.native import layout as at
from replay.load.native.board import Board, Run
from replay.load.native.layout import FAR, WORD
from replay.load.session import FREE, LOST, RUNNING, Session
from replay.load.shard import Arrival, Call

# A turn of the loop, from which the event loop has its own. To wait there for what is due soon costs a
# third less than to wait in the event loop; with transactions of Python's, or sessions that connect, that has
# more to do.
_STAY_NS, _BRIEF_STAY_NS = 4_000_000, 1_000_000


class Compiled(Engine):
    """Drives one shard through one pool, as its base does; `run` is the loop."""

    def __init__(
        self,
        shard: Path,
        calls: tuple[Call, ...],
        *,
        run: Run,
        pool: int,
        pool_timeout_ns: int,
        loop: Any,
        **others: Any,
    ) -> None:
        self._run = run
        self._board = Board(shard, calls, slots=pool, patience_ns=pool_timeout_ns)
        timer = clock.open_timer()
        assert timer is not None, "what has epoll has this, too"
        self._timer = timer
        self._board.watch_timer(timer.fd)
        self._pumping = self._closed = self._yields = False
        self._away = pool  # sessions that have no connection
        self._decode = msgspec.msgpack.Decoder(Arrival).decode
        super().__init__(
            iter(()), calls, pool=pool, pool_timeout_ns=pool_timeout_ns, loop=loop, **others
        )
        self._watcher = loop.io(self._board.epoll, READ, priority=loop.MAXPRI)
        self._watcher.start(self._pump)

    def _new_alarm(self) -> clock.Alarm:
        return _Alarm(self._board, self._nudge)

    def add(self, session: Session) -> None:
        """A session has its connection, for the first time or again."""
        fd = -1
        if isinstance(session.carrier, Direct):
            fd = session.carrier.stop_reading()
        else:
            self._yields = True  # the event loop looks after this one
        self._board.enter(session.slot, fd, session.pid)
        self._away -= 1
        super().add(session)

    def start(self, origin_ns: int) -> None:
        """Begin: from now on every arrival is due at this origin plus its own time."""
        self._origin = origin_ns
        self._board.start(origin_ns)
        self._nudge()

    def end(self) -> tuple[Session, ...]:
        """Take up nothing more; returns the sessions whose statement is still under way."""
        self._board.no_more()
        for slot in self._board.slots(at.RUNS):
            self._take_over(slot)
        for slot in self._board.slots(at.PAUSES_NOW):
            self._take_over_pausing(slot)
        return super().end()

    def under_way(self) -> tuple[int, int]:
        """Transactions that have a session, and the number of the arrival that is next; -1: none."""
        board = self._board
        following = board.get(at.NEXT_NUMBER) if board.get(at.NEXT) else -1
        return self._busy + board.get(at.BUSY), following

    def silent_since(self, then_ns: int) -> list[tuple[Session, int]]:
        """Sessions that wait for an answer since then or longer, and since when."""
        rows = ((slot, self._board.session(slot)) for slot in self._board.slots(at.RUNS))
        began = ((slot, row[at.BEGAN // WORD]) for slot, row in rows)
        mine = [(self.sessions[slot], since) for slot, since in began if since <= then_ns]
        return super().silent_since(then_ns) + mine

    def give_up(self, session: Session, began_ns: int) -> None:
        """Count a session as lost, where it still waits for the answer that it waited for then."""
        row = self._board.session(session.slot)
        if (row[at.STATE // WORD], row[at.BEGAN // WORD]) == (at.RUNS, began_ns):
            self._take_over(session.slot)
        super().give_up(session, began_ns)

    def close(self) -> None:
        """Give up what did not even answer a cancel; the sessions' connections stay to be closed."""
        super().close()
        self._closed = True
        self._watcher.stop()
        self._watcher.close()
        os.close(self._timer.fd)
        self._board.close()

    def take_records(self) -> bytes:
        """What was done since the last time, packed."""
        self._make_room()
        self._board.let_go()
        return super().take_records()

    def _make_room(self) -> None:
        self._packed += self._board.take_records()

    def _pump(self) -> None:
        """Let the loop run, and do what it leaves."""
        self._pumping = True
        try:
            until = monotonic_ns() + _BRIEF_STAY_NS
            while True:
                self._board.stay(self._stay_ns())
                self._run(self._board.address)
                if self._board.is_full():
                    self._make_room()
                left = False
                for kind, slot, *said in self._board.exits():
                    left = True
                    self._do(kind, slot, *said)
                if not left:
                    break
                if monotonic_ns() >= until:
                    self._board.nudge()
                    break
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._trap(error)
        finally:
            self._pumping = False
        self._check_done()
        if self._board.get(at.NUDGED):
            self._timer.set(1)

    def _stay_ns(self) -> int:
        if self._yields:
            return 0
        return _BRIEF_STAY_NS if self._busy or self._away else _STAY_NS

    def _nudge(self) -> None:
        """Something may be due."""
        self._board.nudge()
        if not self._pumping and not self._closed:
            self._timer.set(1)

    def _do(self, kind: int, slot: int, first: int, second: int, third: int, lag: int) -> None:
        """One thing that the loop leaves to us."""
        if kind == at.SKIP:
            self._write_skipped(slot, first, second, third, lag)
        elif kind == at.READ:
            self._look_at(slot)
        elif kind == at.TICK:
            self._run_due()
        else:
            session, arrival = self._taken(slot)
            if kind == at.BEGIN:
                self._begin(session, arrival, session.due, None if first < 0 else first)
            elif kind == at.SEND:
                self._send(session, None if first < 0 else first)
            elif kind == at.FINISH:
                self._finish(session, first)
            else:
                self._carry_on(session, kind, first)

    def _look_at(self, slot: int) -> None:
        """A session that waits for nothing of the loop's has something to read."""
        session = self.sessions[slot]
        if session.state == LOST:
            return
        if self._board.state(slot) == at.PAUSES_NOW:
            self._take_over_pausing(slot)
        _direct(session).readable()

    def _carry_on(self, session: Session, kind: int, size: int) -> None:
        """A statement is under way, and something is unusual of it."""
        carrier = self._watch_answer(session, size if kind == at.UNSENT else None)
        if kind == at.ANSWER:
            carrier.take_in(self._board.came(size))
        elif kind == at.FAULT:
            carrier.readable()

    def _watch_answer(self, session: Session, sent: int | None = None) -> Direct:
        line = session.lines[session.position]
        carrier = _direct(session)
        carrier.take_over(self._calls[line.call], line, sent)
        return carrier

    def _take_over(self, slot: int) -> Session:
        """Make a transaction of the loop's, whose statement is under way, ours."""
        self._board.lend(slot)
        session, _ = self._taken(slot)
        self._watch_answer(session)
        return session

    def _take_over_pausing(self, slot: int) -> None:
        self._board.lend(slot)
        session, _ = self._taken(slot)
        self._pause(session, self._board.session(slot)[at.RESUME // WORD])

    def _taken(self, slot: int) -> tuple[Session, Arrival]:
        """A session with the accounts that the loop kept of its transaction."""
        self._busy += 1
        row = self._board.session(slot)
        arrival = self._decode(self._board.arrival(row))
        session = self.sessions[slot]
        session.take(arrival, row[at.DUE // WORD])
        session.state = RUNNING
        session.position = row[at.POSITION // WORD]
        session.began, session.lag = row[at.BEGAN // WORD], row[at.LAG // WORD]
        session.template = row[at.TEMPLATE // WORD]
        session.in_transaction = bool(row[at.OPEN // WORD])
        for line in arrival.lines:
            if self._board.is_prepared(slot, line.call):
                _direct(session).was_prepared(self._calls[line.call].name)
        return session, arrival

    def _release(self, session: Session, now: int) -> None:
        """A session's work is done: what comes next for it is the loop's to give."""
        self._busy -= 1
        session.state = FREE
        carrier = session.carrier
        if isinstance(carrier, Direct):
            for line in session.lines:
                if name := self._calls[line.call].name:
                    self._board.set_ready(session.slot, line.call, carrier.readiness(name))
        self._board.free_up(session.slot, session.settings, now)
        if self._origin != FAR:
            self._nudge()
        self._check_done()

    def _detach(self, session: Session) -> Any:
        self._board.leave(session.slot)
        self._away += 1
        return super()._detach(session)

    def _not_free(self, session: Session) -> None:
        self._board.not_free(session.slot)

    def _check_done(self) -> None:
        board = self._board
        if (
            not self._pumping  # what the loop has left to us, and we have not yet taken, is in no count
            and not board.get(at.NEXT)
            and not board.get(at.BUSY)
            and board.get(at.AT) >= board.get(at.END)
        ):
            super()._check_done()

    def _write(self, *fields: int | bytes) -> None:
        if self._board.is_full():
            self._make_room()
        self._board.record(*fields)


class _Alarm:
    """An alarm that the loop keeps beside its own."""

    def __init__(self, board: Board, nudge: Callable[[], None]) -> None:
        self._board = board
        self._nudge = nudge

    def arm(self, at_ns: int) -> None:
        self._board.call_at(at_ns)
        self._nudge()

    def disarm(self) -> None:
        self._board.call_at(FAR)

    def close(self) -> None:
        self.disarm()


def _direct(session: Session) -> Direct:
    carrier = session.carrier
    assert isinstance(carrier, Direct)
    return carrier
