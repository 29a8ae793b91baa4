"""What a plan that was not executed would read: rows that its index scans filter away, foreseen.

EXPLAIN tells how many rows leave a scan, and not how many an index leads it to. That is asked apart,
with the index's own condition alone. Below a LIMIT a scan ends early.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

_BY_INDEX = frozenset({"Index Scan", "Index Only Scan", "Bitmap Heap Scan"})
# Nodes that take in all that comes from below before they give anything.
_WHOLE = frozenset({"Sort", "Aggregate", "Hash", "WindowAgg", "SetOp", "ModifyTable"})
_REMOVED = "Rows Removed by Filter"


def foresee(connection: psycopg.Connection, node: dict[str, Any], rows: Mapping[str, int]) -> None:
    """Write into a plan's index scans what they would remove; `rows` are those of each table."""
    _foresee(connection, node, rows, 1.0)


def _foresee(
    connection: psycopg.Connection, node: dict[str, Any], rows: Mapping[str, int], share: float
) -> None:
    if node["Node Type"] in _BY_INDEX and "Filter" in node:
        out = float(node["Plan Rows"])
        led_to = _led_to(connection, node, rows)
        node["Plan Rows"] = out * share
        node[_REMOVED] = max(led_to - out, 0.0) * share
    for child in node.get("Plans", ()):
        if node["Node Type"] == "Limit":
            below = min(float(node["Plan Rows"]) / max(float(child["Plan Rows"]), 1.0), 1.0)
        else:
            below = 1.0 if node["Node Type"] in _WHOLE else share
        _foresee(connection, child, rows, below)


def _led_to(connection: psycopg.Connection, node: dict[str, Any], rows: Mapping[str, int]) -> float:
    """Rows that the index leads to, before the filter."""
    out = float(node["Plan Rows"])
    condition = node.get("Index Cond") or node.get("Recheck Cond")
    if not condition:
        return float(rows.get(f"{node.get('Schema')}.{node['Relation Name']}", out))
    asked = sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {} AS {} WHERE ").format(
        sql.Identifier(node["Schema"], node["Relation Name"]), sql.Identifier(node["Alias"])
    )
    try:
        with connection.transaction(force_rollback=True):
            text = asked.as_string(connection) + condition
            row = connection.execute(text.encode()).fetchone()
    except psycopg.Error:  # it speaks of another scan's row, or of a parameter
        return out
    return float(row[0][0]["Plan"]["Plan Rows"]) if row else out
