"""Of the sampled joints only what the captured statements use together goes into the workload.

Which columns those are is told by the statements' conditions: columns of one table that conditions
name, and of its parents where a statement joins them. How many children a row has is always kept.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from data_gen.joint import projected
from data_gen.profile import JointColumn, SchemaProfile, TableProfile
from replay.sql.resolve import predicates
from replay.workload import Template

_MOST_OWN = 6  # columns of a table; more make cells of one row each
_MOST_OF_PARENT = 2
_FOLDED = re.compile(r"\?(?:, \.\.\.)?")  # a literal of a template's text, or a list of them

Uses = dict[tuple[str, str], Counter[str]]  # (table, via) -> calls by column; via "" for own


def joined_as_used(profile: SchemaProfile, templates: Iterable[Template]) -> SchemaProfile:
    """The profile, each table's joint cut down to what the templates use."""
    uses = _uses(profile, templates)
    return replace(
        profile,
        tables=tuple(_cut(table, uses) if table.joint else table for table in profile.tables),
    )


def _cut(table: TableProfile, uses: Uses) -> TableProfile:
    assert table.joint is not None
    chosen: set[tuple[str, str]] = set()
    vias = {"", *(key.name for key in table.foreign_keys)}
    for via in vias:
        most = _MOST_OF_PARENT if via else _MOST_OWN
        offered = {
            c.name for c in table.joint.columns if c.via == via and c.kind in {"own", "parent"}
        }
        ranked = [name for name, _ in uses[table.qualified, via].most_common() if name in offered]
        chosen.update((via, name) for name in ranked[:most])

    def keep(column: JointColumn) -> bool:
        return column.kind == "children" or (column.via, column.name) in chosen

    return replace(table, joint=projected(table.joint, keep))


def _uses(profile: SchemaProfile, templates: Iterable[Template]) -> Uses:
    uses: Uses = defaultdict(Counter)
    for template in templates:
        if template.kind not in {"select", "insert", "update", "delete", "merge"}:
            continue
        found = {
            (use.table, use.column) for use in predicates(_FOLDED.sub("'1'", template.sql), profile)
        }
        tables = {name for name, _ in found}
        for name, column in found:
            uses[name, ""][column] += template.calls
        for child in map(profile.table, sorted(tables)):
            for key in child.foreign_keys if child else ():
                if child is None or key.parent not in tables or key.parent == child.qualified:
                    continue
                if (child.qualified, key.columns[0]) not in found:
                    continue
                for name, column in found:
                    if name == key.parent:
                        uses[child.qualified, key.name][column] += template.calls
    return uses
