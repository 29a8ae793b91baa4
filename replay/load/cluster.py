"""Several workers under Locust's own master: who drives which shard, and one origin for all.

The master tells each worker its place (`replay_plan`), hears when its sessions are open
(`replay_ready`), gives the start to all (`replay_go`) and ends when all are done (`replay_done`).
Each worker bakes the whole load from the same seed and drives its own part. The origin is a moment
after the message arrives, so that hosts whose clocks differ are apart by the network's delay only.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from replay.errors import EnvironmentFaultError

log = logging.getLogger(__name__)

_PLAN, _READY, _GO, _DONE = "replay_plan", "replay_ready", "replay_go", "replay_done"
_LEAD_NS = 300_000_000  # from the arrival of the start to the origin
_LOOK_S = 0.2
_PLAN_S = 30.0  # a worker that is spawned without a place waits no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A worker's place among all of them."""

    worker: int = 0
    workers: int = 1

    def share(self, whole: int) -> int:
        """The part of so many connections that is this worker's."""
        return whole // self.workers + (self.worker < whole % self.workers)


class MasterSide:
    """Conducts the workers of one test; `end` is called with the exit code once all are done."""

    def __init__(self, runner: Any, end: Callable[[int], None]) -> None:
        self._runner = runner
        self._end = end
        self._members: list[str] = []
        self._ready: set[str] = set()
        self._codes: dict[str, int] = {}
        runner.register_message(_READY, self._on_ready)
        runner.register_message(_DONE, self._on_done)

    def plan(self, **_: Any) -> None:
        """At the start of a test: give every worker its place."""
        self._members = sorted(client.id for client in self._runner.clients.ready)
        self._ready, self._codes = set(), {}
        for worker, member in enumerate(self._members):
            place = {"worker": worker, "workers": len(self._members)}
            self._runner.send_message(_PLAN, place, client_id=member)
        threading.Thread(target=self._conduct, daemon=True).start()

    def _conduct(self) -> None:
        while not self._all(self._ready):
            time.sleep(_LOOK_S)
        self._runner.send_message(_GO)
        while not self._all(set(self._codes)):
            time.sleep(_LOOK_S)
        lost = set(self._members) - set(self._codes)
        for member in lost:
            log.error("worker %s was lost", member)
        codes = [*self._codes.values(), *(EnvironmentFaultError.exit_code for _ in lost)]
        self._end(max(codes, default=0))

    def _all(self, heard: set[str]) -> bool:
        """Whether all workers have been heard, but those that are done or gone."""
        present = {client.id for client in self._runner.clients.all if client.state != "missing"}
        return heard | set(self._codes) >= set(self._members) & present

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready.add(msg.node_id)

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._codes[msg.node_id] = msg.data["exit_code"]


class WorkerSide:
    """A worker's end of the same line."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._place = Place()
        self._planned = threading.Event()
        self._go = threading.Event()
        self._origin_ns = 0
        runner.register_message(_PLAN, self._on_plan)
        runner.register_message(_GO, self._on_go)

    def place(self) -> Place:
        """The worker's place in the test that begins; raises where the master gives none."""
        if not self._planned.wait(_PLAN_S):
            raise EnvironmentFaultError(
                "the master gave this worker no place: start the master from the same scenario"
            )
        self._planned.clear()
        return self._place

    def barrier(self) -> int:
        """Say that all sessions are open, and wait for the origin (CLOCK_MONOTONIC ns)."""
        self._go.clear()
        self._runner.send_message(_READY)
        self._go.wait()
        return self._origin_ns

    def done(self, exit_code: int) -> None:
        """Say how it ended."""
        self._runner.send_message(_DONE, {"exit_code": exit_code})

    def _on_plan(self, msg: Any, **_: Any) -> None:
        self._place = Place(worker=msg.data["worker"], workers=msg.data["workers"])
        self._planned.set()

    def _on_go(self, **_: Any) -> None:
        self._origin_ns = time.monotonic_ns() + _LEAD_NS
        self._go.set()
