"""The shape of a plan: its nodes, joins, relations and indexes, without figures and without values.

A sub-select that reads nothing and is asked once is a value: so a replay asks for a sequence's.
"""

from typing import Any

_PARTS = ("Node Type", "Strategy", "Join Type", "Relation Name", "Index Name")


def shape(node: dict[str, Any]) -> str:
    """One line of text for a plan of EXPLAIN (FORMAT JSON): equal texts are equal plans."""
    name = " ".join(str(node[part]) for part in _PARTS if node.get(part) not in (None, "Plain"))
    children = ", ".join(shape(child) for child in node.get("Plans", ()) if not _is_value(child))
    return f"{name} ({children})" if children else name


def _is_value(node: dict[str, Any]) -> bool:
    is_bare = node["Node Type"] == "Result" and not node.get("Plans")
    return is_bare and node.get("Parent Relationship") == "InitPlan"
