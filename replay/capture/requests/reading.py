"""Stream request logs through counting and sampling, in bounded memory."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from replay.capture.blocks import Block, Lines, blocks_of, lines_in
from replay.capture.formats.columns import Ints
from replay.capture.inputs import Input
from replay.capture.kernels import Hashes, Number, compiled, place
from replay.capture.links.flights import Sky
from replay.capture.priority import Priorities, mix, mixed
from replay.capture.requests import shapes
from replay.capture.requests.columns import Requests, is_absent
from replay.capture.requests.routes import Routes
from replay.capture.requests.sample import Sample
from replay.capture.requests.sessions import sessions_of
from replay.capture.requests.tally import Tally
from replay.capture.slots import Slots
from replay.capture.stopping import stopping
from replay.workload import Skip

_FIRST = 1 << 20  # bytes, in which many words at one place are seen to be values
_HOSTS_AT_MOST = 4096  # anybody can send a name
_WARNED_SHARE = 0.01  # of the lines
Progress = Callable[[int, int], None]


class Reading:
    """One reading of all inputs, and what came of it."""

    def __init__(
        self,
        routes: Routes,
        *,
        seed: int,
        k: int,
        begin_us: int | None = None,
        end_us: int | None = None,
        linked: bool = True,
    ) -> None:
        self._linked = linked
        self._seed: Priorities = mix(np.array([seed + 1], np.uint64))
        self._window = (begin_us, end_us)
        self._broken_off: list[str] = []
        self._skipped: dict[str, tuple[int, str]] = {}
        self._lines = Lines()
        self.routes = routes
        self.tally = Tally()
        self.sample = Sample(k=k)
        self.sky = Sky()
        self.hosts: Counter[bytes] = Counter()
        self.records = 0
        self.broken = 0
        self.interrupted = False

    def read(self, inputs: Sequence[Input], progress: Progress | None = None) -> None:
        """Read all files; stops in order at Ctrl-C."""
        read: dict[str, int] = {}
        total = sum(one.bytes for one in inputs)
        with stopping() as stop:
            slots = Slots(1)  # of one input only one block is there at a time
            blocks = stop.until_asked(blocks_of(inputs, self._broke_off, slots, _FIRST))
            try:
                for block in blocks:
                    self._take(block)
                    slots.give_back(block.slot)
                    read[str(block.input.path)] = block.read
                    if progress is not None:
                        progress(sum(read.values()), total)
                    if stop.asked:
                        break
            except KeyboardInterrupt:
                stop.asked = True
            self.interrupted = stop.asked

    def skipped(self) -> tuple[Skip, ...]:
        """What was passed over, by reason."""
        return tuple(
            Skip(reason=reason, count=count, first=first)
            for reason, (count, first) in sorted(self._skipped.items())
        )

    @property
    def complete(self) -> bool:
        """Whether every input was read to its end."""
        return not (self.interrupted or self._broken_off)

    def notes(self) -> list[str]:
        """What a reader of the workload should know."""
        notes = [f"{name} breaks off in the middle" for name in dict.fromkeys(self._broken_off)]
        if self.interrupted:
            notes.insert(0, "the capture was interrupted: the rest of the requests was not read")
        share = self.broken / max(self.records + self.broken, 1)
        if share > _WARNED_SHARE:
            percent = math.ceil(share * 1000) / 10
            notes.append(f"{percent:g} % of the request log's lines are no requests")
        if self.tally.requests and not self.tally.timed:
            notes.append(
                "the request log tells no durations: add $request_time (nginx) or %D (Apache) to its "
                "format"
            )
        return notes

    def _take(self, block: Block) -> None:
        found: Requests = block.input.format.parse(block.data)  # type: ignore[assignment]
        self.records += len(found)
        self.broken += len(found.broken)
        for broken in found.broken:
            count, first = self._skipped.get(broken.reason, (0, ""))
            self._skipped[broken.reason] = (
                count + 1,
                first or self._lines.place_of(block, broken.offset),
            )
        self._lines.passed(block, lines_in(block.data))
        if len(self.hosts) < _HOSTS_AT_MOST:
            self.hosts.update(found.hosts)
        found = self._inside(found)
        if not len(found):
            return
        numbers, worded = self._numbers(found)
        sessions = sessions_of(found)
        priorities = self._priorities(found, sessions, block.offset)
        self.tally.take(found, numbers, sessions)
        self.sample.take(found, numbers, sessions, priorities)
        if self._linked:
            self.sky.take(found, numbers, worded, priorities)
        calls = np.bincount(numbers)
        distinct = np.flatnonzero(calls)
        if self.routes.count(distinct, calls[distinct]):
            self.sample.moved(self.routes)

    def _priorities(self, found: Requests, sessions: Ints, offset: int) -> Priorities:
        """By where each stands in its log and what it says: another host's at the same place has its own."""
        priorities = np.empty(len(found), np.uint64)
        columns = found.begin, found.at_us, sessions, found.size, found.duration_us
        _priorities(*columns, offset, self._seed[0], priorities)
        return priorities

    def _inside(self, found: Requests) -> Requests:
        begin_us, end_us = self._window
        inside = np.ones(len(found), np.bool_)
        if begin_us is not None:
            inside &= found.at_us >= begin_us
        if end_us is not None:
            inside &= found.at_us < end_us
        return found if inside.all() else found.of(np.flatnonzero(inside))

    def _numbers(self, found: Requests) -> tuple[Ints, Hashes]:
        """Every request's route, and a hash of its path with every word in it."""
        hashes, worded = shapes.hashes(found.method, found.target, self.routes.folds)
        if not is_absent(found.route):  # what the service names is told apart by that name
            is_given = found.route.ends > found.route.begins
            names = shapes.hashes_of(found.route) ^ shapes.hashes_of(found.method)
            hashes = np.where(is_given, mix(names), hashes)

        def asked(rows: Ints) -> Iterator[tuple[str, bytes, str]]:
            columns = (
                column.only(rows).to_pylist()
                for column in (found.method, found.target, found.route)
            )
            for method, target, route in zip(*columns, strict=True):
                yield method.decode("ascii", "replace"), target, route.decode("utf-8", "replace")

        return self.routes.numbers(hashes, asked), worded

    def _broke_off(self, log_file: Input, _error: Exception) -> None:
        self._broken_off.append(log_file.name)


@compiled
def _priorities(
    begins: Ints,
    begins_us: Ints,
    sessions: Ints,
    sizes: Ints,
    durations_us: Ints,
    offset: Number,
    seed: np.uint64,
    priorities: Priorities,
) -> None:
    for row in range(priorities.size):
        stands = mixed(place(begins[row] + offset) ^ seed)
        began = mixed(place(begins_us[row] ^ sessions[row]))
        took = place(sizes[row] ^ (durations_us[row] << 32))
        priorities[row] = mixed(stands ^ began ^ took)
