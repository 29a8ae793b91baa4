"""What sessions had set before the window and have in force when it begins.

A setting lasts as long as its session, so a window without those from before it is another: its
statements would look for their tables elsewhere. While the log before the window is read, the last
word on each setting is held; sessions of which the window has something give theirs to the workload.

Memory holds each distinct statement once, and a number a session: most sessions set the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from replay.capture.executions import Executions, Mask
from replay.capture.formats.columns import Ints
from replay.capture.held import Stretches
from replay.capture.registry import NO_SETTING, Registry
from replay.capture.retell import retold
from replay.capture.stored import Batch, Stored, StoredExecution, batch_of
from replay.capture.units import Sources
from replay.sql.setting import apply, changed
from replay.sql.slots import render
from replay.workload import SessionSettings, Transaction

_OF_ONE_AT_MOST = 100  # that one transaction sets
_DISTINCT_AT_MOST = 1 << 16  # statements; what others set later is not known
_State = tuple[int, ...]  # numbers of the statements that set what is in force


@dataclass(slots=True)
class _Open:
    """A transaction that has set something, and has not come to its end."""

    sets: list[StoredExecution] = field(default_factory=list)
    failed: bool = False  # something in it did


class Standing:
    """Takes what runs before the window; what it holds are units, as `kept.Kept` has them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._in_force: dict[bytes, _State] = {}  # by session
        self._states: dict[_State, _State] = {}
        self._distinct: list[StoredExecution] = []
        self._numbers: dict[tuple[int, bytes], int] = {}  # of them, by template and text
        self._open: dict[bytes, _Open] = {}
        self._units: list[tuple[bytes, _State]] = []

    def take(
        self,
        stretches: Stretches,
        *,
        new: Mask,
        closed: Mask,
        early: Mask,
        sessions: Sequence[bytes],
        sources: Sources,
    ) -> None:
        """Take those stretches of units that are early, each session's in order.

        `new` says which begin here, `closed` which come to their end; `sessions` are ids by code.
        """
        found, of_each = stretches.found, stretches.of_each
        settings = self._registry.sets()[found.template]
        sets = np.flatnonzero((settings != NO_SETTING) & (found.state < 0) & early[of_each])
        if not len(found) or not (sets.size or self._open):
            return
        failed = np.logical_or.reduceat(found.state >= 0, stretches.begins)
        undone = failed | self._registry.rolls_back()[found.template[stretches.ends - 1]]
        stretch = of_each[sets]

        def of(place: int) -> tuple[bytes, list[StoredExecution]]:
            rows = sets[stretch == place][:_OF_ONE_AT_MOST].tolist()
            session = sessions[int(found.session[stretches.begins[place]])]
            return session, [_held(found, row, sources) for row in rows]

        for place in np.flatnonzero(early & ~new).tolist():
            self._go_on(*of(place), failed=bool(failed[place]))
            if closed[place]:
                self._close(of(place)[0], undone=bool(undone[place]))
        whole = sets[(new & closed & ~undone)[stretch]]
        last = list(_last_words(whole, found.session, settings))
        self._apply(
            [sessions[code] for code in found.session[last].tolist()],
            [_held(found, row, sources) for row in last],
        )
        for place in np.flatnonzero(early & new & ~closed).tolist():
            self._go_on(*of(place), failed=bool(failed[place]))

    def enter(self, session: bytes) -> None:
        """The window has something of this session."""
        if in_force := self._in_force.get(session):
            self._units.append((session, in_force))
        self.leave(session)

    def leave(self, session: bytes) -> None:
        """Of this session nothing more is to be held."""
        self._in_force.pop(session, None)
        self._open.pop(session, None)

    def __len__(self) -> int:
        """How many sessions of the window had set something."""
        return len(self._units)

    def sizes(self, numbers: Ints) -> Ints:
        """Bytes of what those sessions had set."""
        units = (self._units[number] for number in numbers.tolist())
        sizes = [sum(len(self._distinct[one].record) for one in state) for _, state in units]
        return np.array(sizes, np.int64)

    def batch(self, numbers: Ints) -> Batch:
        """What those sessions had set, a unit each."""
        units = (self._units[number] for number in numbers.tolist())
        held = [Stored(name, 0, [self._distinct[one] for one in state]) for name, state in units]
        return batch_of(held, numbers)

    def _go_on(self, session: bytes, sets: list[StoredExecution], *, failed: bool) -> None:
        if not (sets or session in self._open):
            return
        transaction = self._open.setdefault(session, _Open())
        transaction.sets = (transaction.sets + sets)[-_OF_ONE_AT_MOST:]
        transaction.failed |= failed

    def _close(self, session: bytes, *, undone: bool) -> None:
        transaction = self._open.pop(session, _Open())
        sets = [] if undone or transaction.failed else transaction.sets
        self._apply([session] * len(sets), sets)

    def _apply(self, sessions: list[bytes], executions: list[StoredExecution]) -> None:
        for session, execution, number in zip(
            sessions, executions, self._numbered(executions), strict=True
        ):
            before = self._in_force.get(session, ())
            known = {changed(self._sql(self._distinct[one])): one for one in before}
            apply(self._sql(execution), number, known)
            state = tuple(one for one in known.values() if one >= 0)
            self._in_force[session] = self._states.setdefault(state, state)

    def _sql(self, execution: StoredExecution) -> str:
        return self._registry.templates[execution.template].sql

    def _numbered(self, executions: list[StoredExecution]) -> list[int]:
        """Numbers of what is held in the executions' place; -1 where there is no room for more."""
        if not executions:
            return []
        texts = retold(
            batch_of([Stored(b"", 0, executions)], np.zeros(1, np.int64)), self._registry
        )
        numbers = []
        for execution, (begin, end) in zip(executions, texts.sql.tolist(), strict=True):
            key = execution.template, texts.data[begin:end].tobytes()
            if key not in self._numbers and len(self._distinct) < _DISTINCT_AT_MOST:
                self._numbers[key] = len(self._distinct)
                self._distinct.append(execution)
            numbers.append(self._numbers.get(key, -1))
        return numbers


def told(units: Iterable[Transaction]) -> tuple[SessionSettings, ...]:
    """What sessions had set, from their units with scrubbed values."""
    return tuple(
        SessionSettings(
            session=unit.session,
            statements=tuple(render(s.sql, s.slots, s.values)[0] for s in unit.statements),
        )
        for unit in units
    )


def _held(found: Executions, row: int, sources: Sources) -> StoredExecution:
    return StoredExecution(
        template=int(found.template[row]),
        start_us=int(found.start_us[row]),
        spent_us=int(found.spent_us[row]),
        state=int(found.state[row]),
        record=sources[int(found.source[row])],
        call=sources[int(found.call[row])],
    )


def _last_words(rows: Ints, session: Ints, settings: Ints) -> Iterator[int]:
    """Of each session and setting the last of those rows, in order."""
    width = int(settings.max(initial=0)) + 1
    _, places = np.unique((session[rows] * width + settings[rows])[::-1], return_index=True)
    yield from np.sort(rows[::-1][places]).tolist()
