"""Catalog and pg_stats to a SchemaProfile: the one reader of production's schema.

What cannot be rebuilt goes to `unsupported` with its reason; a table keeps what remains of it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import psycopg

from data_gen.fans import fan_outs
from data_gen.joint import joints
from data_gen.objects import objects_of
from data_gen.profile import (
    ColumnProfile,
    Constraint,
    EnumType,
    FanOut,
    ForeignKey,
    IndexProfile,
    SchemaProfile,
    TableProfile,
)
from data_gen.questions import Row, answer, answer_in_turn, named
from data_gen.stacked import with_statistics
from data_gen.values import generator_of

IN_TURN = frozenset({"joint", "fans"})  # questions whose answers are statements to ask


def introspect(connection: psycopg.Connection[Any]) -> SchemaProfile:
    """The profile of all user tables, raw: values in it are production's until they are scrubbed.

    Runs inside the caller's read-only transaction, and leaves settings of that transaction changed
    (search_path and the forms of dates). Needs SELECT on the tables, for pg_stats to show them.
    """
    asked = questions()
    return profile_of(
        lambda name: (answer_in_turn if name in IN_TURN else answer)(connection, asked[name])
    )


def profile_of(rows: Callable[[str], Sequence[Row]]) -> SchemaProfile:
    """The profile, raw, from the answers to `questions`, wherever they were asked."""
    return _Reading(rows).profile()


def questions() -> Mapping[str, str]:
    """What is asked of a catalog, SQL by name, in order: session comes first, for it sets forms."""
    sources = ("introspect.sql", "objects.sql", "joint.sql", "fans.sql")
    texts = (files("data_gen").joinpath(name).read_text(encoding="utf-8") for name in sources)
    found = {name: text for source in texts for name, text in named(source).items()}
    parts = {f"{{{name}}}": found.pop(name) for name in ("rebuilt", "own")}
    for part, text in parts.items():
        found = {name: query.replace(part, text) for name, query in found.items()}
    return found


class _Reading:
    """One reading of a catalog, and what it could not use."""

    def __init__(self, rows: Callable[[str], Sequence[Row]]) -> None:
        self.rows = rows
        self.unsupported: list[str] = []

    def profile(self) -> SchemaProfile:
        """All of it."""
        (session,) = self.rows("session")
        tables = {row["oid"]: row for row in self.rows("tables")}
        names = {oid: f"{row['schema']}.{row['name']}" for oid, row in tables.items()}
        enums = self.rows("enums")
        made = objects_of(self.rows, names, [row["oid"] for row in enums])
        columns, constraints = self.grouped("columns"), self.grouped("constraints")
        indexes = self.grouped("indexes")
        self.joints = joints(self.rows("joint"))
        self.fans = fan_outs(self.rows("fans"))
        profiles = tuple(
            replace(
                self.table(row, columns[oid], constraints[oid], indexes[oid], names),
                order=made.table_orders[oid],
            )
            for oid, row in tables.items()
        )
        self.unsupported += made.unsupported
        return SchemaProfile(
            server_version=session["server_version"],
            tables=with_statistics(profiles),
            enums=tuple(
                EnumType(schema=row["schema"], name=row["name"], labels=tuple(row["labels"]))
                for row in enums
            ),
            objects=made.objects,
            roles=tuple(row["name"] for row in self.rows("roles")),
            extensions=tuple(row["name"] for row in self.rows("extensions")),
            search_path=tuple(session["search_path"]),
            locale=_locale(session["collation"]),
            unsupported=tuple(self.unsupported),
            taken_at_us=session["taken_at_us"],
        )

    def grouped(self, question: str) -> Mapping[int, list[Row]]:
        """The rows of an answer by their table."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows(question):
            found[row["oid"]].append(row)
        return found

    def table(
        self,
        row: Row,
        columns: Sequence[Row],
        constraints: Sequence[Row],
        indexes: Sequence[Row],
        names: Mapping[int, str],
    ) -> TableProfile:
        """One table with all that belongs to it."""
        name = f"{row['schema']}.{row['name']}"
        order = _places((*constraints, *indexes))
        partitioned = row["kind"] == "p"
        if row["kind"] == "f":
            self.unsupported.append(f"{name}: a foreign table, made as an ordinary one")
        if all(column["n_distinct"] is None for column in columns) and row["live_rows"]:
            self.unsupported.append(
                f"{name}: no statistics, so its values are even; ANALYZE it, and capture as a user "
                "who may read it"
            )
        rows = round(row["reltuples"]) if row["reltuples"] > 0 else row["live_rows"]
        return TableProfile(
            schema=row["schema"],
            name=row["name"],
            rows=0 if partitioned else rows,
            pages=0 if partitioned else row["pages"],
            dead_rows=row["dead_rows"],
            columns=tuple(self.column(name, column, bool(row["bound"])) for column in columns),
            constraints=tuple(_constraints(constraints, order)),
            foreign_keys=tuple(_foreign_keys(constraints, names, self.fans)),
            indexes=tuple(self.indexes(name, indexes, order)),
            options=tuple(row["options"]),
            unlogged=row["unlogged"],
            parents=tuple(names[oid] for oid in row["parents"] or () if oid in names),
            bound=row["bound"],
            partition_key=row["partition_key"],
            partition_columns=tuple(row["partition_columns"]),
            toast_pages=row["toast_pages"],
            visible_pages=row["visible_pages"],
            joint=self.joints.get(row["oid"]),
        )

    def column(self, table: str, row: Row, in_partition: bool) -> ColumnProfile:
        """One column; of a type that nobody makes, it may be empty."""
        name = f"{table}.{row['name']}"
        default = row["default"]
        column = ColumnProfile(
            name=row["name"],
            type=row["type"],
            base_type=row["base_type"],
            not_null=row["not_null"],
            default=default,
            # An identity comes to a partition with its parent's.
            identity="" if in_partition else row["identity"],
            generated=row["generated"],
            sequence=None
            if in_partition and row["identity"]
            else row["owned_sequence"] or (row["default_sequence"] if default else None),
            enum_labels=tuple(row["enum_labels"] or ()),
            declared=row["declared"],
            type_kind=row["type_kind"],
            element=row["element"] or "",
            element_kind=row["element_kind"] or "",
            fields=tuple((base, full) for base, full in row["fields"] or ()),
            collation=row["collation"],
            sequence_options=row["sequence_options"] or "",
            increment=row["increment"] or 1,
            domain_not_null=row["domain_not_null"],
            inherited=row["inherited"] and not in_partition,
            domain_checks=tuple(row["domain_checks"] or ()),
            **_statistics(row),
        )
        makes = generator_of(column) is not None
        if not makes and not column.generated:
            self.unsupported.append(
                f"{name}: values of type {row['type']} are not made; the column is empty"
            )
        return replace(column, not_null=column.not_null and (makes or default is not None))

    def indexes(
        self, table: str, rows: Sequence[Row], order: Mapping[int, int]
    ) -> Iterator[IndexProfile]:
        """Indexes of no constraint, in the order of their OIDs."""
        for row in rows:
            if not row["valid"]:
                self.unsupported.append(f"{table}: index {row['name']} is invalid, left out")
            yield IndexProfile(
                name=row["name"],
                definition=row["definition"],
                columns=tuple(row["columns"]),
                unique=row["is_unique"],
                valid=row["valid"],
                bytes=row["bytes"],
                order=order[row["order"]],
            )


def _constraints(rows: Sequence[Row], order: Mapping[int, int]) -> Iterator[Constraint]:
    """Keys, checks and exclusions."""
    for row in rows:
        if row["kind"] != "f":
            yield Constraint(
                name=row["name"],
                kind=row["kind"],
                columns=tuple(row["columns"]),
                definition=row["definition"],
                order=order.get(row["order"], 0),
                bytes=row["bytes"],
                inherited=row["inherited"],
            )


def _foreign_keys(
    rows: Sequence[Row], names: Mapping[int, str], fans: Mapping[tuple[int, str], FanOut]
) -> Iterator[ForeignKey]:
    for row in rows:
        if row["kind"] == "f" and row["parent"] in names:
            yield ForeignKey(
                name=row["name"],
                columns=tuple(row["columns"]),
                parent=names[row["parent"]],
                parent_columns=tuple(row["parent_columns"]),
                definition=row["definition"],
                inherited=row["inherited"],
                fan_out=fans.get((row["oid"], row["name"])),
            )


def _locale(collation: str) -> str:
    """The language and country that a collation is named after: de_DE of de_DE.UTF-8."""
    found = re.match(r"[a-z]{2,3}[_-][A-Z]{2}", collation)
    return found[0].replace("-", "_") if found is not None else "en_US"


def _statistics(row: Row) -> dict[str, Any]:
    """What pg_stats knows of a column; nothing where it was never analysed."""
    if row["n_distinct"] is None:
        return {}
    return {
        "null_fraction": float(row["null_frac"]),  # JSON has 0 for 0.0
        "average_width": row["avg_width"],
        "n_distinct": float(row["n_distinct"]),
        "common_values": tuple(row["common_values"] or ()),
        "common_fractions": tuple(map(float, row["common_fractions"] or ())),
        "histogram": tuple(row["histogram"] or ()),
        "correlation": None if row["correlation"] is None else float(row["correlation"]),
        "analyzed": True,
    }


def _places(rows: Sequence[Row]) -> Mapping[int, int]:
    """The place of each index among all of its table, by OID."""
    numbers = sorted(row["order"] for row in rows if row["order"] and row.get("kind") != "f")
    return {number: place for place, number in enumerate(numbers)}
