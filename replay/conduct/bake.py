"""Bake a planned load: which kept transactions arrive when, with which values, as shards on disk."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from replay import bundle, target
from replay.bind import Binder
from replay.conduct.amplify import Amplify, joined
from replay.conduct.amplify import arrivals as amplified
from replay.errors import InputError
from replay.load import schedule, shard, timeline
from replay.sql.slots import render
from replay.workload import Transaction, Workload

RECORDED = "as_recorded"
SCENARIOS = ("mix", "storm", RECORDED)
_PLANNED_AT_MOST = 20_000_000  # transactions: more are a slip of the keyboard


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do."""

    scenario: str = "mix"  # one of SCENARIOS
    rate: float = 1.0  # multiple of production's rate
    boosts: Mapping[str, float] = field(
        default_factory=dict
    )  # template id, a prefix of it, or "rare"
    speed: float = 1.0  # of a recording: 2 is twice as fast as production
    think: str = timeline.SCALE  # of a recording, one of timeline.THINK
    duration_s: float = 20.0  # a recording ends by itself, at the latest with its window
    pool: int = 20  # connections, as the service has, over all workers
    workers: int = 1  # processes that drive the load
    pool_timeout_ms: int = 5000  # how long the service waits for one
    statement_timeout_ms: int = 30_000
    objective_ms: float = 250.0  # p95 from due that the service promises
    seed: int = 0
    identity: bool = False  # the target is a restored copy: values as captured
    during: Path | None = None  # a migration to run in the middle of the load
    at_s: float | None = None  # when; None: after a third of the duration
    repeat: int = 1  # times
    log: Path | None = None  # the target's log, where the server's own answer does not lead to it
    amplify: Amplify | None = None  # what else is made more of than the rate

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
        if not 1 <= self.workers <= self.pool:
            raise InputError(
                f"{self.workers} workers cannot share a pool of {self.pool}: "
                "give each at least one connection, with --pool"
            )
        if self.boosts and self.scenario != "storm":
            raise InputError("--boost goes with --scenario storm")
        if self.scenario == "storm" and not self.boosts:
            raise InputError("--scenario storm needs --boost, for example --boost rare=50")
        recorded = self.scenario == RECORDED
        if recorded and self.rate != 1:
            raise InputError("--rate goes with the mix; a recording has --speed")
        if not recorded and (self.speed != 1 or self.think != timeline.SCALE):
            raise InputError("--speed and --think go with --scenario as_recorded")
        if self.during is None and (self.at_s is not None or self.repeat != 1):
            raise InputError("--at and --repeat go with --during FILE")
        if self.migration_at_s >= self.duration_s:
            raise InputError(
                f"--at {self.migration_at_s:g} is not before the load's end: give a longer --duration"
            )

    @property
    def migration_at_s(self) -> float:
        """When the migration begins, seconds after the origin."""
        return self.duration_s / 3 if self.at_s is None else self.at_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """A planned load on disk."""

    planned: shard.Planned
    boosted: tuple[str, ...]  # template ids whose rate is raised
    bindings: Mapping[str, int]  # slots by how they were bound
    examples: Mapping[
        str, tuple[str, tuple[str | None, ...]]
    ]  # template -> SQL and values, for EXPLAIN


def bake(
    workload_path: Path,
    connection: psycopg.Connection,
    shards: Path,
    options: RunOptions,
    *,
    only: Collection[int] | None = None,
) -> Baked:
    """Plan a run's whole load from the workload and the target's note of how its data was made.

    The shards of the workers in `only` are written, all where none are given.
    Raises InputError where the options name no template, or the target's data is another workload's.
    """
    workload = bundle.read(workload_path)
    boosts = expand_boosts(workload, options)
    binder = binder_for(workload_path, workload, connection, identity=options.identity)
    rngs = np.random.default_rng(options.seed).spawn(2)
    examples: dict[str, tuple[str, tuple[str | None, ...]]] = {}

    def planned() -> Iterator[shard.PlannedTransaction]:
        for due_us, transaction, more in _arrivals(workload, options, boosts, rngs[0]):
            values = binder.bind(transaction, rngs[1])
            amplify = options.amplify
            if amplify is not None and amplify.lists > 1 and amplify.chooses(transaction):
                longer = [binder.bind(transaction, rngs[1]) for _ in range(amplify.lists - 1)]
                values = joined([values, *longer])
            for statement, bound in zip(transaction.statements, values, strict=True):
                if statement.template not in examples:
                    examples[statement.template] = render(statement.sql, statement.slots, bound)
            yield schedule.plan(due_us, transaction, values, **more)

    written = shard.write_shards(shards, planned(), workers=options.workers, only=only)
    _require_room(connection, written)
    return Baked(
        planned=written,
        boosted=tuple(sorted(boosts)),
        bindings=binder.summary,
        examples=examples,
    )


def settled(options: RunOptions, workload_path: Path) -> RunOptions:
    """The options with a recording's length in the place of a longer one."""
    if options.scenario != RECORDED or not 0 < options.speed < math.inf:
        return options  # for `check` to complain of
    manifest = bundle.read_manifest(workload_path)
    window_s = (manifest.end - manifest.begin).total_seconds()
    # The end is included, and its transaction is due at it.
    length_s = timeline.length_s(window_s, options.speed, options.think) + 0.001
    return replace(options, duration_s=min(options.duration_s, round(length_s, 3)))


def _arrivals(
    workload: Workload, options: RunOptions, boosts: Mapping[str, float], rng: np.random.Generator
) -> Iterator[tuple[int, Transaction, dict[str, Any]]]:
    """When each transaction is due, and what else its plan has to know."""
    if options.scenario == RECORDED:
        gaps = timeline.gaps_of(options.speed, options.think)
        for due in timeline.as_recorded(workload, speed=options.speed, think=options.think):
            if due.due_us < options.duration_s * 1e6:
                session = due.transaction.session
                more = {"gaps": gaps, "session": session, "connect_us": due.connect_us}
                yield due.due_us, due.transaction, more
        return
    per_s = sum(t.weight for t in workload.transactions) / workload.window_s * options.rate
    if per_s * options.duration_s > _PLANNED_AT_MOST:
        raise InputError(
            f"that is {per_s:,.0f} transactions a second for {options.duration_s:g} s; "
            "give a lower --rate or a shorter --duration"
        )
    mixed = schedule.mix(
        workload, rate=options.rate, boosts=boosts, duration_s=options.duration_s, rng=rng
    )
    if options.amplify is not None:
        mixed = amplified(mixed, options.amplify)
    for due_us, transaction in mixed:
        yield due_us, transaction, {}


def _require_room(connection: psycopg.Connection, planned: shard.Planned) -> None:
    """Refuse a recording for which the target has not enough connections."""
    row = connection.execute(
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')"
    ).fetchone()
    assert row is not None
    if planned.most_sessions > row[0]:
        raise InputError(
            f"the recording has {planned.most_sessions} sessions open at once, and the target lets in "
            f"{row[0]} more; raise its max_connections, or take a shorter --window"
        )


def expand_boosts(workload: Workload, options: RunOptions) -> dict[str, float]:
    """Boosts by whole template id; "rare" stands for every template that is marked rare."""
    options.check()
    expanded: dict[str, float] = {}
    for name, factor in options.boosts.items():
        if name == "rare":
            chosen = [t.id for t in workload.templates if t.rare and t.kept]
        else:
            chosen = [t.id for t in workload.templates if t.id.startswith(name)]
        if not chosen:
            raise InputError(
                f"--boost {name}: no such template in the workload; replay inspect lists them"
            )
        expanded.update(dict.fromkeys(chosen, factor))
    return expanded


def binder_for(
    workload_path: Path,
    workload: Workload,
    connection: psycopg.Connection,
    *,
    identity: bool = False,
) -> Binder:
    """What binds the workload's values to this target's data.

    Raises InputError where the target's data was not generated from this workload.
    """
    if identity:
        return Binder(workload, None, None, identity=True)
    generated = target.read_generated(connection)
    if generated is None:
        raise InputError(
            f"{target.describe(connection)} holds no generated data; fill it with replay generate, "
            "or replay a restored copy with --bind identity"
        )
    if generated.workload_id != bundle.workload_id(workload_path):
        raise InputError(
            f"{target.describe(connection)} was generated from another workload; "
            "generate it anew from this one in an empty database"
        )
    profile = bundle.read_profile(workload_path)
    return Binder(workload, profile, generated, identity=False)
