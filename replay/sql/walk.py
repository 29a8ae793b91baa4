"""The walk over a parse tree: scopes of tables, and what meets what.

Node names and shapes are those of PostgreSQL's parsenodes.h, as libpg_query gives them in JSON.
"""

from collections.abc import Iterator
from typing import Any

from data_gen.profile import SchemaProfile, TableProfile

Node = dict[str, Any]
_COMPARISONS = {"=": "eq", "<>": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge"}
_LOOKUPS = {
    "eq": "eq",
    "in": "eq",
    "any": "eq",
    "lt": "range",
    "gt": "range",
    "le": "range",
    "ge": "range",
    "between": "range",
}
_LIKES = {"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"}


class Scope:
    """The tables that names can mean, inner before outer."""

    def __init__(self, outer: "Scope | None" = None) -> None:
        self.outer = outer
        self.tables: dict[str, TableProfile | None] = {}  # alias -> table; None: no real one
        self.ctes: set[str] = set(outer.ctes) if outer else set()

    def find(self, qualifier: str, column: str) -> TableProfile | None:
        """The table that a column reference means, or None."""
        if qualifier:
            if qualifier in self.tables:
                table = self.tables[qualifier]
                return table if table is not None and table.column(column) else None
        else:
            holders = [t for t in self.tables.values() if t is not None and t.column(column)]
            if holders:
                return holders[0]
        return self.outer.find(qualifier, column) if self.outer else None


class Walk:
    """Collects, over one or more statements, uses of slots and of columns."""

    def __init__(self, schema: SchemaProfile) -> None:
        self.slots: list[tuple[int, str, str, str]] = []  # number, table, column, role
        self.columns: list[tuple[str, str, str]] = []  # table, column, role
        self._schema = schema

    def statement(self, node: Node, outer: Scope | None = None) -> None:
        """Walk a statement, or any node, in a scope of its own."""
        (kind, body), *_ = node.items()
        scope = Scope(outer)
        self._with(body, scope)
        match kind:
            case "SelectStmt":
                self._select(body, scope)
            case "InsertStmt":
                self._insert(body, scope)
            case "UpdateStmt":
                self._relation(body["relation"], scope)
                self._from(body.get("fromClause", []), scope)
                self._assign(body.get("targetList", []), body["relation"], scope)
                self._rest(body, scope, {"relation", "fromClause", "targetList", "withClause"})
            case "DeleteStmt":
                self._relation(body["relation"], scope)
                self._from(body.get("usingClause", []), scope)
                self._rest(body, scope, {"relation", "usingClause", "withClause"})
            case _:
                self._visit(body, scope)

    def _with(self, body: Node, scope: Scope) -> None:
        for item in body.get("withClause", {}).get("ctes", []):
            cte = item["CommonTableExpr"]
            scope.ctes.add(cte["ctename"])
            self.statement(cte["ctequery"], scope)

    def _select(self, body: Node, scope: Scope) -> None:
        for side in ("larg", "rarg"):
            if side in body:
                self.statement({"SelectStmt": body[side]}, scope)
        self._from(body.get("fromClause", []), scope)
        for item in body.get("sortClause", []):
            self._column_use(item["SortBy"]["node"], scope, "sort")
        for limit in ("limitCount", "limitOffset"):
            for number in _slots_in(body.get(limit, {})):
                self.slots.append((number, "", "", "limit"))
        done = {"larg", "rarg", "fromClause", "withClause", "limitCount", "limitOffset"}
        self._rest(body, scope, done)

    def _insert(self, body: Node, scope: Scope) -> None:
        table = self._relation(body["relation"], scope)
        named = [item["ResTarget"]["name"] for item in body.get("cols", [])]
        columns = named or [c.name for c in (table.columns if table else ())]
        select = body.get("selectStmt", {}).get("SelectStmt", {})
        if "valuesLists" in select:
            for row in select["valuesLists"]:
                for position, value in enumerate(row["List"]["items"]):
                    column = columns[position] if position < len(columns) else ""
                    self._meet(value, table, column, "insert", scope)
        elif select:
            for position, item in enumerate(select.get("targetList", [])):
                column = columns[position] if position < len(columns) else ""
                if (number := _slot(item["ResTarget"].get("val", {}))) is not None:
                    self._slot_meets(number, table, column, "insert")
            self.statement({"SelectStmt": select}, scope)
        scope.tables["excluded"] = table
        conflict = body.get("onConflictClause", {})
        self._assign(conflict.get("targetList", []), body["relation"], scope)
        self._visit(conflict.get("whereClause", {}), scope)
        self._visit(body.get("returningList", []), scope)

    def _assign(self, targets: list[Node], relation: Node, scope: Scope) -> None:
        table = self._table_of(relation, scope)
        for item in targets:
            target = item["ResTarget"]
            value = target.get("val", {})
            several = value.get("MultiAssignRef")
            if several:
                row = several["source"].get("RowExpr", {}).get("args")
                if row is None:
                    if several["colno"] == 1:
                        self._visit(several["source"], scope)
                    continue
                value = row[several["colno"] - 1]
            self._meet(value, table, target["name"], "set", scope)

    def _meet(
        self, value: Node, table: TableProfile | None, column: str, role: str, scope: Scope
    ) -> None:
        number = _slot(value)
        if number is None:
            self._visit(value, scope)
        else:
            self._slot_meets(number, table, column, role)

    def _slot_meets(self, number: int, table: TableProfile | None, column: str, role: str) -> None:
        if table is None or table.column(column) is None:
            self.slots.append((number, "", "", "other"))
        else:
            self.slots.append((number, table.qualified, column, role))

    def _from(self, items: list[Node], scope: Scope) -> None:
        quals = []
        for item in items:
            quals += list(self._source(item, scope))
        for node in quals:
            self._visit(node, scope)

    def _source(self, item: Node, scope: Scope) -> Iterator[Node]:
        """Put the tables of a FROM item into the scope; yields the conditions of its joins."""
        (kind, body), *_ = item.items()
        if kind == "RangeVar":
            self._relation(body, scope)
        elif kind == "JoinExpr":
            yield from self._source(body["larg"], scope)
            yield from self._source(body["rarg"], scope)
            if "quals" in body:
                yield body["quals"]
            for name in body.get("usingClause", []):
                reference = {"ColumnRef": {"fields": [name]}}
                self._column_use(reference, scope, "join")
        else:
            alias = body.get("alias", {}).get("aliasname", "")
            if kind == "RangeSubselect":
                self.statement(body["subquery"], scope)
            else:
                yield body
            scope.tables[alias] = None

    def _relation(self, relation: Node, scope: Scope) -> TableProfile | None:
        table = self._table_of(relation, scope)
        scope.tables[relation.get("alias", {}).get("aliasname", relation["relname"])] = table
        return table

    def _table_of(self, relation: Node, scope: Scope) -> TableProfile | None:
        name, schema = relation["relname"], relation.get("schemaname")
        if not schema and name in scope.ctes:
            return None
        return self._schema.table(f"{schema}.{name}" if schema else name)

    def _rest(self, body: Node, scope: Scope, done: set[str]) -> None:
        for name, child in body.items():
            if name not in done:
                self._visit(child, scope)

    def _visit(self, node: Any, scope: Scope) -> None:
        if isinstance(node, list):
            for child in node:
                self._visit(child, scope)
        elif isinstance(node, dict):
            for kind, child in node.items():
                self._node(kind, child, scope)

    def _node(self, kind: str, body: Any, scope: Scope) -> None:
        if kind == "ParamRef":
            self.slots.append((body.get("number", 0), "", "", "other"))
        elif kind == "SelectStmt" or kind.endswith("Stmt"):
            self.statement({kind: body}, scope)
        elif kind == "SubLink":
            self._visit(body.get("testexpr", {}), scope)
            if "testexpr" in body:
                self._column_use(body["testexpr"], scope, "join")
            self.statement(body["subselect"], scope)
        elif kind == "A_Expr":
            self._expression(body, scope)
        elif kind == "NullTest":
            self._column_use(body["arg"], scope, "other")
        elif isinstance(body, (dict, list)):
            self._visit(body, scope)

    def _expression(self, body: Node, scope: Scope) -> None:
        name = body.get("name", [{}])[-1].get("String", {}).get("sval", "")
        kind = body["kind"]
        left, right = body.get("lexpr", {}), body.get("rexpr", {})
        role = {
            "AEXPR_OP": _COMPARISONS.get(name, ""),
            "AEXPR_OP_ANY": "any" if name == "=" else "",
            "AEXPR_IN": "in" if name == "=" else "ne",
            "AEXPR_BETWEEN": "between",
            "AEXPR_BETWEEN_SYM": "between",
        }.get(kind, "like" if kind in _LIKES else "")
        pairs = list(_pairs(left, right)) if role else []
        for one, other in pairs:
            self._compare(one, other, role, scope)
            self._compare(other, one, _MIRRORED.get(role, role), scope)
        if not pairs:
            self._visit([left, right], scope)

    def _compare(self, one: Node, other: Node, role: str, scope: Scope) -> None:
        """What one side's column means to the other side's slots, and to an index."""
        column = self._column(one, scope)
        others = _items(other)
        if column is not None:
            joined = any(self._column(item, scope) for item in others)
            use = "join" if joined and role == "eq" else _LOOKUPS.get(role, "other")
            self.columns.append((*column, use))
        for item in others:
            number = _slot(item)
            if number is not None and column is not None:
                self.slots.append((number, *column, role))
            else:
                inside = self._column_inside(one, scope) if number is None else None
                for slot in _slots_in(item):
                    self.slots.append((slot, *(inside or ("", "")), "other"))
                self._sub_selects(item, scope)

    def _sub_selects(self, node: Any, scope: Scope) -> None:
        """Statements inside an expression whose slots have been looked at already."""
        if isinstance(node, list):
            for child in node:
                self._sub_selects(child, scope)
        elif isinstance(node, dict):
            for kind, child in node.items():
                if kind == "SubLink":
                    self._node(kind, child, scope)
                elif kind == "A_Expr" and _COMPARISONS.get(
                    child.get("name", [{}])[-1].get("String", {}).get("sval", "")
                ):
                    self._expression(child, scope)
                else:
                    self._sub_selects(child, scope)

    def _column(self, node: Node, scope: Scope) -> tuple[str, str] | None:
        """The real column that a node is, casts aside."""
        while "TypeCast" in node:
            node = node["TypeCast"]["arg"]
        fields = node.get("ColumnRef", {}).get("fields")
        if not fields:
            return None
        names = [field.get("String", {}).get("sval", "") for field in fields]
        table = scope.find(names[-2] if len(names) > 1 else "", names[-1])
        return (table.qualified, names[-1]) if table else None

    def _column_inside(self, node: Node, scope: Scope) -> tuple[str, str] | None:
        """The one column inside a function call: `lower(name)` is about name."""
        call = node.get("FuncCall")
        found = [self._column(arg, scope) for arg in (call or {}).get("args", [])]
        real = [column for column in found if column]
        return real[0] if len(real) == 1 else self._column(node, scope)

    def _column_use(self, node: Node, scope: Scope, role: str) -> None:
        column = self._column(node, scope)
        if column is not None:
            self.columns.append((*column, role))


_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}


def _pairs(left: Node, right: Node) -> Iterator[tuple[Node, Node]]:
    """The sides of a comparison; those of a row comparison one by one."""
    one, other = (side.get("RowExpr", {}).get("args") for side in (left, right))
    if one and other and len(one) == len(other):
        yield from zip(one, other, strict=True)
    else:
        yield left, right


def _items(node: Node) -> list[Node]:
    """The elements of a list or ARRAY[…], else the node alone."""
    items: list[Node] | None = node.get("List", {}).get("items")
    if items is None:
        items = node.get("A_ArrayExpr", {}).get("elements")
    return [node] if items is None else items


def _slot(node: Node) -> int | None:
    """The slot that a node is, casts aside."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    number: int | None = node.get("ParamRef", {}).get("number")
    return number


def _slots_in(node: Any) -> Iterator[int]:
    """All slots below a node, sub-selects left out."""
    if isinstance(node, list):
        for child in node:
            yield from _slots_in(child)
    elif isinstance(node, dict):
        for kind, child in node.items():
            if kind == "ParamRef":
                yield child.get("number", 0)
            elif kind != "SubLink":
                yield from _slots_in(child)
