"""The shape of a plan: its nodes, joins, relations and indexes, without figures and without values."""

from typing import Any

_PARTS = ("Node Type", "Strategy", "Join Type", "Relation Name", "Index Name")


def shape(node: dict[str, Any]) -> str:
    """One line of text for a plan of EXPLAIN (FORMAT JSON): equal texts are equal plans."""
    name = " ".join(str(node[part]) for part in _PARTS if node.get(part) not in (None, "Plain"))
    children = ", ".join(shape(child) for child in node.get("Plans", ()))
    return f"{name} ({children})" if children else name
