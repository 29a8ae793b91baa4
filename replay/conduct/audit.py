"""The audit: plans of every captured statement, and indexes tried in rolled-back builds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from data_gen.introspect import introspect
from data_gen.profile import SchemaProfile
from replay import bundle, target
from replay.bind import Binder
from replay.conduct.audit_keys import AllBound, culprit, gaps_of_keys
from replay.conduct.bake import binder_for
from replay.conduct.examples import (
    AS_CAPTURED,
    Bound,
    bound_statements,
    column_values,
    variants,
)
from replay.conduct.restored import restored
from replay.conduct.trials import Executed, Trials
from replay.diagnose.audit.candidates import candidates
from replay.diagnose.audit.uncovered import Load, loads, uncovered
from replay.diagnose.scans import PlanFigures, Scan, figures
from replay.gap import Audit, Candidate, Checked, Effect, StatementGap
from replay.sql.resolve import predicates
from replay.workload import Statement, Template, Workload

GENERIC = "generic plan"
_STATISTICS = "production's statistics, restored on a private server without rows"
_KINDS = frozenset({"select", "insert", "update", "delete", "merge"})

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """The database as it stands, and how it is asked."""

    trials: Trials
    schema: SchemaProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One set of values of a statement, and its plan."""

    template: Template
    statement: Statement
    which: str
    bound: Bound
    plan: PlanFigures
    took_ms: float | None


def audit(
    workload_path: Path,
    dsn: str,
    *,
    identity: bool = False,
    seed: int = 0,
    timeout_ms: int = 5000,
    say: Say,
) -> Audit:
    """Look at every captured statement, and at every foreign key, on a marked target.

    Statements are executed in transactions that are rolled back, and indexes are built in such ones:
    nothing stays. With `identity` the target is a restored copy. Raises RefusedError where it is not
    proven to be staging, InputError where its data was not generated from this workload.
    """
    workload = bundle.read(workload_path)
    with target.connect_target(dsn, source=workload.manifest.source) as connection:
        binder = binder_for(workload_path, workload, connection, identity=identity)
        trials = Executed(connection, timeout_ms)
        bound = bound_statements(workload, binder, seed)
        return _audited(workload_path, workload, trials, bound, target.describe(connection), say)


def audit_statistics(workload_path: Path, *, seed: int = 0, say: Say) -> Audit:
    """The same without a target and without rows: on production's statistics, restored.

    Nothing is executed: a statement takes what it took in production, and an index is kept where the
    planner's cost drops tenfold. Raises EnvironmentFaultError where no PostgreSQL 18 is at hand.
    """
    workload = bundle.read(workload_path)
    with restored(bundle.read_profile(workload_path)) as (trials, left_out):
        for reason in left_out:
            say(f"left out    {reason}")
        bound = bound_statements(workload, Binder(workload, None, None, identity=True), seed)
        return replace(
            _audited(workload_path, workload, trials, bound, _STATISTICS, say), executed=False
        )


def _audited(
    path: Path, workload: Workload, trials: Trials, bound: AllBound, described: str, say: Say
) -> Audit:
    with trials.connection.transaction(force_rollback=True):
        schema = introspect(trials.connection)
    here = _Here(trials=trials, schema=schema)
    checked, planned = _plan_all(here, workload, bound, say)
    gaps = list(_gaps(here, workload, planned, say))
    key_gaps, keys = gaps_of_keys(trials, schema, workload, bound)
    return Audit(
        workload=path.name,
        target=described,
        checked=tuple(checked),
        keys=keys,
        gaps=tuple(gap for gap in gaps if gap.index is not None),
        noted=tuple(gap for gap in gaps if gap.index is None),
        key_gaps=tuple(key_gaps),
    )


def _plan_all(
    here: _Here,
    workload: Workload,
    bound: AllBound,
    say: Say,
) -> tuple[list[Checked], list[_Planned]]:
    known = column_values(here.trials.connection)
    checked: list[Checked] = []
    planned: list[_Planned] = []
    for template in workload.templates:
        if template.kind not in _KINDS:
            continue
        if template.id not in bound:
            why = "no execution of it was kept"
            checked.append(Checked(template=culprit(template, workload), plans=(), why_not=why))
            continue
        statement, values = bound[template.id]
        chosen = variants(statement, values, here.schema, known)
        mine, why = _plan_one(here, template, statement, dict(chosen))
        planned += mine
        checked.append(
            Checked(
                template=culprit(template, workload),
                plans=tuple(dict.fromkeys(one.plan.shape for one in mine)),
                why_not="" if mine else why,
            )
        )
    served = sum(not one.why_not for one in checked)
    say(f"plans       {len(planned)} of {served} statements, with several values each")
    return checked, planned


def _plan_one(
    here: _Here, template: Template, statement: Statement, chosen: Mapping[str, Bound]
) -> tuple[list[_Planned], str]:
    """A plan for each set of values, and the generic one where its nodes are others."""
    asked = [(which, *bound) for which, bound in chosen.items()]
    taken = here.trials.explain(asked)
    found: list[_Planned] = []
    why = "EXPLAIN does not take it"
    for which, entry in taken.items():
        why = entry["error"] or why
        generic = entry.get("generic")
        ways = [(which, entry)]
        if which == AS_CAPTURED and generic:
            ways.append((GENERIC, {**entry, "plan": generic, "how": _how(generic)}))
        for name, one in ways:
            plan = figures(one, here.schema)
            if plan is not None:
                found.append(
                    _Planned(
                        template=template,
                        statement=statement,
                        which=name,
                        bound=chosen[which],
                        plan=plan,
                        took_ms=here.trials.took_ms(template, plan, one["error"]),
                    )
                )
    return found, why


def _how(document: Any) -> str:
    return "analyze" if "Execution Time" in document[0] else "estimate"


def _gaps(
    here: _Here, workload: Workload, planned: Sequence[_Planned], say: Say
) -> Iterator[StatementGap]:
    """One gap a template and relation, by its worst values."""
    asked = loads(workload)
    worst: dict[tuple[str, str], tuple[_Planned, Scan]] = {}
    for one in planned:
        for scan in uncovered(one.plan, asked[one.template.id], here.trials.bytes_of, one.took_ms):
            key = (one.template.id, scan.relation)
            removed = scan.rows_read - scan.rows_kept
            if key not in worst or removed > worst[key][1].rows_read - worst[key][1].rows_kept:
                worst[key] = (one, scan)
    for one, scan in worst.values():
        index, effect = _best(here, one, scan)
        say(
            f"uncovered   {one.template.id} on {scan.relation}: {index.sql if index else 'no index helps'}"
        )
        yield _gap(workload, one, scan, asked[one.template.id], index, effect)


def _gap(
    workload: Workload,
    one: _Planned,
    scan: Scan,
    load: Load,
    index: Candidate | None,
    effect: Effect | None,
) -> StatementGap:
    return StatementGap(
        template=culprit(one.template, workload),
        relation=scan.relation,
        node=scan.node,
        condition=scan.condition,
        values=one.which,
        rows_read=round(scan.rows_read),
        rows_kept=round(scan.rows_kept),
        took_ms=one.took_ms,
        peak_per_s=round(load.peak_per_s, 3),
        writing=load.writing,
        index=index,
        effect=effect,
    )


def _best(here: _Here, one: _Planned, scan: Scan) -> tuple[Candidate | None, Effect | None]:
    """The first candidate that helps; built for real, in a transaction that is rolled back."""
    table = here.schema.table(scan.relation)
    if table is None:
        return None, None
    uses = predicates(one.statement.sql, here.schema)
    for index in candidates(scan, uses, table):
        effect = _try(here, one, index)
        if effect is not None and effect.helps:
            return index, effect
    return None, None


def _try(here: _Here, one: _Planned, index: Candidate) -> Effect | None:
    generic = one.which == GENERIC
    before = here.trials.measured(one.bound, one.plan, generic=generic)
    try:
        with here.trials.built(index) as (build_s, size):
            after = here.trials.measured(one.bound, one.plan, generic=generic)
    except psycopg.Error:  # an expression that is not immutable, a column that cannot be indexed
        return None
    if before is None or after is None:
        return None
    return Effect(
        cost_before=before[0],
        cost_after=after[0],
        buffers_before=before[1],
        buffers_after=after[1],
        ms_before=before[2],
        ms_after=after[2],
        build_s=build_s,
        bytes=size,
    )
