"""The audit: plans of every captured statement on staging, and indexes tried in rolled-back builds."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from data_gen.introspect import introspect
from data_gen.profile import ForeignKey, SchemaProfile, TableProfile
from replay import bundle, target
from replay.conduct.bake import binder_for
from replay.conduct.examples import (
    AS_CAPTURED,
    Bound,
    bound_statements,
    column_values,
    variants,
)
from replay.diagnose.audit.candidates import candidates, for_foreign_key
from replay.diagnose.audit.uncovered import LARGE_BYTES, Load, loads, uncovered
from replay.diagnose.rules.foreign_key_scan import unindexed
from replay.diagnose.scans import PlanFigures, Scan, figures
from replay.finding import Culprit
from replay.gap import Audit, Candidate, Checked, Effect, KeyGap, StatementGap
from replay.sql.resolve import predicates, resolve
from replay.watch import plans
from replay.workload import Statement, Template, Workload

GENERIC = "generic plan"
_KINDS = frozenset({"select", "insert", "update", "delete", "merge"})
_SIZES = """
SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm')
"""
_BLOCK = 8192

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """The target as it stands."""

    connection: psycopg.Connection
    schema: SchemaProfile
    bytes_of: Mapping[str, int]
    timeout_ms: int


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
        with connection.transaction(force_rollback=True):
            schema = introspect(connection)
        here = _Here(
            connection=connection,
            schema=schema,
            bytes_of=dict(connection.execute(_SIZES).fetchall()),
            timeout_ms=timeout_ms,
        )
        bound = bound_statements(workload, binder, seed)
        checked, planned = _plan_all(here, workload, bound, say)
        gaps = list(_gaps(here, workload, planned, say))
        key_gaps, keys = _keys(here, workload, bound)
        return Audit(
            workload=workload_path.name,
            target=target.describe(connection),
            checked=tuple(checked),
            keys=keys,
            gaps=tuple(gap for gap in gaps if gap.index is not None),
            noted=tuple(gap for gap in gaps if gap.index is None),
            key_gaps=tuple(key_gaps),
        )


def _culprit(template: Template, workload: Workload) -> Culprit:
    executions = max(workload.manifest.executions, 1)
    return Culprit(id=template.id, sql=template.sql, share=template.calls / executions)


def _plan_all(
    here: _Here,
    workload: Workload,
    bound: Mapping[str, tuple[Statement, tuple[str | None, ...]]],
    say: Say,
) -> tuple[list[Checked], list[_Planned]]:
    known = column_values(here.connection)
    checked: list[Checked] = []
    planned: list[_Planned] = []
    for template in workload.templates:
        if template.kind not in _KINDS:
            continue
        if template.id not in bound:
            why = "no execution of it was kept"
            checked.append(Checked(template=_culprit(template, workload), plans=(), why_not=why))
            continue
        statement, values = bound[template.id]
        chosen = variants(statement, values, here.schema, known)
        mine, why = _plan_one(here, template, statement, dict(chosen))
        planned += mine
        checked.append(
            Checked(
                template=_culprit(template, workload),
                plans=tuple(dict.fromkeys(one.plan.shape for one in mine)),
                why_not="" if mine else why,
            )
        )
    say(f"plans       {len(planned)} of {len(checked)} statements")
    return checked, planned


def _plan_one(
    here: _Here, template: Template, statement: Statement, chosen: Mapping[str, Bound]
) -> tuple[list[_Planned], str]:
    """A plan for each set of values, and the generic one where its nodes are others."""
    asked = [(which, *bound) for which, bound in chosen.items()]
    taken = plans.explain(here.connection, asked, timeout_ms=here.timeout_ms)
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
                        # What was broken off took at least so long.
                        took_ms=plan.execution_ms or (here.timeout_ms if one["error"] else None),
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
        for scan in uncovered(one.plan, asked[one.template.id], here.bytes_of, one.took_ms):
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
        template=_culprit(one.template, workload),
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
    before = _measured(here, one)
    try:
        with here.connection.transaction(force_rollback=True):
            build_s, size = _build(here, index)
            after = _measured(here, one)
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


def _build(here: _Here, index: Candidate) -> tuple[float, int]:
    began = time.monotonic()
    size = "SELECT coalesce(sum(pg_relation_size(indexrelid)), 0) FROM pg_index WHERE indrelid = "
    asked = f"{size} '{index.table}'::regclass".encode()
    before = here.connection.execute(asked).fetchone()
    here.connection.execute(index.plain.encode())
    if any("(" in key for key in index.keys):
        here.connection.execute(f"ANALYZE {index.table}".encode())
    elapsed = time.monotonic() - began
    after = here.connection.execute(asked).fetchone()
    assert before is not None
    assert after is not None
    return round(elapsed, 3), int(after[0] - before[0])


def _measured(here: _Here, one: _Planned) -> tuple[float, int, float | None] | None:
    """(cost, blocks read, ms) of one execution with these values, by the plan that is in question."""
    taken = plans.explain(here.connection, [("it", *one.bound)], timeout_ms=here.timeout_ms)
    entry = taken.get("it", {})
    document = entry.get("generic") if one.which == GENERIC else entry.get("plan")
    if not document:
        return None
    top = document[0]["Plan"]
    executed = document if "Execution Time" in document[0] else entry["plan"]
    counted = executed[0]["Plan"]
    blocks = sum(int(counted.get(f"Shared {name} Blocks", 0)) for name in ("Hit", "Read"))
    if "Execution Time" not in executed[0]:  # it took too long: what it would have read
        blocks = sum(here.bytes_of.get(scan.relation, 0) // _BLOCK for scan in one.plan.scans)
    return float(top["Total Cost"]), blocks, executed[0].get("Execution Time")


def _keys(
    here: _Here,
    workload: Workload,
    bound: Mapping[str, tuple[Statement, tuple[str | None, ...]]],
) -> tuple[list[KeyGap], int]:
    """Foreign keys without an index that somebody's DELETE or change of a key has to check."""
    deleting, updating = _parents(here.schema, workload, bound)
    found = []
    for child, key in unindexed(here.schema.tables):
        changed = {(key.parent, column) for column in key.parent_columns}
        names = set(deleting.get(key.parent, ()))
        names |= {name for touched in changed for name in updating.get(touched, ())}
        size = here.bytes_of.get(child.qualified, 0)
        if names and size >= LARGE_BYTES:
            templates = [t for t in workload.templates if t.id in names]
            found.append(_key_gap(here, workload, child, key, templates))
    return found, sum(len(table.foreign_keys) for table in here.schema.tables)


def _key_gap(
    here: _Here,
    workload: Workload,
    child: TableProfile,
    key: ForeignKey,
    templates: Sequence[Template],
) -> KeyGap:
    index = for_foreign_key(child, key)
    with here.connection.transaction(force_rollback=True):
        build_s, size = _build(here, index)
    return KeyGap(
        constraint=key.name,
        relation=child.qualified,
        columns=key.columns,
        parent=key.parent,
        child_bytes=here.bytes_of[child.qualified],
        templates=tuple(_culprit(template, workload) for template in templates),
        index=index,
        build_s=build_s,
        bytes=size,
    )


_Touched = dict[tuple[str, str], set[str]]


def _parents(
    schema: SchemaProfile,
    workload: Workload,
    bound: Mapping[str, tuple[Statement, tuple[str | None, ...]]],
) -> tuple[dict[str, set[str]], _Touched]:
    """Relation -> templates that delete from it; (relation, column) -> templates that set it.

    A delete goes on to the children that it cascades to.
    """
    deleting: dict[str, set[str]] = {}
    updating: _Touched = {}
    for template in workload.templates:
        table = schema.table(template.tables[0]) if template.tables else None
        if template.kind == "delete" and table is not None:
            deleting.setdefault(table.qualified, set()).add(template.id)
        if template.kind in {"update", "merge"} and template.id in bound:
            for use in resolve(bound[template.id][0].sql, schema):
                if use.role == "set":
                    updating.setdefault((use.table, use.column), set()).add(template.id)
    ahead = list(deleting)
    while ahead:
        parent = ahead.pop()
        for table, key in _children(schema, parent):
            before = deleting.get(table.qualified, set())
            if "ON DELETE CASCADE" in key.definition and not deleting[parent] <= before:
                deleting[table.qualified] = before | deleting[parent]
                ahead.append(table.qualified)
    return deleting, updating


def _children(schema: SchemaProfile, parent: str) -> Iterator[tuple[TableProfile, ForeignKey]]:
    for table in schema.tables:
        for key in table.foreign_keys:
            if key.parent == parent:
                yield table, key
