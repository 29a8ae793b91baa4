"""Indexes that a scan may lack: equality first, then range or sort; expressions as they stand.

They are only candidates: whether one is kept, its effect on the plan decides.
"""

import re
from collections.abc import Iterable, Iterator

from data_gen.names import dotted, quoted
from data_gen.profile import ColumnProfile, ForeignKey, TableProfile
from replay.diagnose.audit.expressions import expressions
from replay.diagnose.indexing import candidate
from replay.diagnose.scans import Scan
from replay.gap import Candidate
from replay.sql.resolve import ColumnUse


def candidates(scan: Scan, uses: Iterable[ColumnUse], table: TableProfile) -> tuple[Candidate, ...]:
    """Indexes for the scan, the likeliest first; empty where nothing offers itself."""
    name = dotted(table.schema, table.name)
    uses = tuple(uses)
    keys = [tuple(map(quoted, candidate(scan, uses, table)))]
    sorted_by = [u.column for u in uses if u.role == "sort" and u.table == table.qualified]
    if keys[0] and sorted_by:
        # ORDER BY … LIMIT is served by equality and then the order, however many rows are left.
        keys.append(tuple(dict.fromkeys([*keys[0], quoted(sorted_by[0])])))
        equal = tuple(
            quoted(u.column) for u in uses if u.role == "eq" and u.table == table.qualified
        )
        keys.append(tuple(dict.fromkeys([*equal[:2], quoted(sorted_by[0])])))
    keys += [(f"({expression})",) for expression in expressions(scan.condition, table)]
    keys += [(f"{quoted(c.name)} text_pattern_ops",) for c in _prefixes(scan.condition, table)]
    wanted = dict.fromkeys(key for key in keys if key)
    return tuple(Candidate(relation=table.qualified, table=name, keys=key) for key in wanted)


def for_foreign_key(table: TableProfile, key: ForeignKey) -> Candidate:
    """The index that a foreign key's check needs."""
    return Candidate(
        relation=table.qualified,
        table=dotted(table.schema, table.name),
        keys=tuple(map(quoted, key.columns)),
    )


def _prefixes(condition: str, table: TableProfile) -> Iterator[ColumnProfile]:
    """Columns of which the beginning is looked for: an index in order of bytes serves, any locale."""
    for column in table.columns:
        name = re.escape(quoted(column.name))
        if re.search(rf"""(?<![\w$"]){name}\)?(?:::text)? ~~ '[^%_']""", condition):
            yield column
