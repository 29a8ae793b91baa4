"""What meets what inside expressions: slots and columns on the two sides of a comparison.

Node names and shapes are those of PostgreSQL's parsenodes.h and primnodes.h, as libpg_query gives
them in JSON.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from replay.sql.scope import NOTHING, Columns, Meaning, Origin, Scope

Node = dict[str, Any]

_COMPARISONS = {"=": "eq", "<>": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge"}
_COMPARISONS |= dict.fromkeys(["~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"], "like")
_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
_LOOKUPS = dict.fromkeys(["eq", "in", "any"], "eq")
_LOOKUPS |= dict.fromkeys(["lt", "gt", "le", "ge", "between"], "range")
_LIKES = {"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"}
_BETWEENS = {"AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM"}
_NOT_BETWEENS = {"AEXPR_NOT_BETWEEN", "AEXPR_NOT_BETWEEN_SYM"}
_CHOICES = {"CoalesceExpr", "MinMaxExpr"}  # nodes that stand for one of their arguments


class Expressions(ABC):
    """Collects the uses of slots and columns, expression by expression."""

    def __init__(self) -> None:
        self.slots: list[tuple[int, Origin | None, str, bool]] = []  # number, column, role, array
        self.columns: list[tuple[Origin, str]] = []
        self.cases: dict[int, str] = {}  # slot -> lower or upper, where the column stands inside it
        # What a condition met here does to the rows: "" nothing (a select list), "all" must hold,
        # "some" is one of several or denied, so that no index serves it alone.
        self._condition = ""

    @abstractmethod
    def statement(self, node: Node, outer: Scope) -> Columns:
        """Walk a statement inside another; what it returns, by name."""

    def condition(self, node: Any, scope: Scope, *, strict: bool = True) -> None:
        """Walk a condition on rows (WHERE, ON), of which all or only some parts must hold."""
        before = self._condition
        self._condition = "all" if strict else "some"
        self._all_of(node, scope)
        self._condition = before

    def visit(self, node: Any, scope: Scope) -> None:
        """Walk anything: lists, nodes, and what is in them."""
        if isinstance(node, list):
            for child in node:
                self.visit(child, scope)
        elif isinstance(node, dict):
            for kind, body in node.items():
                self._node(kind, body, scope)

    def meaning(self, node: Node, scope: Scope) -> Meaning:
        """What an expression stands for."""
        if not node:
            return NOTHING
        (kind, body), *_ = node.items()
        if kind == "ParamRef":
            return Meaning(slots=(body.get("number", 0),))
        if kind == "ColumnRef":
            names = [field.get("String", {}).get("sval", "") for field in body["fields"]]
            return scope.find(names[-2] if len(names) > 1 else "", names[-1])
        if kind in {"TypeCast", "CollateClause"}:
            return replace(self.meaning(body["arg"], scope), plain=False)
        if kind in _CHOICES:
            return self._choice(body["args"], scope)
        if kind == "A_Expr" and body["kind"] == "AEXPR_NULLIF":
            return replace(self.meaning(body["lexpr"], scope), plain=False)
        if kind == "FuncCall" and is_unnest(body):
            return replace(self.meaning(body["args"][0], scope), plain=False, array=True)
        if kind == "FuncCall" and (case := _case_of(body)):
            inner = self.meaning(body["args"][0], scope)
            return replace(inner, plain=False, case=case)
        if kind == "CaseExpr":
            results = [when["CaseWhen"]["result"] for when in body["args"]]
            return self._choice([*results, body.get("defresult", {})], scope)
        return self._wrapped(node, scope)

    def meet(self, value: Meaning, column: Origin | None, role: str) -> None:
        """A value goes into a column."""
        for number in value.slots:
            self.slots.append((number, column, role, value.array))
        for number in value.inside:
            self.slots.append((number, column, "other", False))

    def compare(self, left: Meaning, right: Meaning, role: str) -> None:
        """Two values are compared: slots of the one meet the column of the other."""
        self._one_side(left, right, role)
        self._one_side(right, left, _MIRRORED.get(role, role))

    def look_up(self, column: Origin, role: str) -> None:
        """A condition of this role on a column."""
        if self._condition:
            self.columns.append((column, role if self._condition == "all" else "other"))

    def _one_side(self, one: Meaning, other: Meaning, role: str) -> None:
        if one.column is None:
            return
        for number in other.slots:
            self.slots.append((number, one.column, "other" if one.wrapped else role, other.array))
            if one.case and not other.case:
                self.cases[number] = one.case
        for number in other.inside:
            self.slots.append((number, one.column, "other", False))
        use = _LOOKUPS.get(role, "other")
        if other.column is not None and other.plain:
            use = "join" if use == "eq" and one.relation != other.relation else "other"
        self.look_up(one.column, use if one.plain else "other")

    def _choice(self, nodes: list[Node], scope: Scope) -> Meaning:
        """One of several values, as COALESCE and CASE give."""
        found = [self.meaning(node, scope) for node in nodes if node]
        columns = {meaning.column for meaning in found if meaning.column}
        return Meaning(
            column=columns.pop() if len(columns) == 1 else None,
            slots=tuple(number for meaning in found for number in meaning.slots),
            inside=tuple(number for meaning in found for number in meaning.inside),
        )

    def _wrapped(self, node: Node, scope: Scope) -> Meaning:
        columns: set[Origin] = set()
        inside: list[int] = []
        for kind, body in _leaves(node):
            found = self.meaning({kind: body}, scope)
            if found.column:
                columns.add(found.column)
            inside += found.slots
        column = columns.pop() if len(columns) == 1 else None
        return Meaning(column=column, wrapped=True, inside=tuple(inside))

    def _node(self, kind: str, body: Any, scope: Scope) -> None:
        if kind == "ParamRef":
            self.slots.append((body.get("number", 0), None, "other", False))
        elif kind == "ColumnRef":
            column = self.meaning({kind: body}, scope).column
            if column is not None:
                self.look_up(column, "other")
        elif kind.endswith("Stmt"):
            self.statement({kind: body}, scope)
        elif kind == "SubLink":
            self._sub_link(body, scope)
        elif kind == "A_Expr":
            self._operator(body, scope)
        elif kind == "BoolExpr" and body["boolop"] == "AND_EXPR":
            self._all_of(body["args"], scope)
        elif kind == "BoolExpr" and self._condition:
            self.condition(body["args"], scope, strict=False)
        elif isinstance(body, (dict, list)):
            self.visit(body, scope)

    def _all_of(self, node: Any, scope: Scope) -> None:
        """Walk a condition, or several that must hold; `WHERE done`, NOT, IS NULL look a column up."""
        for part in node if isinstance(node, list) else [node]:
            column = self.meaning(_tested(part), scope) if self._condition == "all" else NOTHING
            if column.column is not None and column.plain:
                self.look_up(column.column, "eq")
            else:
                self.visit(part, scope)

    def _sub_link(self, body: Node, scope: Scope) -> None:
        columns = self.statement(body["subselect"], scope).values()
        test = body.get("testexpr")
        if test is None:
            return
        role = _COMPARISONS.get(_operator_of({"name": body.get("operName")}) or "=", "other")
        for one, column in zip(_row(test) or [test], columns, strict=False):
            self.compare(self.meaning(one, scope), column, role)
            self._rest(one, scope)

    def _operator(self, body: Node, scope: Scope) -> None:
        before = self._condition
        if body["kind"] in _NOT_BETWEENS and before:
            self._condition = "some"
        role, pairs = _compared(body)
        for left, right, array in pairs:
            value = self.meaning(right, scope)
            if array:
                value = replace(value, array=True, plain=False, wrapped=not value.slots)
            self.compare(self.meaning(left, scope), value, role)
            self._rest(left, scope)
            self._rest(right, scope)
        self._condition = before

    def _rest(self, node: Node, scope: Scope) -> None:
        """What a compared expression has inside: other comparisons, sub-selects, loose slots."""
        while "TypeCast" in node or "CollateClause" in node:
            node = (node.get("TypeCast") or node["CollateClause"])["arg"]
        if "ColumnRef" not in node:
            self.visit(node, scope)


def is_unnest(call: Node) -> bool:
    """Whether a function call is unnest() of at least one array."""
    name: str = call["funcname"][-1]["String"]["sval"]
    return name == "unnest" and bool(call.get("args"))


def _case_of(call: Node) -> str:
    """Lower or upper where a function call is one of them; "" for any other."""
    name: str = call["funcname"][-1]["String"]["sval"]
    return name if name in {"lower", "upper"} and len(call.get("args", ())) == 1 else ""


def _compared(body: Node) -> tuple[str, list[tuple[Node, Node, bool]]]:
    """Role of an operator, and what it compares; True where the right side is an array."""
    kind, name = body["kind"], _operator_of(body)
    left, right = body.get("lexpr", {}), body.get("rexpr", {})
    role = _COMPARISONS.get(name, "other")
    if kind == "AEXPR_IN":
        role = "in" if name == "=" else "ne"
        pairs = [pair for item in _items(right) for pair in _pairs(left, item)]
        return role, [(one, other, False) for one, other in pairs]
    if kind in {"AEXPR_OP_ANY", "AEXPR_OP_ALL"}:
        elements = _elements(right)
        if elements is not None:
            role = "in" if role == "eq" and kind == "AEXPR_OP_ANY" else role
            return role, [(left, element, False) for element in elements]
        return "any" if role == "eq" else role, [(left, right, True)]
    if kind in _LIKES:
        role = "like"
    elif kind in _BETWEENS | _NOT_BETWEENS:
        return "between", [(left, item, False) for item in _items(right)]
    elif kind in {"AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"}:
        role = "ne" if kind == "AEXPR_DISTINCT" else "eq"
    elif kind == "AEXPR_NULLIF":
        role = "other"
    return role, [(one, other, False) for one, other in _pairs(left, right)]


def _operator_of(body: Node) -> str:
    name: str = (body.get("name") or [{}])[-1].get("String", {}).get("sval", "")
    return name


def _pairs(left: Node, right: Node) -> Iterator[tuple[Node, Node]]:
    """The sides of a comparison; those of a row comparison one by one."""
    one, other = _row(left), _row(right)
    if one and other and len(one) == len(other):
        yield from zip(one, other, strict=True)
    else:
        yield left, right


def _tested(node: Node) -> Node:
    """The column of a condition that is nothing but a test of it, to which an index leads; else none."""
    if node.get("BoolExpr", {}).get("boolop") == "NOT_EXPR":
        (node,) = node["BoolExpr"]["args"]
    elif node.get("NullTest", {}).get("nulltesttype") == "IS_NULL":
        node = node["NullTest"]["arg"]
    elif node.get("BooleanTest", {}).get("booltesttype") in {"IS_TRUE", "IS_FALSE"}:
        node = node["BooleanTest"]["arg"]
    return node if "ColumnRef" in node else {}


def _row(node: Node) -> list[Node] | None:
    args: list[Node] | None = node.get("RowExpr", {}).get("args")
    return args


def _items(node: Node) -> list[Node]:
    items: list[Node] = node.get("List", {}).get("items", [node])
    return items


def _elements(node: Node) -> list[Node] | None:
    """The elements of ARRAY[…], casts aside."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    array = node.get("A_ArrayExpr")
    return None if array is None else array.get("elements", [])


def _leaves(node: Any) -> Iterator[tuple[str, Any]]:
    """Slots and column references below a node, sub-selects left out."""
    if isinstance(node, list):
        for child in node:
            yield from _leaves(child)
    elif isinstance(node, dict):
        for kind, body in node.items():
            if kind in {"ParamRef", "ColumnRef"}:
                yield kind, body
            elif kind != "SubLink":
                yield from _leaves(body)
