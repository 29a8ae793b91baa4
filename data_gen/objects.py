"""What a schema has beside tables and enums, in an order in which it can be made.

The catalog says what needs what (pg_depend); bodies of functions are texts that it does not look
into, so they are made unchecked. Views wait for the rows, because one may lean on a primary key;
a view that a table needs does not.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from data_gen.names import quoted
from data_gen.profile import SchemaObject
from data_gen.questions import Row

Key = tuple[str, int]  # class and OID

_TABLE, _TYPE = "pg_class", "pg_type"
_BY_CLASS = {
    "types": _TYPE,
    "functions": "pg_proc",
    "sequences": _TABLE,
    "views": _TABLE,
}
# Functions that reach files, programs, other servers or the server itself: whoever calls a function
# that calls one of them would leave staging.
_OUTSIDE = re.compile(
    r"\b(dblink\w*|pg_(?:read|stat|write)_(?:binary_)?file|pg_file_\w+|pg_ls_\w*dir\w*"
    r"|lo_(?:import|export)|https?_(?:get|post|put|patch|delete|head)|net\.http_\w+"
    r"|aws_(?:s3|lambda)\.\w+|pg_(?:terminate|cancel)_backend)\"?\s*\("
    r"|\b(copy\s[^;]*?\b(?:from|to)\s+program|alter\s+system)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """All objects in order, and how many of them stand before each table, by its OID."""

    objects: tuple[SchemaObject, ...]
    table_orders: Mapping[int, int]
    unsupported: tuple[str, ...]


def objects_of(
    rows: Callable[[str], Sequence[Row]], tables: Mapping[int, str], enums: Iterable[int]
) -> Objects:
    """The objects of a catalog; `tables` are the names of all tables by OID, as schema.name."""
    found: dict[Key, SchemaObject] = {}
    unsupported: list[str] = []
    for key, row in _all(rows):
        reason = row["reason"] or _outside(row.get("body", ""))
        if reason:
            unsupported.append(f"{row['kind']} {row['name']}: not made: {reason}")
        else:
            found[key] = SchemaObject(
                kind=row["kind"],
                name=row["name"],
                definition=row["definition"],
                filled=row.get("filled", False),
                last=row.get("last"),
            )
    order = _ordered([*((_TYPE, oid) for oid in enums), *found, *_keys(tables)], rows("needs"))
    early, orders = _early(order, found, tables)
    late = [found[key] for key in order.keys if key in found and key not in early]
    first = [
        SchemaObject(
            kind="schema",
            name=quoted(row["name"]),
            definition=f"CREATE SCHEMA IF NOT EXISTS {quoted(row['name'])}",
        )
        for row in rows("schemas")
        if row["name"] != "public"
    ]
    settings = [_attached(row, row["table"], late=False) for row in rows("settings_of_columns")]
    # Statistics of tables stand before the rows, so that one ANALYZE fills them all.
    attached = [
        _attached(
            row,
            tables.get(row["on"], ""),
            late=row["kind"] != "statistics" or row["on"] not in tables,
        )
        for row in rows("attached")
    ]
    unsupported += [f"{row['name']}: not made: {row['reason']}" for row in rows("beyond")]
    made = (
        *first,
        *early.values(),
        *settings,
        *(_late(one) for one in late),
        *attached,
    )
    return Objects(
        objects=made,
        table_orders={oid: len(first) + place for oid, place in orders.items()},
        unsupported=tuple(unsupported),
    )


def _all(rows: Callable[[str], Sequence[Row]]) -> Iterator[tuple[Key, Row]]:
    for question, named in _BY_CLASS.items():
        for row in rows(question):
            yield (named, row["oid"]), row
    for row in rows("searching"):
        yield (row["class"], row["oid"]), row


def _outside(body: str) -> str:
    called = _OUTSIDE.search(body)
    if called is None:
        return ""
    return f"its body reaches outside the database ({' '.join((called[1] or called[2]).split())})"


def _keys(tables: Mapping[int, str]) -> Iterator[Key]:
    return ((_TABLE, oid) for oid in tables)


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    keys: Sequence[Key]
    needs: Mapping[Key, set[Key]]


def _ordered(keys: Sequence[Key], edges: Iterable[Row]) -> _Order:
    """Keys after what they need; where functions and tables need one another, as they come."""
    known = dict.fromkeys(keys)
    needs: dict[Key, set[Key]] = defaultdict(set)
    for edge in edges:
        one, other = (edge["class"], edge["oid"]), (edge["needed_class"], edge["needed"])
        if one in known and other in known and one != other:
            needs[one].add(other)
    while True:
        sorter = TopologicalSorter({key: sorted(needs[key]) for key in keys})
        try:
            return _Order(tuple(sorter.static_order()), needs)
        except CycleError as error:
            needed, needing = error.args[1][:2]  # each is needed by the one behind it
            needs[needing].discard(needed)


def _early(
    order: _Order, found: Mapping[Key, SchemaObject], tables: Mapping[int, str]
) -> tuple[dict[Key, SchemaObject], dict[int, int]]:
    """What is made before the rows, and the place of each table among it."""
    wanted = set(_keys(tables))
    for key in reversed(order.keys):  # what needs comes behind what is needed
        if key in wanted:
            wanted |= order.needs[key]
    held: set[Key] = set()  # views, and what needs them
    for key in order.keys:
        is_view = key in found and "view" in found[key].kind
        if key not in wanted and (is_view or order.needs[key] & held):
            held.add(key)
    early: dict[Key, SchemaObject] = {}
    orders: dict[int, int] = {}
    for key in order.keys:
        if key in found and key not in held:
            early[key] = found[key]
        elif key[0] == _TABLE and key[1] in tables:
            orders[key[1]] = len(early)
    return early, orders


def _late(made: SchemaObject) -> SchemaObject:
    return SchemaObject(
        kind=made.kind,
        name=made.name,
        definition=made.definition,
        filled=made.filled,
        last=made.last,
        late=True,
    )


def _attached(row: Row, table: str, *, late: bool) -> SchemaObject:
    return SchemaObject(
        kind=row["kind"],
        name=row["name"],
        definition=row["definition"],
        table=table,
        late=late,
    )
