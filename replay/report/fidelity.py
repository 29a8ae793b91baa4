"""How close the run was to production, as figures: rates, concurrency, shapes, errors.

A mix is compared by its overlap: the part of production's executions that the run had too, 1 where
every template has the same share. What was meant to differ (rate, speed, boosts) is reckoned in.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay import ondisk
from replay.outcome import REFUSAL, RETRIED_AFTER, error_name
from replay.report.attempts import Attempts
from replay.report.columns import Bools, Ints
from replay.report.inflight import InFlight
from replay.requests import is_called
from replay.rundir import RunManifest
from replay.workload import Workload

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_FURTHEST = 5  # templates that are named
_LEAST_EXPECTED = 20  # executions: of fewer, chance alone makes a large difference


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRate:
    """How often one template came, a second."""

    id: str
    sql: str
    expected_per_s: float
    replayed_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The run beside the capture."""

    of: str  # what was sent: statements or requests
    kinds: str  # of these: templates or routes
    expected_per_s: float | None  # statements, with rate, speed and boosts; None: nobody can say
    replayed_per_s: float
    mix_overlap: float  # of the templates' shares, 0 … 1
    furthest: tuple[TemplateRate, ...]  # templates whose rate is furthest off
    shape_overlap: float | None  # of transactions' shapes; None where boosts change them
    production_concurrency: float  # statements in flight, on average
    replayed_concurrency: float
    production_peak: int
    replayed_peak: int
    production_errors: Mapping[str, float]  # SQLSTATE, or `http 404` -> of a thousand statements
    replayed_errors: Mapping[str, float]


def fidelity(workload: Workload, attempts: Attempts, manifest: RunManifest) -> Fidelity | None:
    """Compare a run with what it replayed; None where nothing was sent or nothing was logged."""
    logged = [t for t in workload.templates if t.source != "statements" and t.calls]
    chosen = attempts.among(lambda _: True)
    if through_service := bool(manifest.options.get("service")):
        # Those of which statements were replayed, or nothing, are told apart: see report.requests.
        logged = [t for t in logged if t.id in attempts.templates]
        routes = {t.id for t in logged}
        chosen = attempts.among(lambda name: name in routes)
    if not logged or not attempts.sent[chosen].any():
        return None
    expected = _expected_per_s(workload, manifest)
    is_paced = _is_paced(manifest)
    length_s = max(manifest.duration_s, 1e-3)
    rates = np.where(chosen, attempts.sent, 0) / length_s
    replayed = dict(zip(attempts.templates, rates.tolist(), strict=True))
    if through_service:
        replayed = {t.id: replayed[t.id] for t in logged}
        expected = {name: rate for name, rate in expected.items() if name in replayed}
    calls = sum(t.calls for t in logged)
    errors = sum((Counter(dict(t.error_states)) for t in logged), Counter())
    flight = InFlight(attempts, chosen)
    return Fidelity(
        of="requests" if through_service else "statements",
        kinds="routes" if through_service else "templates",
        expected_per_s=round(sum(expected.values()), 3) if is_paced else None,
        replayed_per_s=round(sum(replayed.values()), 3),
        mix_overlap=_overlap(expected, replayed),
        furthest=_furthest(workload, expected, replayed, length_s) if is_paced else (),
        shape_overlap=None if manifest.boosted or through_service else _shapes(workload, attempts),
        production_concurrency=round(
            sum(t.total_ms for t in logged) / 1e3 / workload.window_s * _speed(manifest), 3
        ),
        replayed_concurrency=round(flight.total_us / 1e6 / length_s, 3),
        production_peak=workload.manifest.peak_concurrency,
        replayed_peak=flight.peak(),
        production_errors={
            error_name(s): round(n / calls * 1e3, 3) for s, n in errors.most_common()
        },
        replayed_errors=_errors(attempts, chosen),
    )


def _is_paced(manifest: RunManifest) -> bool:
    """Whether rates were asked for: not of a ramp, nor where sessions keep or lose their own time."""
    if manifest.scenario == "as_recorded":
        return manifest.options.get("think", "scale") == "scale"
    return manifest.scenario != "ramp"


def _speed(manifest: RunManifest) -> float:
    """How many times production's pace was asked for."""
    name = "speed" if manifest.scenario == "as_recorded" else "rate"
    value = manifest.options.get(name, 1.0)
    return float(value) if isinstance(value, int | float) else 1.0


def _expected_per_s(workload: Workload, manifest: RunManifest) -> dict[str, float]:
    """Rate of each template of the log, as the run was to have it."""
    pace = _speed(manifest) / workload.window_s
    if not manifest.boosted:
        return {
            t.id: t.calls * pace for t in workload.templates if t.source != "statements" and t.calls
        }
    boosts = _boosts(workload, manifest)
    if manifest.options.get("service"):  # each request is a transaction of its own
        return {t.id: t.calls * pace * boosts.get(t.id, 1.0) for t in workload.templates}
    rates: dict[str, float] = defaultdict(float)
    for transaction in workload.transactions:
        names = [statement.template for statement in transaction.statements]
        raised = max((boosts[name] for name in names if name in boosts), default=1.0)
        for name in names:
            rates[name] += transaction.weight * raised * pace
    return rates


def _boosts(workload: Workload, manifest: RunManifest) -> dict[str, float]:
    """Boost by template, on average over bursts and the time between them."""
    given = manifest.options.get("boosts")
    factors = given if isinstance(given, Mapping) else {}
    burst, every = manifest.options.get("burst_s"), manifest.options.get("every_s")
    share = burst / every if isinstance(burst, float) and isinstance(every, float) else 1.0
    found = {}
    known = {template.id: template for template in workload.templates}
    for template in filter(None, map(known.get, manifest.boosted)):
        named = [f for name, f in factors.items() if name != "rare" and is_called(template, name)]
        factor = float((named or [factors.get("rare", 1.0)])[-1])
        found[template.id] = 1 + (factor - 1) * share
    return found


def _overlap(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Of two distributions, the part that they have in common."""
    whole, others = sum(one.values()), sum(other.values())
    if not whole or not others:
        return 0.0
    return round(sum(min(v / whole, other.get(name, 0.0) / others) for name, v in one.items()), 4)


def _furthest(
    workload: Workload,
    expected: Mapping[str, float],
    replayed: Mapping[str, float],
    length_s: float,
) -> tuple[TemplateRate, ...]:
    texts = {template.id: template.sql for template in workload.templates}
    off = [
        (abs(np.log(max(replayed.get(name, 0.0), 0.5 / length_s) / rate)), name)
        for name, rate in expected.items()
        if rate * length_s >= _LEAST_EXPECTED
    ]
    return tuple(
        TemplateRate(
            id=name,
            sql=texts.get(name, ""),
            expected_per_s=round(expected[name], 3),
            replayed_per_s=round(replayed.get(name, 0.0), 3),
        )
        for _, name in sorted(off, reverse=True)[:_FURTHEST]
    )


def _shapes(workload: Workload, attempts: Attempts) -> float:
    """Overlap of the shapes of transactions; those that were not begun have none."""
    kept: dict[str, float] = defaultdict(float)
    for transaction in workload.transactions:
        names = tuple(statement.template for statement in transaction.statements)
        if names:
            kept[_hash(names)] += transaction.weight
    values = _values(attempts.templates)
    hashes = ondisk.zeros(None, attempts.transactions, np.uint64)  # 0: nothing of it was sent
    for block in attempts.blocks():
        sent = block.sent
        terms = values[block.template[sent]] * _powers(block.ordinal[sent])
        np.add.at(hashes, block.arrival[sent], terms)
    seen: Counter[str] = Counter()
    for begin in range(0, len(hashes), ondisk.BLOCK):
        some = hashes[begin : begin + ondisk.BLOCK]
        found, counts = np.unique(some[some != 0], return_counts=True)
        seen.update(dict(zip(map(str, found.tolist()), counts.tolist(), strict=True)))
    return _overlap(kept, seen)


def _hash(names: tuple[str, ...]) -> str:
    """What tells one sequence of templates from another."""
    return str(int((_values(names) * _powers(np.arange(len(names)))).sum()))


def _values(names: tuple[str, ...]) -> np.ndarray:
    return np.array([int(name, 16) if name else 0 for name in names], dtype=np.uint64)


def _powers(position: Ints) -> np.ndarray:
    """An odd factor for each position."""
    mixed = (position.astype(np.uint64) + np.uint64(1)) * _PRIME
    powers: np.ndarray = (mixed ^ (mixed >> np.uint64(29))) | np.uint64(1)
    return powers


def _errors(attempts: Attempts, chosen: Bools) -> dict[str, float]:
    """SQLSTATE, or a service's status -> of a thousand of those that were sent."""
    counts = attempts.counts[chosen, :, 1].sum(axis=0).tolist()
    told: Counter[str] = Counter()
    for name, count in zip(attempts.outcomes, counts, strict=True):
        state = name.removeprefix(RETRIED_AFTER)
        if count and REFUSAL.fullmatch(state):
            told[state] += count
    return {state: round(count / sum(counts) * 1e3, 3) for state, count in told.most_common()}
