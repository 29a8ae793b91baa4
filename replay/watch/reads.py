"""What a plan that was not executed would read: rows that its index scans filter away, foreseen.

EXPLAIN tells how many rows leave a scan, and not how many an index leads it to. That is asked apart,
with the index's own condition alone; and what a generic plan takes for any value, with the values in
hand. Below a LIMIT a scan ends as soon as it has enough: the fewer rows fit, the later.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

_BY_INDEX = frozenset({"Index Scan", "Index Only Scan", "Bitmap Heap Scan"})
# Nodes that take in all that comes from below before they give anything.
_WHOLE = frozenset({"Sort", "Aggregate", "Hash", "WindowAgg", "SetOp", "ModifyTable"})
_REMOVED = "Rows Removed by Filter"
_PARAMETER = re.compile(r"\$(\d+)")


def foresee(
    connection: psycopg.Connection,
    node: dict[str, Any],
    rows: Mapping[str, int],
    values: Sequence[str | None],
) -> float:
    """Write into a plan's index scans what they would remove, and give how far the planner is off.

    `rows` are those of each table, `values` what the plan's `$n` stand for. The figure is how many times
    more a scan reads than the planner believes, of the scan of which it is most; 1 where none does.
    """
    return _Foresight(connection=connection, rows=rows, values=values).look(node, 1.0, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foresight:
    """The questions of one plan."""

    connection: psycopg.Connection
    rows: Mapping[str, int]
    values: Sequence[str | None]

    def look(self, node: dict[str, Any], share: float, limit: float | None) -> float:
        """A node and all below it, of which so much is read; `limit`: until so many rows are found."""
        off = 1.0
        if node["Node Type"] in _BY_INDEX and "Filter" in node:
            off = self._scan(node, share, limit)
        children = node.get("Plans", ())
        for child in children:
            below, wanted = share, limit if len(children) == 1 else None
            if node["Node Type"] == "Limit":
                wanted = float(node["Plan Rows"])
                below = min(wanted / max(float(child["Plan Rows"]), 1.0), 1.0)
            elif node["Node Type"] in _WHOLE:
                below, wanted = 1.0, None
            off = max(off, self.look(child, below, wanted))
        return off

    def _scan(self, node: dict[str, Any], share: float, limit: float | None) -> float:
        believed = float(node["Plan Rows"])
        condition = node.get("Index Cond") or node.get("Recheck Cond") or ""
        table = float(self.rows.get(f"{node.get('Schema')}.{node['Relation Name']}", believed))
        led_to = self._estimate(node, condition, believed) if condition else table
        both = " AND ".join(filter(None, (condition, node["Filter"])))
        out = self._estimate(node, both, believed) if _PARAMETER.search(both) else believed
        if limit is not None:
            share = min(limit / max(out, 1.0), 1.0)
        expected = min(limit / max(believed, 1.0), 1.0) if limit is not None else share
        node["Plan Rows"] = out * share
        node[_REMOVED] = max(led_to - out, 0.0) * share
        return max(share / expected, 1.0) if expected else 1.0

    def _estimate(self, node: dict[str, Any], condition: str, otherwise: float) -> float:
        """Rows of the scan's table that the planner expects to fit the condition."""
        asked = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {} AS {} WHERE ").format(
            sql.Identifier(node["Schema"], node["Relation Name"]), sql.Identifier(node["Alias"])
        )
        try:
            with self.connection.transaction(force_rollback=True):
                text = asked.as_string(self.connection) + _PARAMETER.sub(self._literal, condition)
                row = self.connection.execute(text.encode()).fetchone()
        except (psycopg.Error, IndexError):  # it speaks of another scan's row
            return otherwise
        return float(row[0][0]["Plan"]["Plan Rows"]) if row else otherwise

    def _literal(self, found: re.Match[str]) -> str:
        return sql.Literal(self.values[int(found[1]) - 1]).as_string(self.connection)
