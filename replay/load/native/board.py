"""The memory that the compiled loop and Python share, as Python reads and writes it."""

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from replay.load.native import layout as at
from replay.load.native.layout import WORD
from replay.load.protocol import parse, query
from replay.load.record import RECORD
from replay.load.shard import Call

_ADD, _REMOVE, _READABLE = 1, 2, 1  # EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN
_CLOSE_ON_EXEC = 0o2000000
_pack_record = RECORD.pack_into
assert RECORD.size == at.RECORD_SIZE


class _Event(ctypes.Structure):
    """What the system says of a descriptor (epoll_event)."""

    _pack_ = at.EVENT_DATA
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


class Board:
    """One engine's memory: the board itself, and the tables that it has the addresses of."""

    def __init__(self, shard: Path, calls: Sequence[Call], *, slots: int, patience_ns: int) -> None:
        """`patience_ns`: how long an arrival waits for a session."""
        self._library = ctypes.CDLL(None, use_errno=True)
        numbers = np.zeros(at.BOARD, np.int64)
        self.address, self._numbers = _address(numbers), numbers.data
        with shard.open("rb") as file:
            self._shard = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._begin = _address(np.frombuffer(self._shard, np.uint8))
        self._sessions = np.zeros((slots, at.SESSION), np.int64)
        self._sessions[:, at.STATE // WORD] = at.GONE
        self._calls, self._heads = _calls(calls)
        self._ready = np.zeros((slots, len(calls)), np.uint8)
        self._records = np.zeros(at.RECORDS_MOST * at.RECORD_SIZE, np.uint8)
        self._exits = np.zeros((at.EXITS_MOST, at.EXIT), np.int64)
        self._free = np.zeros(slots, np.int64)
        self._pauses = np.zeros((slots, 2), np.int64)
        self._looks = np.zeros((at.LOOKS_MOST, 2), np.int64)
        self._in = np.zeros(at.IN_SIZE, np.uint8)
        self._out = np.zeros(at.OUT_SIZE, np.uint8)
        self._events = np.zeros(at.EVENTS_MOST * at.EVENT_SIZE + WORD, np.uint8)
        self.epoll = self._library.epoll_create1(_CLOSE_ON_EXEC)
        if self.epoll < 0:
            raise OSError(ctypes.get_errno(), "epoll_create1 failed")
        self._set(
            {
                at.EPOLL: self.epoll,
                at.PATIENCE: patience_ns,
                at.NEXT_DUE: at.FAR,
                at.WAKE: at.FAR,
                at.ARMED: at.FAR,
                at.ALARM: at.FAR,
                at.CALLS_COUNT: len(calls),
                at.FREE_SIZE: slots,
                at.SESSIONS: _address(self._sessions),
                at.CALLS: _address(self._calls),
                at.READY: _address(self._ready),
                at.RECORDS: _address(self._records),
                at.EXITS: _address(self._exits),
                at.FREE: _address(self._free),
                at.PAUSES: _address(self._pauses),
                at.LOOKS: _address(self._looks),
                at.IN: _address(self._in),
                at.OUT: _address(self._out),
                at.EVENTS: _address(self._events),
            }
        )

    def _set(self, numbers: dict[int, int]) -> None:
        for place, number in numbers.items():
            self._numbers[place // WORD] = number

    def get(self, place: int) -> int:
        """A number of the board."""
        return self._numbers[place // WORD]

    def start(self, origin_ns: int) -> None:
        """Arrivals are due from now on, at this origin plus their own time."""
        self._set(
            {at.ORIGIN: origin_ns, at.AT: self._begin, at.END: self._begin + len(self._shard)}
        )

    def no_more(self) -> None:
        """Take up no arrival any more."""
        self._set({at.NEXT: 0, at.NEXT_DUE: at.FAR, at.LEFT: 0, at.AT: self.get(at.END)})

    def let_go(self) -> None:
        """Pages of the shard that were read need not stay in memory."""
        self._shard.madvise(mmap.MADV_DONTNEED)

    def watch(self, fd: int, number: int) -> None:
        """Look at a descriptor: a slot's, or the timer's."""
        self._control(_ADD, fd, number)

    def _control(self, what: int, fd: int, number: int) -> None:
        event = _Event(_READABLE, number)
        if self._library.epoll_ctl(self.epoll, what, fd, ctypes.byref(event)):
            raise OSError(ctypes.get_errno(), f"epoll_ctl {what} failed")

    def watch_timer(self, fd: int) -> None:
        """The timer that the loop sets."""
        self._set({at.TIMER: fd})
        self.watch(fd, at.OF_TIMER)

    def enter(self, slot: int, fd: int, pid: int) -> None:
        """A slot has a connection, for the first time or again; -1: one that the loop cannot use."""
        self._sessions[slot] = 0
        if self._ready[slot].any():  # a page that was never written to takes no memory
            self._ready[slot] = 0
        self.set(slot, {at.FD: fd, at.PID: pid, at.STATE: at.LENT})
        if fd >= 0:
            self.watch(fd, slot)

    def leave(self, slot: int) -> None:
        """The connection of a slot is gone, or about to."""
        fd = self.session(slot)[at.FD // WORD]
        if self.state(slot) != at.GONE and fd >= 0 <= self.epoll:
            self._control(_REMOVE, fd, slot)
        self.set(slot, {at.STATE: at.GONE})

    def session(self, slot: int) -> list[int]:
        """A slot's row."""
        found: list[int] = self._sessions[slot].tolist()
        return found

    def set(self, slot: int, numbers: dict[int, int]) -> None:
        """Write numbers into a slot's row."""
        for place, number in numbers.items():
            self._sessions[slot, place // WORD] = number

    def state(self, slot: int) -> int:
        """What a slot is doing."""
        return int(self._sessions[slot, at.STATE // WORD])

    def slots(self, state: int) -> list[int]:
        """The slots that are in a state."""
        found: list[int] = np.flatnonzero(self._sessions[:, at.STATE // WORD] == state).tolist()
        return found

    def lend(self, slot: int) -> None:
        """Take the loop's transaction of a slot over."""
        if self.state(slot) == at.PAUSES_NOW:
            pauses = self._pauses[: self.get(at.PAUSED_COUNT)]
            left = sorted(pause for pause in pauses.tolist() if pause[1] != slot)
            self._pauses[: len(left)] = np.array(left).reshape(-1, 2)  # in order, so a heap
            self._set({at.PAUSED_COUNT: len(left)})
        self.set(slot, {at.STATE: at.LENT})
        self._set({at.BUSY: self.get(at.BUSY) - 1})

    def free_up(self, slot: int, settings: int, now: int) -> None:
        """A slot's transaction is over: what comes next for it is the loop's."""
        self.set(slot, {at.STATE: at.IDLE, at.SETTINGS: settings, at.OPEN: 0, at.FREED: now})
        count = self.get(at.FREE_COUNT)
        self._free[(self.get(at.FREE_FIRST) + count) % len(self._free)] = slot
        self._set({at.FREE_COUNT: count + 1})

    def not_free(self, slot: int) -> None:
        """A slot that was free is gone."""
        self._queue([one for one in self._free_slots() if one != slot])

    def _free_slots(self) -> list[int]:
        first, count = self.get(at.FREE_FIRST), self.get(at.FREE_COUNT)
        found: list[int] = np.roll(self._free, -first)[:count].tolist()
        return found

    def _queue(self, slots: list[int]) -> None:
        self._free[: len(slots)] = slots
        self._set({at.FREE_FIRST: 0, at.FREE_COUNT: len(slots)})

    def set_ready(self, slot: int, call: int, ready: int) -> None:
        """How far a named call is in a slot's session: FRESH, PREPARED or RENAMED."""
        self._ready[slot, call] = ready

    def is_prepared(self, slot: int, call: int) -> bool:
        """Whether a call is prepared in a slot's session under its own name."""
        return bool(self._ready[slot, call] == at.PREPARED)

    def call_at(self, at_ns: int) -> None:
        """When Python wants to be called."""
        self._set({at.ALARM: at_ns})

    def stay(self, stay_ns: int) -> None:
        """How long the loop may go on, and wait; 0: while something is to be done at once."""
        self._numbers[at.STAY // WORD] = stay_ns

    def nudge(self) -> None:
        """Something may be due: the loop is to look at once when it runs again."""
        # The timer is set otherwise than the loop knows, by who wakes it up.
        self._set({at.NUDGED: 1, at.ARMED: 0})

    def exits(self) -> Iterator[list[int]]:
        """What the loop has left to do."""
        found = self._exits[: self.get(at.EXITED)].tolist()
        self._set({at.EXITED: 0})
        return iter(found)

    def arrival(self, row: list[int]) -> bytes:
        """The arrival of a session's row, as it stands in the shard."""
        begin, end = (row[place // WORD] - self._begin for place in (at.ARRIVAL, at.ARRIVAL_END))
        return self._shard[begin:end]

    def came(self, size: int) -> bytes:
        """So many bytes of what came last."""
        return self._in[:size].tobytes()

    def is_full(self) -> bool:
        """Whether there is hardly room for more records."""
        return self.get(at.RECORDED) > at.RECORDS_MOST - at.RECORDS_SPARE

    def record(self, *fields: int | bytes) -> None:
        """Write a record (record.RECORD) beside the loop's own, in their order."""
        count = self.get(at.RECORDED)
        _pack_record(self._records.data, count * at.RECORD_SIZE, *fields)
        self._set({at.RECORDED: count + 1})

    def take_records(self) -> bytes:
        """All records since the last time, packed."""
        found = self._records[: self.get(at.RECORDED) * at.RECORD_SIZE].tobytes()
        self._set({at.RECORDED: 0})
        return found

    def close(self) -> None:
        """Look at nothing any more."""
        os.close(self.epoll)
        self.epoll = -1


def _calls(calls: Sequence[Call]) -> tuple[np.ndarray, np.ndarray]:
    """The table of calls, and the bytes that it points to."""
    rows, heads = [], bytearray()
    for call in calls:
        kind, head = _way(call)
        rows.append((call.template, kind, len(heads), len(head)))
        heads += head
    table, kept = np.array(rows, np.int64), np.frombuffer(heads or bytearray(1), np.uint8)
    table[:, at.CALL_HEAD // WORD] += _address(kept)
    return table, kept


def _way(call: Call) -> tuple[int, bytes]:
    if call.name:
        return at.BY_NAME, parse(call.name, call.text)
    if call.simple:
        return at.HEAD_ALONE, query(call.text)
    return at.BEHIND_HEAD, parse(b"", call.text)


def _address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


Run = Callable[[int], object]
