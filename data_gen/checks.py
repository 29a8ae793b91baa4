"""What CHECK constraints ask of the rows, as far as it can be kept while they are made.

Understood are bounds of one column, two columns in order, and which columns are NULL together; lists
of values are read by `labels`. What else a check says is left to a search among the rows made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pgparse

from data_gen.bounds import Held
from data_gen.profile import ColumnProfile, TableProfile

_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InOrder:
    """Two columns, the first of which is not the larger."""

    low: str
    high: str
    strict: bool  # nor are they equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """All that the checks of one table say and that is kept."""

    held: Mapping[str, tuple[Held, ...]]  # by column
    orders: tuple[InOrder, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()  # exactly one of them has a value
    any_of: tuple[tuple[str, ...], ...] = ()  # at least one of two has
    together: tuple[tuple[str, ...], ...] = ()  # NULL in the same rows
    unlike: tuple[tuple[str, str], ...] = ()  # two columns that are never equal


def understood(table: TableProfile) -> Understood:
    """What the checks of a table, and of its columns' domains, say together."""
    held: dict[str, list[Held]] = {}
    orders: list[InOrder] = []
    unlike: list[tuple[str, str]] = []
    groups: dict[str, list[tuple[str, ...]]] = {"one": [], "any": [], "same": [], "": []}
    for column in table.columns:
        for check in column.domain_checks:
            for term in _terms(check):
                limits = _limits(term)
                if limits is not None:
                    held.setdefault(column.name, []).append(limits[1])
    for constraint in table.constraints:
        for term in _terms(constraint.definition) if constraint.kind == "c" else ():
            limits, order = _limits(term), _order(term)
            unlike += _unlike(term)
            if limits is not None:
                held.setdefault(limits[0], []).append(limits[1])
            elif order is not None:
                orders.append(order)
            else:
                kind, names = _nulls(term)
                groups[kind].append(names)
    return Understood(
        held={name: tuple(found) for name, found in held.items()},
        orders=tuple(orders),
        one_of=tuple(groups["one"]),
        any_of=tuple(groups["any"]),
        together=tuple(groups["same"]),
        unlike=tuple(unlike),
    )


def limits_of(table: TableProfile, column: ColumnProfile) -> tuple[Held, ...]:
    """What checks hold one column to."""
    if not column.domain_checks and not any(one.kind == "c" for one in table.constraints):
        return ()
    return understood(table).held.get(column.name, ())


def expression(definition: str) -> str:
    """The expression of a CHECK as pg_get_constraintdef writes it."""
    text = definition.removeprefix("CHECK ").removesuffix(" NOT VALID")
    return text.removesuffix(" NO INHERIT")


@lru_cache(maxsize=4096)
def _terms(definition: str) -> tuple[Mapping[str, Any], ...]:
    """The parts of a check that all must hold; () for one that is not understood."""
    try:
        (statement,) = pgparse.parse(f"SELECT {expression(definition)}")
    except (pgparse.PGQueryError, RecursionError):
        return ()
    return tuple(_parts(statement["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]))


def _parts(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    both = node.get("BoolExpr")
    if both is not None and both["boolop"] == "AND_EXPR":
        for one in both["args"]:
            yield from _parts(one)
    else:
        yield node


def _limits(node: Mapping[str, Any]) -> tuple[str, Held] | None:
    """A column compared with a constant, or one that is a condition itself."""
    negated = node.get("BoolExpr", {}).get("boolop") == "NOT_EXPR"
    told = _column(node["BoolExpr"]["args"][0] if negated else node)
    if told is not None:
        value = "f" if negated else "t"
        return told, Held(low=value, high=value, to_high=True)
    parts = _comparison(node)
    if parts is None:
        return None
    left, operator, right = parts
    column, constant = _column(left), _constant(right)
    if column is None and constant is None:
        operator = _TURNED.get(operator, "")
        column, constant = _column(right), _constant(left)
    if column is None or constant is None:
        return None
    match operator:
        case ">=" | ">":
            return column, Held(low=constant, above_low=operator == ">")
        case "<=" | "<":
            return column, Held(high=constant, to_high=operator == "<=")
        case "=":
            return column, Held(low=constant, high=constant, to_high=True)
        case _:
            return None


def _order(node: Mapping[str, Any]) -> InOrder | None:
    """Two columns of one table compared."""
    parts = _comparison(node)
    if parts is None:
        return None
    left, operator, right = parts
    one, other = _column(left), _column(right)
    if one is None or other is None or operator not in ("<", "<=", ">", ">="):
        return None
    low, high = (one, other) if operator[0] == "<" else (other, one)
    return InOrder(low=low, high=high, strict=len(operator) == 1)


def _unlike(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Two columns that differ, alone or as one way of several to satisfy the check."""
    either = node.get("BoolExpr", {})
    for one in either["args"] if either.get("boolop") == "OR_EXPR" else (node,):
        parts = _comparison(one)
        if parts is not None and parts[1] == "<>":
            names = _column(parts[0]), _column(parts[2])
            if names[0] is not None and names[1] is not None:
                yield names[0], names[1]


def _nulls(node: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Which of some columns have a value: exactly one, any, all or none of them."""
    parts = _comparison(node)
    if parts is not None:
        left, operator, right = parts
        call = left.get("FuncCall")
        if call is not None and operator == "=" and _constant(right) == "1":
            names = [_column(one) for one in call.get("args", ())]
            if _name(call) == "num_nonnulls" and all(names):
                return "one", tuple(name for name in names if name is not None)
        tested = (_null_test(left), _null_test(right))
        if tested[0] is not None and tested[1] is not None and operator in ("=", "<>"):
            same = (operator == "=") == (tested[0][1] == tested[1][1])
            return ("same" if same else "one"), (tested[0][0], tested[1][0])
    either = node.get("BoolExpr")
    if either is not None and either["boolop"] == "OR_EXPR" and len(either["args"]) == _PAIR:
        found = [_null_test(one) for one in either["args"]]
        if all(one is not None and not one[1] for one in found):
            return "any", tuple(one[0] for one in found if one is not None)
    return "", ()


def _comparison(
    node: Mapping[str, Any],
) -> tuple[Mapping[str, Any], str, Mapping[str, Any]] | None:
    found = node.get("A_Expr")
    if found is None or found.get("kind") != "AEXPR_OP" or "lexpr" not in found:
        return None
    return found["lexpr"], found["name"][-1]["String"]["sval"], found["rexpr"]


def _column(node: Mapping[str, Any]) -> str | None:
    """The column that a node names, with or without a cast."""
    node = node["TypeCast"]["arg"] if "TypeCast" in node else node
    reference = node.get("ColumnRef")
    if reference is None or "String" not in reference["fields"][-1]:
        return None
    return str(reference["fields"][-1]["String"]["sval"])


def _constant(node: Mapping[str, Any]) -> str | None:
    """A constant's text; those of arithmetic and of functions are none."""
    node = node["TypeCast"]["arg"] if "TypeCast" in node else node
    found = node.get("A_Const")
    if found is None or found.get("isnull"):
        return None
    for kind, field in (("ival", "ival"), ("fval", "fval"), ("sval", "sval")):
        if kind in found:
            return str(found[kind].get(field, 0 if kind == "ival" else ""))
    return None


def _null_test(node: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The column, and whether NULL is what is asked for."""
    test = node.get("NullTest")
    name = _column(test["arg"]) if test is not None else None
    if test is None or name is None:
        return None
    return name, test["nulltesttype"] == "IS_NULL"


def _name(call: Mapping[str, Any]) -> str:
    return str(call["funcname"][-1]["String"]["sval"])


def columns_in(sql: str, table: TableProfile) -> Sequence[str]:
    """The columns of a table that an expression names."""
    try:
        tree = pgparse.parse(f"SELECT {sql}")
    except (pgparse.PGQueryError, RecursionError):
        return ()
    named = set(_references(tree))
    return [column.name for column in table.columns if column.name in named]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        name = _column(node) if "ColumnRef" in node else None
        if name is not None:
            yield name
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
