"""The audit's other half: foreign keys whose parents lose rows or change keys, and that no index serves."""

from collections.abc import Iterator, Mapping, Sequence

from data_gen.profile import ForeignKey, SchemaProfile, TableProfile
from replay.conduct.trials import Trials
from replay.diagnose.audit.candidates import for_foreign_key
from replay.diagnose.audit.uncovered import LARGE_BYTES
from replay.diagnose.rules.foreign_key_scan import unindexed
from replay.finding import Culprit
from replay.gap import KeyGap
from replay.sql.resolve import resolve
from replay.workload import Statement, Template, Workload

AllBound = Mapping[str, tuple[Statement, tuple[str | None, ...]]]  # by template


def culprit(template: Template, workload: Workload) -> Culprit:
    """A template with its share of the workload's calls."""
    executions = max(workload.manifest.executions, 1)
    return Culprit(id=template.id, sql=template.sql, share=template.calls / executions)


def gaps_of_keys(
    trials: Trials, schema: SchemaProfile, workload: Workload, bound: AllBound
) -> tuple[list[KeyGap], int]:
    """Foreign keys without an index that somebody's DELETE or change of a key has to check."""
    deleting, updating = _parents(schema, workload, bound)
    found = []
    for child, key in unindexed(schema.tables):
        changed = {(key.parent, column) for column in key.parent_columns}
        names = set(deleting.get(key.parent, ()))
        names |= {name for touched in changed for name in updating.get(touched, ())}
        size = trials.bytes_of.get(child.qualified, 0)
        if names and size >= LARGE_BYTES:
            templates = [t for t in workload.templates if t.id in names]
            found.append(_key_gap(trials, workload, child, key, templates))
    return found, sum(len(table.foreign_keys) for table in schema.tables)


def _key_gap(
    trials: Trials,
    workload: Workload,
    child: TableProfile,
    key: ForeignKey,
    templates: Sequence[Template],
) -> KeyGap:
    index = for_foreign_key(child, key)
    with trials.built(index) as (build_s, size):
        pass  # for what it costs
    return KeyGap(
        constraint=key.name,
        relation=child.qualified,
        columns=key.columns,
        parent=key.parent,
        child_bytes=trials.bytes_of[child.qualified],
        templates=tuple(culprit(template, workload) for template in templates),
        index=index,
        build_s=build_s,
        bytes=size,
    )


_Touched = dict[tuple[str, str], set[str]]


def _parents(
    schema: SchemaProfile,
    workload: Workload,
    bound: AllBound,
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
