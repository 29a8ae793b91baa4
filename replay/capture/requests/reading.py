"""Stream request logs through counting and sampling, in bounded memory."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.capture.blocks import Block, blocks_of
from replay.capture.executions import Mask
from replay.capture.formats.columns import Ints
from replay.capture.inputs import Input
from replay.capture.links.flights import Sky
from replay.capture.requests import shapes
from replay.capture.requests.columns import Requests
from replay.capture.requests.routes import Routes
from replay.capture.requests.sample import Sample
from replay.capture.requests.tally import Tally
from replay.capture.stopping import stopping
from replay.capture.units import Priorities, mix
from replay.workload import Skip

_HOSTS_AT_MOST = 4096  # anybody can send a name
_WARNED_SHARE = 0.01  # of the lines
# The cookie that stands for a session, of all that a client sends.
_SESSION = re.compile(
    rb"(?i)(?:^|;\s*)(?:[\w.-]*sess[\w.-]*|sid|connect\.sid|jsessionid|phpsessid|auth[\w.-]*|token)=([^;]+)"
)
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
    ) -> None:
        self._seed: Priorities = mix(np.array([seed + 1], np.uint64))
        self._window = (begin_us, end_us)
        self._broken_off: list[str] = []
        self._skipped: dict[str, tuple[int, str]] = {}
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
            blocks = stop.until_asked(blocks_of(inputs, self._broke_off))
            try:
                for block in blocks:
                    self._take(block)
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
            self._skipped[broken.reason] = count + 1, first or block.place_of(broken.offset)
        if len(self.hosts) < _HOSTS_AT_MOST:
            self.hosts.update(found.hosts)
        found = self._inside(found)
        if not len(found):
            return
        numbers = self._numbers(found)
        sessions = _sessions(found)
        priorities = self._priorities(found, sessions, block.offset)
        self.tally.take(found, numbers, sessions)
        self.sample.take(found, numbers, sessions, priorities)
        self.sky.take(found, numbers, priorities)
        distinct, counts = np.unique(numbers, return_counts=True)
        if self.routes.count(distinct, counts):
            self.sample.moved(self.routes)

    def _priorities(self, found: Requests, sessions: Ints, offset: int) -> Priorities:
        """By where each stands in its log and what it says: another host's at the same place has its own."""
        places = mix((found.begin + offset).astype(np.uint64) ^ self._seed)
        times = mix((found.at_us ^ sessions).view(np.uint64))
        return mix(places ^ times ^ (found.size ^ (found.duration_us << 32)).view(np.uint64))

    def _inside(self, found: Requests) -> Requests:
        begin_us, end_us = self._window
        inside = np.ones(len(found), np.bool_)
        if begin_us is not None:
            inside &= found.at_us >= begin_us
        if end_us is not None:
            inside &= found.at_us < end_us
        return found if inside.all() else found.of(np.flatnonzero(inside))

    def _numbers(self, found: Requests) -> Ints:
        """Every request's route."""
        hashes = shapes.hashes(found.method, found.target, self.routes.plain)
        given = _is_there(found.route)
        if given.any():  # what the service names is told apart by that name
            of_name = _taken(shapes.hashes_of(found.route.dictionary), found.route)
            mixed = mix(of_name ^ _of_methods(found))
            hashes = np.where(given, mixed, hashes)
        distinct, first, places = np.unique(hashes, return_index=True, return_inverse=True)
        methods, targets, routes = (
            column.take(first).to_pylist() for column in (found.method, found.target, found.route)
        )
        numbers = self.routes.numbers(
            distinct,
            [method.decode("ascii", "replace") for method in methods],
            targets,
            [route.decode("utf-8", "replace") for route in routes],
        )
        return numbers[places]

    def _broke_off(self, log_file: Input, _error: Exception) -> None:
        self._broken_off.append(log_file.name)


def _of_methods(found: Requests) -> Priorities:
    return _taken(shapes.hashes_of(found.method.dictionary), found.method)


def _sessions(found: Requests) -> Ints:
    """A number for each request's session: its cookie's, else its authorization's, else its client's."""
    cookies = [_session_of(cookie) for cookie in found.cookie.dictionary.to_pylist()]
    cookie = _taken(shapes.hashes_of(pa.array(cookies, pa.binary())), found.cookie)
    authorization, client, agent = (
        _taken(shapes.hashes_of(column.dictionary), column)
        for column in (found.authorization, found.client, found.agent)
    )
    told = np.where(
        _is_there(found.cookie),
        cookie,
        np.where(_is_there(found.authorization), authorization, mix(client) ^ agent),
    )
    sessions: Ints = mix(told).view(np.int64)
    return sessions


def _session_of(cookie: bytes) -> bytes:
    found = _SESSION.search(cookie)
    return found[1] if found else cookie


def _is_there(column: pa.DictionaryArray) -> Mask:
    lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
    is_there: Mask = (lengths > 0)[column.indices.to_numpy()]
    return is_there


def _taken(hashes: Priorities, column: pa.DictionaryArray) -> Priorities:
    """A hash for every row of a column, of one for each of its values."""
    of_row: Priorities = hashes[column.indices.to_numpy()]
    return of_row
