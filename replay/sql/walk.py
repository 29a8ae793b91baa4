"""The walk over a statement's parse tree: what it reads from, writes to, and looks for.

Node names and shapes are those of PostgreSQL's parsenodes.h, as libpg_query gives them in JSON.
"""

from dataclasses import replace
from itertools import count
from typing import Any

import pgparse

from data_gen.profile import SchemaProfile
from replay.sql.expressions import Expressions, Node, is_unnest
from replay.sql.scope import NOTHING, Columns, Meaning, Origin, Scope, columns_of, renamed


class Walk(Expressions):
    """Collects, over one or more statements, uses of slots and of columns."""

    def __init__(self, schema: SchemaProfile) -> None:
        super().__init__()
        self._schema = schema
        self._numbers = count(1)  # of FROM items

    def statement(self, node: Node, outer: Scope | None = None) -> Columns:
        """Walk a statement in a scope of its own; what it returns, by name."""
        (kind, body), *_ = node.items()
        scope = Scope(outer)
        before, self._condition = self._condition, ""
        self._with(body, scope)
        match kind:
            case "SelectStmt":
                returned = self._select(body, scope)
            case "InsertStmt":
                returned = self._insert(body, scope)
            case "UpdateStmt" | "DeleteStmt":
                returned = self._update(body, scope)
            case "MergeStmt":
                returned = self._merge(body, scope)
            case _:
                self.visit(body, scope)
                returned = {}
        self._condition = before
        return returned

    def _with(self, body: Any, scope: Scope) -> None:
        clause = body.get("withClause", {}) if isinstance(body, dict) else {}
        for item in clause.get("ctes", []):
            cte = item["CommonTableExpr"]
            query, names = cte["ctequery"], _names(cte.get("aliascolnames", []))
            first = query.get("SelectStmt", {}).get("larg")
            if clause.get("recursive") and first:
                # What it reads of itself is what its first part returns.
                quiet = Walk(self._schema)
                found = quiet.statement({"SelectStmt": first}, scope)
                scope.ctes[cte["ctename"]] = renamed(found, names)
            scope.ctes[cte["ctename"]] = renamed(self.statement(query, scope), names)

    def _select(self, body: Node, scope: Scope) -> Columns:
        for limit in ("limitCount", "limitOffset"):
            value = self.meaning(body.get(limit, {}), scope)
            for number in (*value.slots, *value.inside):
                self.slots.append((number, None, "limit", False))
        if "larg" in body:
            returned, other = (
                self.statement({"SelectStmt": body[side]}, scope) for side in ("larg", "rarg")
            )
            return _united(returned, other)
        if "valuesLists" in body:
            return self._values(body["valuesLists"], scope)
        self._from(body.get("fromClause", []), scope)
        returned = self._returned(body.get("targetList", []), scope)
        self.condition(body.get("whereClause", {}), scope)
        self.condition(body.get("havingClause", {}), scope, strict=False)
        self._sort(body.get("sortClause", []), returned, scope)
        for clause in ("groupClause", "distinctClause", "windowClause"):
            self.visit(body.get(clause, []), scope)
        return returned

    def _values(self, rows: list[Node], scope: Scope) -> Columns:
        columns: Columns = {}
        for row in rows:
            found: Columns = {}
            for position, item in enumerate(row["List"]["items"], 1):
                found[f"column{position}"] = self.meaning(item, scope)
            columns = _united(columns, found)
            self.visit(row, scope)
        return columns

    def _returned(self, targets: list[Node], scope: Scope) -> Columns:
        """What a select list or RETURNING gives, by name."""
        returned: Columns = {}
        for number, item in enumerate(targets, 1):
            target = item["ResTarget"]
            value = target.get("val", {})
            fields = value.get("ColumnRef", {}).get("fields", [])
            if fields and "A_Star" in fields[-1]:
                qualifier = fields[-2]["String"]["sval"] if len(fields) > 1 else ""
                for alias, columns in scope.relations.items():
                    if qualifier in {"", alias}:
                        returned |= columns
                continue
            name = target.get("name") or (fields[-1]["String"]["sval"] if fields else f"?{number}")
            returned[name] = self.meaning(value, scope)
            self.visit(value, scope)
        return returned

    def _sort(self, items: list[Node], returned: Columns, scope: Scope) -> None:
        for item in items:
            node = item["SortBy"]["node"]
            fields = node.get("ColumnRef", {}).get("fields", [])
            name = fields[0]["String"]["sval"] if len(fields) == 1 else ""
            found = returned.get(name) or self.meaning(node, scope)
            if found.column and found.plain:
                self.columns.append((found.column, "sort"))
            self.visit(node, scope)

    def _insert(self, body: Node, scope: Scope) -> Columns:
        columns = self._relation(body["relation"], scope)
        named = [item["ResTarget"]["name"] for item in body.get("cols", [])] or list(columns)
        given = self.statement(body["selectStmt"], scope) if "selectStmt" in body else {}
        for name, value in zip(named, given.values(), strict=False):
            self.meet(value, columns.get(name, NOTHING).column, "insert")
        scope.add("excluded", columns, next(self._numbers))
        conflict = body.get("onConflictClause", {})
        self._assign(conflict.get("targetList", []), columns, scope)
        self.visit(conflict.get("whereClause", {}), scope)
        return self._returned(body.get("returningList", []), scope)

    def _update(self, body: Node, scope: Scope) -> Columns:
        """UPDATE and DELETE."""
        columns = self._relation(body["relation"], scope)
        self._from(body.get("fromClause", []) + body.get("usingClause", []), scope)
        self._assign(body.get("targetList", []), columns, scope)
        self.condition(body.get("whereClause", {}), scope)
        return self._returned(body.get("returningList", []), scope)

    def _merge(self, body: Node, scope: Scope) -> Columns:
        columns = self._relation(body["relation"], scope)
        self._from([body["sourceRelation"]], scope)
        self.condition(body["joinCondition"], scope)
        for item in body.get("mergeWhenClauses", []):
            when = item["MergeWhenClause"]
            targets = when.get("targetList", [])
            self.visit(when.get("condition", {}), scope)
            if "values" in when:
                names = [t["ResTarget"]["name"] for t in targets] or list(columns)
                for name, value in zip(names, when["values"], strict=False):
                    self._put(value, columns.get(name, NOTHING).column, "insert", scope)
            else:
                self._assign(targets, columns, scope)
        return self._returned(body.get("returningList", []), scope)

    def _assign(self, targets: list[Node], columns: Columns, scope: Scope) -> None:
        given: list[Meaning] = []  # by the sub-select of SET (a, b) = (SELECT …)
        for item in targets:
            target = item["ResTarget"]
            column = columns.get(target["name"], NOTHING).column
            value = target.get("val", {})
            several = value.get("MultiAssignRef")
            if several is None:
                self._put(value, column, "set", scope)
                continue
            position = several["colno"] - 1
            if "RowExpr" in several["source"]:
                for one in several["source"]["RowExpr"].get("args", [])[position : position + 1]:
                    self._put(one, column, "set", scope)
                continue
            if position == 0 and "SubLink" in several["source"]:
                query = several["source"]["SubLink"]["subselect"]
                given = list(self.statement(query, scope).values())
            if position < len(given):
                self.meet(given[position], column, "set")

    def _put(self, value: Node, column: Origin | None, role: str, scope: Scope) -> None:
        self.meet(self.meaning(value, scope), column, role)
        self.visit(value, scope)

    def _relation(self, relation: Node, scope: Scope) -> Columns:
        """Bring a table or CTE into the scope; its columns."""
        name, schema = relation["relname"], relation.get("schemaname")
        columns = None if schema else scope.cte(name)
        if columns is None:
            table = self._schema.table(f"{schema}.{name}" if schema else name)
            columns = columns_of(table) if table is not None else self._view(schema, name)
        alias = relation.get("alias", {})
        columns = renamed(columns, _names(alias.get("colnames", [])))
        scope.add(alias.get("aliasname", name), columns, next(self._numbers))
        return columns

    def _view(self, schema: str | None, name: str) -> Columns:
        """Columns of a view by what its query reads; none where there is no such view."""
        found = self._schema.view(schema, name)
        if found is None:
            return {}
        (body,) = pgparse.parse(found.definition)[0]["stmt"].values()
        return self.statement(body["query"])

    def _from(self, items: list[Node], scope: Scope) -> None:
        conditions: list[Node] = []
        for item in items:
            self._source(item, scope, conditions)
        self.condition(conditions, scope)

    def _source(self, item: Node, scope: Scope, conditions: list[Node]) -> None:
        """Bring a FROM item into the scope; the conditions of its joins wait until all are there."""
        (kind, body), *_ = item.items()
        names = _names(body.get("alias", {}).get("colnames", []))
        alias = body.get("alias", {}).get("aliasname", "")
        if kind == "RangeVar":
            self._relation(body, scope)
        elif kind == "JoinExpr":
            self._source(body["larg"], scope, conditions)
            self._source(body["rarg"], scope, conditions)
            conditions.append(body.get("quals", {}))
            self._joined_by(_names(body.get("usingClause", [])), scope)
        elif kind == "RangeSubselect":
            around = scope if body.get("lateral") else Scope(scope.outer, ctes=scope.ctes)
            columns = renamed(self.statement(body["subquery"], around), names)
            scope.add(alias, columns, next(self._numbers))
        elif kind == "RangeTableSample":
            self._source(body["relation"], scope, conditions)
            self.visit(body.get("args", []), scope)
        else:
            columns = renamed(self._called(body, alias, scope), names)
            scope.add(alias, columns, next(self._numbers))
            self.visit(body, scope)

    def _called(self, body: Node, alias: str, scope: Scope) -> Columns:
        """Columns of a function in FROM: those of unnest() are its arrays."""
        columns: Columns = {}
        for item in body.get("functions", []):
            call = item["List"]["items"][0].get("FuncCall")
            if call is None:
                continue
            arguments = call.get("args", []) if is_unnest(call) else [{}]
            for argument in arguments:
                name = f"{alias or 'unnest'}{len(columns) or ''}"
                columns[name] = replace(self.meaning(argument, scope), plain=False, array=True)
        return columns

    def _joined_by(self, names: list[str], scope: Scope) -> None:
        """JOIN … USING: the columns of those names in all that is joined."""
        for name in names:
            for columns in scope.relations.values():
                found = columns.get(name, NOTHING)
                if found.column:
                    self.columns.append((found.column, "join"))


def _names(items: list[Node]) -> list[str]:
    return [item["String"]["sval"] for item in items]


def _united(one: Columns, other: Columns) -> Columns:
    """Columns of a UNION, or of two rows of VALUES: the first's names, the slots of both."""
    if not one or not other:
        return one or other
    return {
        name: replace(
            known,
            column=known.column if known.column == found.column else None,
            plain=known.plain and found.plain,
            slots=(*known.slots, *found.slots),
            inside=(*known.inside, *found.inside),
        )
        for (name, known), found in zip(one.items(), other.values(), strict=False)
    }
