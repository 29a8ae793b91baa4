"""Which scans of a plan no index serves, as far as it matters.

A scan counts when its relation is large, when it throws away nearly all that it reads, and when that
costs: a part of a core at the template's own peak rate, or time inside a transaction that writes.
An index scan that filters most of its rows away is as uncovered as a sequential one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replay.diagnose.scans import PlanFigures, Scan
from replay.workload import Template, Workload

LARGE_BYTES = 10 * 1024 * 1024
REMOVED_PER_KEPT = 100.0
CORE_SHARE = 0.01
_WRITES = frozenset({"insert", "update", "delete", "merge"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What production asks of one template."""

    peak_per_s: float  # calls a second in its busiest slice
    writing: str  # why its time holds locks: it writes, or runs in a transaction that does; else ""


def loads(workload: Workload) -> dict[str, Load]:
    """The load of every template."""
    writing = _in_writing_transactions(workload)
    return {
        template.id: Load(
            peak_per_s=_peak_per_s(template, workload),
            writing="it writes" if template.kind in _WRITES else writing.get(template.id, ""),
        )
        for template in workload.templates
    }


def uncovered(
    plan: PlanFigures, load: Load, bytes_of: Mapping[str, int], took_ms: float | None
) -> tuple[Scan, ...]:
    """Scans of the plan that lack an index; `bytes_of` is the size of each relation's table."""
    costs = bool(load.writing) or load.peak_per_s * (took_ms or 0.0) / 1e3 >= CORE_SHARE
    return tuple(
        scan
        for scan in plan.scans
        if costs
        and bytes_of.get(scan.relation, 0) >= LARGE_BYTES
        and scan.rows_read - scan.rows_kept >= REMOVED_PER_KEPT * max(scan.rows_kept, 1.0)
    )


def _peak_per_s(template: Template, workload: Workload) -> float:
    busiest = max((calls for slice_, calls in template.calls_per_slice if slice_ >= 0), default=0)
    if busiest:
        # A slice may be longer than the window that was captured.
        return busiest / min(max(workload.manifest.slice_s, 1e-3), workload.window_s)
    return template.calls / workload.window_s


def _in_writing_transactions(workload: Workload) -> dict[str, str]:
    kinds = {template.id: template.kind for template in workload.templates}
    found: dict[str, str] = {}
    for transaction in workload.transactions:
        names = [statement.template for statement in transaction.statements]
        if len(names) > 1 and _writes(names, kinds):
            found.update(dict.fromkeys(names, "it runs in a transaction that writes"))
    return found


def _writes(names: Iterable[str], kinds: Mapping[str, str]) -> bool:
    return any(kinds.get(name) in _WRITES for name in names)
