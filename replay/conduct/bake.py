"""Bake a planned load: which kept transactions arrive when, with which values, as shards on disk."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import psycopg

from replay import bundle, target
from replay.bind import Binder
from replay.conduct.amplify import Amplify, lengthened
from replay.conduct.arrivals import arrivals, expected, steps_of
from replay.conduct.asking import asking, behind, with_statements
from replay.conduct.change import InOrder, changed
from replay.conduct.options import RAMP, RECORDED, RunOptions
from replay.conduct.order import COMMIT, CommitOrder
from replay.conduct.seconds import spread
from replay.conduct.tags import tagged
from replay.errors import InputError
from replay.finding import IN_ORDER, Change
from replay.load import pace, ramp, schedule, sharding, timeline
from replay.load.planned import Planned, PlannedTransaction
from replay.requests import is_called
from replay.service import require_staging
from replay.sql.slots import render
from replay.workload import Transaction, Workload

__all__ = ["RECORDED", "Baked", "RunOptions", "bake", "expand_boosts", "settled"]

_TOLD = 500  # transactions that are planned between two words about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """A planned load on disk."""

    planned: Planned
    boosted: tuple[str, ...]  # template ids whose rate is raised
    bindings: Mapping[str, int]  # slots by how they were bound
    examples: Mapping[
        str, tuple[str, tuple[str | None, ...]]
    ]  # template -> SQL and values, for EXPLAIN
    steps: tuple[pace.Step, ...] = ()  # of a ramp
    requests: Mapping[str, int] = field(default_factory=dict)  # planned, by how: see visits
    aside: bool = False  # the last worker has statements in the stead of requests


def bake(
    workload_path: Path,
    connection: psycopg.Connection,
    shards: Path,
    options: RunOptions,
    *,
    only: Collection[int] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Baked:
    """Plan a run's whole load from the workload and the target's note of how its data was made.

    The shards of the workers in `only` are written, all where none are given. `tell` hears now and
    then how many transactions are planned, and how many about are to be.
    Raises InputError where the options name no template, or the target's data is another workload's.
    """
    captured = bundle.read(workload_path)
    asked = asking(workload_path, captured, connection, options) if options.service else None
    chosen = tagged(asked.workload if asked else captured, options.tags, options.exclude_tags)
    workload = changed(chosen, options.changes)
    boosts = expand_boosts(workload, options)
    if asked is not None:
        require_staging(asked.service)  # as the workers do, but before the load is planned
    known = (
        replace(captured, transactions=(*captured.transactions, *workload.transactions))
        if asked
        else captured
    )
    binder = binder_for(workload_path, known, connection, identity=options.identity)
    rngs = np.random.default_rng(options.seed).spawn(3)
    if asked is not None:
        asked = with_statements(asked, captured, partial(binder.bind, rng=rngs[2]))
    examples: dict[str, tuple[str, tuple[str | None, ...]]] = {}
    sort = _in_order(workload_path, options.changes)
    order = None
    if options.order == COMMIT:
        order = CommitOrder(workload.transactions, bundle.read_profile(workload_path))
    steps = steps_of(workload, options) if options.scenario == RAMP else ()
    in_all = expected(workload, options, boosts, steps)

    def planned() -> Iterator[PlannedTransaction]:
        coming = arrivals(workload, options, boosts, steps, rngs[0])
        for number, (due_us, planned_one, more) in enumerate(coming):
            if tell is not None and not number % _TOLD:
                tell(number, max(in_all, number))
            session = more.get("session", "")
            transaction, values = _bound(planned_one, binder, options.amplify, rngs[1], session)
            if asked is not None:
                yield asked.plan(due_us, transaction, values, more)
                continue
            if sort is not None:
                transaction, values = sort.sorted(transaction, values)
            for statement, bound in zip(transaction.statements, values, strict=True):
                if statement.template not in examples:
                    examples[statement.template] = render(statement.sql, statement.slots, bound)
            arrival = schedule.plan(due_us, transaction, values, **more)
            yield order.ordered(arrival, transaction) if order is not None else arrival

    aside = asked is not None and asked.instead is not None
    written = sharding.write_shards(
        *(shards, planned(), options.workers, only, options.retries),
        per_client=asked.per_client if asked is not None else 1,
        aside=aside,
    )
    bindings = dict(binder.summary)
    if asked is not None:
        examples = behind(captured, binder, options.seed)
    if asked is None or aside:
        _require_room(connection, written)
    if steps:
        ramp.write_steps(shards, steps)
    return Baked(
        planned=written,
        boosted=tuple(sorted(boosts)),
        bindings=bindings,
        examples=examples,
        steps=steps,
        requests=dict(asked.planned) if asked is not None else {},
        aside=aside,
    )


def _bound(
    transaction: Transaction,
    binder: Binder,
    amplify: Amplify | None,
    rng: np.random.Generator,
    session: str,
) -> tuple[Transaction, schedule.Values]:
    """One copy of a transaction, and its values; with longer lists where they are asked for."""
    values = binder.bind(transaction, rng, session=session)
    if amplify is None or amplify.lists == 1 or not amplify.chooses(transaction):
        return transaction, values
    more = [binder.bind(transaction, rng) for _ in range(amplify.lists - 1)]
    return lengthened(transaction, [values, *more])


def _in_order(workload_path: Path, changes: Sequence[Change]) -> InOrder | None:
    if not any(change.kind == IN_ORDER for change in changes):
        return None
    return InOrder(changes, bundle.read_profile(workload_path))


def settled(options: RunOptions, workload_path: Path) -> RunOptions:
    """The options with a recording's length in the place of a longer one."""
    if options.scenario != RECORDED or not 0 < options.speed < math.inf:
        return options  # for `check` to complain of
    manifest = bundle.read_manifest(workload_path)
    requests = bundle.read_requests(workload_path) if options.service else None
    if requests is not None:
        everything = len(requests.kept) == requests.log.requests
        manifest = replace(manifest, everything=everything)
    timeline.require_everything(manifest)
    window = manifest if requests is None else requests.log
    window_s = (window.end - window.begin).total_seconds()
    last_us = (one.start_us for one in spread(requests.kept)) if requests is not None else ()
    window_s = max(window_s, max(last_us, default=0) / 1e6)
    # The end is included, and its transaction is due at it.
    length_s = timeline.length_s(window_s, options.speed, options.think) + 0.001
    return replace(options, duration_s=min(options.duration_s, round(length_s, 3)))


def _require_room(connection: psycopg.Connection, planned: Planned) -> None:
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
    """Boosts by whole template id; "rare" stands for every template that is marked rare.

    A route may be named by itself: see requests.is_called.
    """
    options.check()
    expanded: dict[str, float] = {}
    for name, factor in options.boosts.items():
        if name == "rare":
            chosen = [t.id for t in workload.templates if t.rare and t.kept]
        else:
            chosen = [t.id for t in workload.templates if is_called(t, name)]
        if not chosen:
            kind, shown = ("route", " --routes") if options.service else ("template", "")
            raise InputError(
                f"--boost {name}: no such {kind} in the workload; replay inspect{shown} lists them"
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
        profile = bundle.read_profile(workload_path) if bundle.has_profile(workload_path) else None
        return Binder(workload, profile, None, identity=True)
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
