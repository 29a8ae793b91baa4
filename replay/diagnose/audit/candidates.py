"""Indexes that a scan may lack: equality first, then range or sort; expressions as they stand.

They are only candidates: whether one is kept, its effect on the plan decides.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pgparse

from data_gen.names import dotted, quoted
from data_gen.profile import ForeignKey, TableProfile
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
    keys += [(f"({expression})",) for expression in _expressions(scan.condition, table)]
    wanted = dict.fromkeys(key for key in keys if key)
    return tuple(Candidate(relation=table.qualified, table=name, keys=key) for key in wanted)


def for_foreign_key(table: TableProfile, key: ForeignKey) -> Candidate:
    """The index that a foreign key's check needs."""
    return Candidate(
        relation=table.qualified,
        table=dotted(table.schema, table.name),
        keys=tuple(map(quoted, key.columns)),
    )


def _expressions(condition: str, table: TableProfile) -> Iterator[str]:
    """Sides of an equality that are calls over a column, as EXPLAIN prints them."""
    text = f"SELECT 1 WHERE {condition}"
    try:
        parsed = pgparse.parse(text)
    except (pgparse.PGQueryError, RecursionError):
        return
    for node in _equalities(parsed[0]["stmt"]):
        for side, other in ((node["lexpr"], node["rexpr"]), (node["rexpr"], node["lexpr"])):
            call = side.get("FuncCall")
            if call and _columns(side, table) and not _columns(other, table):
                yield _unqualified(_call_text(text, call["location"]), _columns(side, table))


def _equalities(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        found = node.get("A_Expr")
        if isinstance(found, dict) and found.get("name") == [{"String": {"sval": "="}}]:
            yield found
        for part in node.values():
            yield from _equalities(part)
    elif isinstance(node, list):
        for part in node:
            yield from _equalities(part)


def _columns(node: Any, table: TableProfile) -> list[str]:
    found: list[str] = []
    if isinstance(node, dict):
        fields = node.get("ColumnRef", {}).get("fields", []) if "ColumnRef" in node else []
        last = fields[-1].get("String", {}).get("sval", "") if fields else ""
        if last and table.column(last):
            found.append(last)
        for part in node.values():
            found += _columns(part, table)
    elif isinstance(node, list):
        for part in node:
            found += _columns(part, table)
    return found


def _call_text(text: str, location: int) -> str:
    """The call that begins at a byte of the text, up to its closing bracket."""
    rest = text.encode()[location:].decode()
    depth = 0
    for at, mark in enumerate(rest):
        depth += (mark == "(") - (mark == ")")
        if mark == ")" and not depth:
            return rest[: at + 1]
    return rest


def _unqualified(text: str, columns: Iterable[str]) -> str:
    for column in columns:
        text = re.sub(rf'[\w$"]+\.(?={re.escape(quoted(column))}(?![\w$"]))', "", text)
    return text
