"""Several workers under Locust's own master: who drives which shard, and one origin for all.

The master tells each worker its place (`replay_plan`), hears what it has to do and that its sessions
are open (`replay_ready`), gives one origin to all (`replay_go`) and takes what each has done
(`replay_done`). The origin is a time on the master's clock; each worker has measured how far its own
is from that (`replay_clock`), so that hosts start together to within half the shortest round trip.

A test's workers are those that the master had at its start. One that comes later waits for the next
test: load that starts late would be another load. One that is lost is named with its share.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replay.errors import EnvironmentFaultError
from replay.load.merging import Share

log = logging.getLogger(__name__)

_PLAN, _READY, _GO, _DONE = "replay_plan", "replay_ready", "replay_go", "replay_done"
_CLOCK = "replay_clock"
_LEAD_NS = 500_000_000  # from the start's sending to the origin
_LOOK_S = 0.1
_PLAN_S = 30.0  # a worker that is spawned without a place waits no longer
_WIND_UP_S = 15.0  # cancelling and closing take some seconds at most
_ASKED = 8  # times; the answer that came quickest counts
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A worker's place among all of them."""

    worker: int = 0
    workers: int = 1

    def share(self, whole: int) -> int:
        """The part of so many connections that is this worker's."""
        return whole // self.workers + (self.worker < whole % self.workers)

    def of_each(self, planned: Sequence[int]) -> tuple[int, ...]:
        """What is planned for each process: the first one has what runs aside, too (see aside)."""
        first, *others = planned[: self.workers]
        return (first + sum(planned[self.workers :]), *others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a test ended, to be merged."""

    shares: dict[str, Share]  # by worker
    lost: dict[str, int]  # worker -> transactions that were planned for it
    planned: int

    @property
    def exit_code(self) -> int:
        """The worst of the workers'."""
        codes = [share.exit_code for share in self.shares.values()]
        return max([*codes, *(EnvironmentFaultError.exit_code for _ in self.lost)], default=0)


class MasterSide:
    """Conducts the workers of one test; `end` is called once all that are left are done."""

    def __init__(self, runner: Any, end: Callable[[Ended], None]) -> None:
        self._runner = runner
        self._end = end
        self._members: list[str] = []
        self._ready: set[str] = set()
        self._planned: list[int] = []  # transactions, by place
        self.names: dict[str, str] = {}  # template id -> a statement's name
        self._shares: dict[str, Share] = {}
        self._running = False
        self._over = threading.Event()
        runner.register_message(_READY, self._on_ready)
        runner.register_message(_DONE, self._on_done)
        runner.register_message(_CLOCK, self._on_clock)
        self._start, self._quit = runner.start, runner.quit
        runner.start, runner.quit = self._start_once, self._quit_at_last

    def plan(self, **_: Any) -> None:
        """At the start of a test: give every worker its place."""
        self._members = sorted(client.id for client in self._runner.clients.ready)
        self._ready, self._planned, self._shares = set(), [], {}
        self._running = True
        self._over.clear()
        for worker, member in enumerate(self._members):
            place = {"worker": worker, "workers": len(self._members)}
            self._runner.send_message(_PLAN, place, client_id=member)
        threading.Thread(target=self._conduct, daemon=True).start()

    def joined(self, client_id: str, **_: Any) -> None:
        """A worker has connected."""
        if self._running and client_id not in self._members:
            log.warning("worker %s came late: it takes part from the next start on", client_id)

    def _start_once(self, user_count: int, spawn_rate: float, **more: Any) -> None:
        """Locust's start: a user for every worker, and no users moved between workers later."""
        if self._running:
            return
        workers = len(self._runner.clients.ready)
        self._start(max(user_count, workers), max(spawn_rate, workers), **more)

    def _quit_at_last(self) -> None:
        """Locust's end, after a test that still runs is stopped and its workers told what they did."""
        if self._running:
            self._runner.stop()
            self._over.wait(_WIND_UP_S)
        self._quit()

    def _conduct(self) -> None:
        while not self._all(self._ready):
            time.sleep(_LOOK_S)
        self._runner.send_message(_GO, {"origin_ns": time.monotonic_ns() + _LEAD_NS})
        while not self._all(set(self._shares)):
            time.sleep(_LOOK_S)
        planned = dict(zip(self._members, self._planned, strict=False))
        lost = {m: planned.get(m, 0) for m in self._members if m not in self._shares}
        for member in lost:
            log.error("worker %s was lost", member)
        self._running = False
        self._end(Ended(shares=self._shares, lost=lost, planned=sum(self._planned)))
        self._over.set()

    def _all(self, heard: set[str]) -> bool:
        """Whether all workers have been heard, but those that are done or gone."""
        present = {client.id for client in self._runner.clients.all if client.state != "missing"}
        return heard | set(self._shares) >= set(self._members) & present

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._planned = msg.data["planned"]
        self.names = msg.data["names"]
        self._ready.add(msg.node_id)

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._shares[msg.node_id] = Share.unpacked(msg.data)

    def _on_clock(self, msg: Any, **_: Any) -> None:
        answer = {"asked_ns": msg.data["asked_ns"], "master_ns": time.monotonic_ns()}
        self._runner.send_message(_CLOCK, answer, client_id=msg.node_id)


class WorkerSide:
    """A worker's end of the same line."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._place = Place()
        self._planned = threading.Event()
        self._go = threading.Event()
        self._origin_ns = 0  # on the master's clock
        self._answered = threading.Event()
        self._answers: list[tuple[int, int]] = []  # round trip, offset
        runner.register_message(_PLAN, self._on_plan)
        runner.register_message(_GO, self._on_go)
        runner.register_message(_CLOCK, self._on_clock)

    def place(self) -> Place:
        """The worker's place in the test that begins; raises where the master gives none."""
        if not self._planned.wait(_PLAN_S):
            raise EnvironmentFaultError(
                "the master gave this worker no place: start the master from the same scenario"
            )
        self._planned.clear()
        return self._place

    def barrier(self, planned: tuple[int, ...], names: Mapping[str, str]) -> int:
        """Say that all sessions are open, and wait for the origin (CLOCK_MONOTONIC ns, here)."""
        offset_ns = self._measure_offset()
        self._go.clear()
        self._runner.send_message(_READY, {"planned": list(planned), "names": dict(names)})
        self._go.wait()
        return self._origin_ns + offset_ns

    def done(self, share: Share) -> None:
        """Say how it ended."""
        self._runner.send_message(_DONE, share.packed())

    def _measure_offset(self) -> int:
        """How far this host's clock is ahead of the master's, ns."""
        self._answers.clear()
        for _ in range(_ASKED):
            self._answered.clear()
            self._runner.send_message(_CLOCK, {"asked_ns": time.monotonic_ns()})
            self._answered.wait(_ANSWER_S)
        if not self._answers:
            raise EnvironmentFaultError(
                "the master does not answer: is it gone, or another version?"
            )
        return min(self._answers)[1]

    def _on_plan(self, msg: Any, **_: Any) -> None:
        self._place = Place(worker=msg.data["worker"], workers=msg.data["workers"])
        self._planned.set()

    def _on_go(self, msg: Any, **_: Any) -> None:
        self._origin_ns = msg.data["origin_ns"]
        self._go.set()

    def _on_clock(self, msg: Any, **_: Any) -> None:
        now, asked = time.monotonic_ns(), msg.data["asked_ns"]
        self._answers.append((now - asked, (now + asked) // 2 - msg.data["master_ns"]))
        self._answered.set()
