"""Expressions that a scan's condition looks for by equality, as they would stand in an index.

The condition is EXPLAIN's: every operator stands in brackets of its own, and every column that could
be another table's has its table before it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pgparse

from data_gen.names import quoted
from data_gen.profile import TableProfile

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]""")


def expressions(condition: str, table: TableProfile) -> Iterator[str]:
    """Sides of an equality that are calls or operators over a column, and compared with none."""
    text = f"SELECT 1 WHERE {condition}"
    try:
        parsed = pgparse.parse(text)
    except (pgparse.PGQueryError, RecursionError):
        return
    for node in _equalities(parsed[0]["stmt"]):
        for side, other in ((node["lexpr"], node["rexpr"]), (node["rexpr"], node["lexpr"])):
            columns = _columns(side, table)
            found = _text(text, side) if columns and not _columns(other, table) else ""
            if found:
                yield _unqualified(found, columns)


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


def _text(text: str, side: Any) -> str:
    """One side's own text; empty where it is a plain column, or nothing that an index holds."""
    if "FuncCall" in side:
        return _brackets(text, side["FuncCall"]["location"], called=True)
    if "A_Expr" in side:
        return _brackets(text, side["A_Expr"]["location"], called=False)
    if "TypeCast" in side:
        kind = side["TypeCast"]["typeName"]
        inner = _text(text, side["TypeCast"]["arg"])
        if inner and not kind.get("arrayBounds"):
            return f"({inner})::{kind['names'][-1]['String']['sval']}"
    return ""


def _brackets(text: str, location: int, *, called: bool) -> str:
    """A call from its name's byte to its closing bracket; an operator's own brackets, around it."""
    at = len(text.encode()[:location].decode(errors="ignore"))
    opened: list[int] = []
    for mark in _QUOTED.finditer(text):
        if mark[0] == "(":
            opened.append(mark.start())
        elif mark[0] == ")" and opened:
            begin = opened.pop()
            if called and begin >= at and not any(one >= at for one in opened):
                return text[at : mark.end()]
            if not called and begin < at < mark.start():
                return text[begin : mark.end()]
    return ""


def _unqualified(text: str, columns: Iterable[str]) -> str:
    for column in columns:
        text = re.sub(rf'[\w$"]+\.(?={re.escape(quoted(column))}(?![\w$"]))', "", text)
    return text
