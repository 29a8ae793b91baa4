"""From a workload to its paths: templates that share their transactions arrive together. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replay.conduct.amplify import has_list
from replay.hunt.company import failures_along
from replay.hunt.footprint import RowLock
from replay.hunt.model import Hold, Path
from replay.hunt.solo import Solo
from replay.workload import Template, Transaction, Workload

_CONTROL = frozenset({"begin", "commit", "rollback", "savepoint", "set"})
# No load grows with these.
_UPKEEP = frozenset({"analyze", "vacuum", "reindex", "cluster", "checkpoint"})
_PRIOR = 8.0  # executions that the others' say on what is hot is worth
_SAMPLES = 3  # kept transactions of a path that are profiled
_LEAST_PEAK_S = 1.0  # seconds over which a peak is taken, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A path before it is profiled."""

    templates: tuple[Template, ...]  # rarest first
    transactions: tuple[Transaction, ...]  # heaviest first
    rate: float  # a second
    peak: float
    fails: float  # of others' transactions, with each of its own

    @property
    def key(self) -> str:
        """By which files and documents know it."""
        return self.templates[0].id

    @property
    def samples(self) -> tuple[Transaction, ...]:
        """The transactions that stand for it."""
        return self.transactions[:_SAMPLES]


def groups(workload: Workload) -> tuple[Group, ...]:
    """All paths of a workload, rarest first; upkeep, and what was counted and never kept, is left out."""
    holding: dict[str, dict[int, Transaction]] = defaultdict(dict)
    for transaction in workload.transactions:
        for statement in transaction.statements:
            holding[statement.template][transaction.id] = transaction
    together: dict[tuple[int, ...], list[Template]] = defaultdict(list)
    for template in workload.templates:
        if template.id in holding and not _is_apart(template):
            together[tuple(holding[template.id])].append(template)
    found = [
        _group(templates, list(holding[templates[0].id].values()), workload)
        for templates in together.values()
    ]
    return tuple(sorted(found, key=lambda group: (group.rate, group.key)))


def _is_apart(template: Template) -> bool:
    return template.kind in _CONTROL or template.sql.partition(" ")[0] in _UPKEEP


def _group(
    templates: Sequence[Template], transactions: Sequence[Transaction], workload: Workload
) -> Group:
    rarest = tuple(sorted(templates, key=lambda template: (template.calls, template.id)))
    rate = sum(transaction.weight for transaction in transactions) / workload.window_s
    calls = max(rarest[0].calls, 1)
    per_call = rate * workload.window_s / calls  # transactions a call: below 1 where it repeats
    return Group(
        templates=rarest,
        transactions=tuple(sorted(transactions, key=lambda t: -t.weight)),
        rate=rate,
        peak=max(_peak(rarest[0], workload) * min(per_call, 1.0), rate),
        fails=failures_along(transactions, workload.transactions, workload.window_s),
    )


def _peak(template: Template, workload: Workload) -> float:
    """Calls a second in the busiest slice, or run of slices of a second at least."""
    width_s = workload.manifest.slice_s
    wide = max(round(_LEAST_PEAK_S / width_s), 1) if width_s else 1
    calls: dict[int, int] = defaultdict(int)
    for number, count in template.calls_per_slice:
        calls[number // wide] += count
    return max(calls.values(), default=0) / max(wide * width_s, 1e-3)


def profiled(
    all_groups: Sequence[Group],
    solos: Mapping[int, Solo],
    locks: Mapping[int, tuple[RowLock, ...]],
) -> tuple[Path, ...]:
    """Paths with their profiles; those of which no transaction could be run alone are left out."""
    heat = _Heat(all_groups, locks)
    return tuple(
        _path(group, measured, locks, heat)
        for group in all_groups
        if (measured := [solos[t.id] for t in group.samples if t.id in solos])
    )


def _path(
    group: Group,
    measured: Sequence[Solo],
    locks: Mapping[int, tuple[RowLock, ...]],
    heat: "_Heat",
) -> Path:
    whole = group.transactions[0]
    return Path(
        templates=tuple(template.id for template in group.templates),
        rare=any(template.rare for template in group.templates),
        rate=group.rate,
        peak=group.peak,
        demand_s=_mean([solo.demand_s for solo in measured]),
        elapsed_s=_mean([solo.elapsed_s for solo in measured]),
        holds=(*_row_holds(group, measured, locks, heat), *_other_holds(measured)),
        statements=len(whole.statements),
        gap_s=_mean([sum(solo.gaps_s) for solo in measured]),
        lists=any(has_list(s) for t in group.samples for s in t.statements),
        prepared=any(s.prepared for t in group.samples for s in t.statements),
        leaks=any(solo.leaked for solo in measured),
        fails=group.fails,
        failed=next((solo.failed for solo in measured if solo.failed), ""),
    )


def _row_holds(
    group: Group,
    measured: Sequence[Solo],
    locks: Mapping[int, tuple[RowLock, ...]],
    heat: "_Heat",
) -> list[Hold]:
    """One hold for each kind of row and mode: how often it is the hottest row, and how long."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for solo in measured:
        for lock in locks.get(solo.transaction, ()):
            found[lock.target, lock.mode].append(solo.hold_s(lock.position))
    return [
        Hold(
            target=target,
            mode=mode,
            share=heat.share(group.key, target),
            hold_s=_mean(held),
        )
        for (target, mode), held in found.items()
    ]


def _other_holds(measured: Sequence[Solo]) -> list[Hold]:
    """Tables and advisory locks, held through the whole transaction."""
    counted: dict[tuple[str, str], list[float]] = defaultdict(list)
    for solo in measured:
        for lock in solo.locks:
            counted[lock].append(solo.elapsed_s)
    return [
        Hold(target=target, mode=mode, share=len(held) / len(measured), hold_s=_mean(held))
        for (target, mode), held in counted.items()
    ]


class _Heat:
    """How often a path's transactions meet at the hottest row of a kind."""

    def __init__(
        self, all_groups: Sequence[Group], locks: Mapping[int, tuple[RowLock, ...]]
    ) -> None:
        self._mine: dict[tuple[str, str], dict[str, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._seen: dict[tuple[str, str], float] = defaultdict(float)
        self._all: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for group in all_groups:
            for transaction in group.transactions:
                rows = {(lock.target, lock.token) for lock in locks.get(transaction.id, ())}
                for target in {target for target, _ in rows}:
                    self._seen[group.key, target] += 1
                for target, token in rows:
                    self._mine[group.key, target][token] += 1
                    self._all[target][token] += transaction.weight

    def share(self, key: str, target: str) -> float:
        """Of the path's transactions that lock such a row: those that lock the hottest one.

        What was seen a few times only is told by all others too, as a prior worth `_PRIOR`
        executions: four calls that met four rows do not say that there are many.
        """
        everyone = self._all[target]
        total = sum(everyone.values()) or 1.0
        seen = self._seen[key, target]
        mine = self._mine[key, target]
        return min(
            max(
                (mine.get(token, 0.0) + _PRIOR * weight / total) / (seen + _PRIOR)
                for token, weight in everyone.items()
            ),
            1.0,
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
