"""What a run is asked to do, and what of it contradicts itself."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replay.conduct.amplify import Amplify
from replay.errors import InputError
from replay.finding import Change
from replay.load import pace, timeline
from replay.load.options import CLIENTS, POOL, SCENARIOS

RECORDED = "as_recorded"
RAMP = "ramp"
_POOL_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do."""

    scenario: str = "mix"  # one of SCENARIOS
    rate: float = 1.0  # multiple of production's rate
    boosts: Mapping[str, float] = field(
        default_factory=dict
    )  # template id, a prefix of it, or "rare"
    arrivals: str = pace.POISSON  # or pace.CURVE: production's, over the duration
    burst_s: float | None = None  # boosts are in force for so long …
    every_s: float | None = None  # … at the end of each so long; None: all the time
    first: float = 0.5  # rate of a ramp's first step
    factor: float = 1.5  # each step's, of the one before
    step_s: float = 10.0
    speed: float = 1.0  # of a recording: 2 is twice as fast as production
    think: str = timeline.SCALE  # of a recording, one of timeline.THINK
    order: str | None = None  # of a recording; "commit": of those that wrote the same keys
    duration_s: float = 20.0  # a recording ends by itself, at the latest with its window
    retries: int = 0  # of a transaction after a serialization failure or a deadlock
    pool: int | None = None  # connections, as the service has, over all workers: see connections
    workers: int = 1  # processes that drive the load
    pool_timeout_ms: int = _POOL_TIMEOUT_MS  # how long the service waits for one
    statement_timeout_ms: int = 30_000
    objective_ms: float = 250.0  # p95 from due that the service promises
    seed: int = 0
    identity: bool = False  # the target is a restored copy: values as captured
    tags: tuple[str, ...] = ()  # only transactions with one of these: see tags
    exclude_tags: tuple[str, ...] = ()  # and with none of these
    during: Path | None = None  # a migration to run in the middle of the load
    at_s: float | None = None  # when; None: after a third of the duration
    repeat: int = 1  # times
    log: Path | None = None  # the target's log, where the server's own answer does not lead to it
    service: str = ""  # URL of the service that captured requests are sent to, not statements
    allow_writes: bool = False  # requests that write are sent, too
    openapi: str = ""  # file that tells bodies of requests
    leave_out: tuple[str, ...] = ()  # routes of requests that are not sent
    ca: str = ""  # file of certificates that sign the service's
    insecure: bool = False  # any certificate of the service is good
    login: str = ""  # module:function that logs a captured session in
    csrf: tuple[
        str, ...
    ] = ()  # names of tokens against forgery, beside those known: clients.Clients
    fresh: tuple[str, ...] = ()  # of headers and fields that have a new key each time, the same
    amplify: Amplify | None = None  # what else is made more of than the rate
    changes: tuple[Change, ...] = ()  # fixes in the application, made to the load in its place

    def check(self) -> None:
        """Raise InputError where the options contradict one another."""
        if self.scenario not in SCENARIOS:
            raise InputError(f"no scenario {self.scenario!r}; there are {', '.join(SCENARIOS)}")
        for name, value in (
            ("--rate", self.rate),
            ("--speed", self.speed),
            ("--duration", self.duration_s),
            *((f"--boost {template}", factor) for template, factor in self.boosts.items()),
        ):
            if not 0 < value < math.inf:
                raise InputError(f"{name} is {value:g}; give a number above 0")
        if self.boosts and self.scenario != "storm":
            raise InputError("--boost goes with --scenario storm")
        if self.scenario == "storm" and not self.boosts:
            raise InputError("--scenario storm needs --boost, for example --boost rare=50")
        if self.during is None and (self.at_s is not None or self.repeat != 1):
            raise InputError("--at and --repeat go with --during FILE")
        if self.migration_at_s >= self.duration_s:
            raise InputError(
                f"--at {self.migration_at_s:g} is not before the load's end: give a longer --duration"
            )

        if not self.service and (any(self.client.values()) or self.leave_out):
            raise InputError(
                "--allow-writes, --openapi, --leave-out, --login, --csrf, --fresh, --ca and --insecure go "
                "with --service URL"
            )
        if self.service and self.order:
            raise InputError("--order is of statements: a service commits when it does")
        if self.service and self.retries and not self.allow_writes:
            raise InputError("--retry is of statements: a service begins its own transactions anew")
        if self.service and self.changes:
            raise InputError("the service sends its own statements: no replay can change them")
        for complaint in (*self._of_sessions(), *self._of_arrivals()):
            raise InputError(complaint)

    def _of_sessions(self) -> Iterator[str]:
        """What is wrong with the sessions: a pool's, or those of a recording."""
        if self.scenario != RECORDED:
            if not 1 <= self.workers <= self.connections:
                yield (
                    f"{self.workers} workers cannot share a pool of {self.connections}: "
                    "give each at least one connection, with --pool"
                )
            if (self.speed, self.think, self.order) != (1, timeline.SCALE, None):
                yield "--speed, --think and --order go with --scenario as_recorded"
            return
        if self.pool or self.pool_timeout_ms != _POOL_TIMEOUT_MS:
            yield (
                "--pool and --pool-timeout-ms do not go with --scenario as_recorded: "
                "each captured session has a connection of its own"
            )
        if self.rate != 1:
            yield "--rate goes with the mix; a recording has --speed"
        if self.order and self.workers > 1:
            yield "--order commit needs all sessions in one worker: take no --workers (Locust: --processes)"

    def _of_arrivals(self) -> Iterator[str]:
        """What is wrong with the way in which arrivals come."""
        if self.arrivals not in pace.ARRIVALS:
            yield f"no arrivals {self.arrivals!r}; there are {', '.join(pace.ARRIVALS)}"
        if self.arrivals != pace.POISSON and self.scenario not in {"mix", "storm"}:
            yield "--arrivals goes with mix and storm"
        if (self.burst_s is None) != (self.every_s is None):
            yield "--burst and --every go together: --burst 30s --every 120s"
        if self.burst_s is not None and self.every_s is not None:
            if self.scenario != "storm":
                yield "--burst goes with --scenario storm"
            if not 0 < self.burst_s < self.every_s <= self.duration_s:
                yield (
                    f"a burst of {self.burst_s:g} s at the end of each {self.every_s:g} s has no "
                    f"room in {self.duration_s:g} s; give a longer --duration"
                )
        if self.scenario == RAMP:
            if self.rate != 1:
                yield "--rate goes with the mix; a ramp has --from and --factor"
            if not (0 < self.first < math.inf and 1 < self.factor < math.inf and self.step_s > 0):
                yield "a ramp goes up: --from above 0, --factor above 1, --step above 0"
            if self.workers > 1:
                yield "a ramp ends by one worker's judgement: take no --workers (Locust: --processes)"
        elif (self.first, self.factor, self.step_s) != (0.5, 1.5, 10.0):
            yield "--from, --factor and --step go with --scenario ramp"

    @property
    def connections(self) -> int:
        """Of the pool, over all workers; 0 of a recording, each of whose sessions has its own."""
        if self.scenario == RECORDED:
            return 0
        return self.pool or (CLIENTS if self.service else POOL)

    @property
    def client(self) -> Mapping[str, str | bool]:
        """What is said of the service's clients, as the scenarios' options have it."""
        given: dict[str, str | bool] = {
            "ca": self.ca,
            "login": self.login,
            "csrf": ",".join(self.csrf),
            "fresh": ",".join(self.fresh),
            "openapi": self.openapi,
        }
        flags = {"insecure": self.insecure, "allow-writes": self.allow_writes}
        return {**given, **{name: True for name, is_set in flags.items() if is_set}}

    @property
    def migration_at_s(self) -> float:
        """When the migration begins, seconds after the origin."""
        return self.duration_s / 3 if self.at_s is None else self.at_s
