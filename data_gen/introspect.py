"""Catalog and pg_stats to a SchemaProfile: the one reader of production's schema.

What cannot be rebuilt goes to `unsupported` with its reason; a table keeps what remains of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import psycopg

from data_gen.profile import (
    ColumnProfile,
    Constraint,
    EnumType,
    ForeignKey,
    IndexProfile,
    SchemaProfile,
    TableProfile,
)
from data_gen.questions import Row, answer, named
from data_gen.values import GENERATORS

_LEFT_OUT = {
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


def introspect(connection: psycopg.Connection[Any]) -> SchemaProfile:
    """The profile of all user tables, raw: values in it are production's until they are scrubbed.

    Runs inside the caller's read-only transaction, and leaves settings of that transaction changed
    (search_path and the forms of dates). Needs SELECT on the tables, for pg_stats to show them.
    """
    asked = questions()
    return profile_of(lambda name: answer(connection, asked[name]))


def profile_of(rows: Callable[[str], Sequence[Row]]) -> SchemaProfile:
    """The profile, raw, from the answers to `questions`, wherever they were asked."""
    return _Reading(rows).profile()


def questions() -> Mapping[str, str]:
    """What is asked of a catalog, SQL by name, in order: session comes first, for it sets forms."""
    found = dict(named(files("data_gen").joinpath("introspect.sql").read_text(encoding="utf-8")))
    rebuilt = found.pop("rebuilt")
    return {name: text.replace("{rebuilt}", rebuilt) for name, text in found.items()}


class _Reading:
    """One reading of a catalog, and what it could not use."""

    def __init__(self, rows: Callable[[str], Sequence[Row]]) -> None:
        self.rows = rows
        self.unsupported: list[str] = []

    def profile(self) -> SchemaProfile:
        """All of it."""
        (session,) = self.rows("session")
        tables = {row["oid"]: row for row in self.rows("tables") if self.can_rebuild(row)}
        columns, constraints = self.grouped("columns"), self.grouped("constraints")
        indexes = self.grouped("indexes")
        profiles = tuple(
            self.table(row, columns[oid], constraints[oid], indexes[oid], tables)
            for oid, row in tables.items()
        )
        enums = tuple(
            EnumType(schema=row["schema"], name=row["name"], labels=tuple(row["labels"]))
            for row in self.rows("enums")
        )
        self.unsupported += [row["reason"] for row in self.rows("others")]
        return SchemaProfile(
            server_version=session["server_version"],
            tables=profiles,
            enums=enums,
            extensions=tuple(row["name"] for row in self.rows("extensions")),
            search_path=tuple(session["search_path"]),
            unsupported=tuple(self.unsupported),
            taken_at_us=session["taken_at_us"],
        )

    def grouped(self, question: str) -> Mapping[int, list[Row]]:
        """The rows of an answer by their table."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows(question):
            found[row["oid"]].append(row)
        return found

    def can_rebuild(self, row: Row) -> bool:
        """Whether a relation is a plain table; says so where it is none."""
        name = f"{row['schema']}.{row['name']}"
        kind = _LEFT_OUT.get(row["kind"])
        if row["is_partition"]:
            self.unsupported.append(f"{name}: a partition, and partitions are not rebuilt")
        elif kind is not None:
            self.unsupported.append(f"{name}: a {kind} is not rebuilt")
        elif row["inherits"]:
            self.unsupported.append(f"{name}: takes part in inheritance, which is not rebuilt")
        else:
            self.unsupported += [
                f"{name}: has {what.replace('_', ' ')}, not rebuilt"
                for what in ("triggers", "rules", "row_security")
                if row[what]
            ]
            return True
        return False

    def table(
        self,
        row: Row,
        columns: Sequence[Row],
        constraints: Sequence[Row],
        indexes: Sequence[Row],
        tables: Mapping[int, Row],
    ) -> TableProfile:
        """One table with all that belongs to it."""
        name = f"{row['schema']}.{row['name']}"
        order = _places((*constraints, *indexes))
        if all(column["n_distinct"] is None for column in columns) and row["live_rows"]:
            self.unsupported.append(
                f"{name}: no statistics, so its values are even; ANALYZE it, and capture as a user "
                "who may read it"
            )
        return TableProfile(
            schema=row["schema"],
            name=row["name"],
            rows=round(row["reltuples"]) if row["reltuples"] > 0 else row["live_rows"],
            pages=row["pages"],
            dead_rows=row["dead_rows"],
            columns=tuple(self.column(name, column) for column in columns),
            constraints=tuple(self.constraints(name, constraints, order)),
            foreign_keys=tuple(self.foreign_keys(name, constraints, tables)),
            indexes=tuple(self.indexes(name, indexes, order)),
            options=tuple(row["options"]),
        )

    def column(self, table: str, row: Row) -> ColumnProfile:
        """One column; of a type that nobody makes, it may be empty."""
        name = f"{table}.{row['name']}"
        makes = bool(row["enum_labels"]) or row["base_type"] in GENERATORS
        default, generated = row["default"], row["generated"]
        if row["default_calls_user_code"]:
            self.unsupported.append(f"{name}: its default calls a function, which is not rebuilt")
            default, generated = None, ""
        if row["is_domain"]:
            self.unsupported.append(f"{name}: its domain's checks are not rebuilt")
        if row["is_collated"]:
            self.unsupported.append(f"{name}: its collation is not rebuilt")
        if not makes and not generated:
            self.unsupported.append(f"{name}: type {row['type']} is not made; the column is empty")
        return ColumnProfile(
            name=row["name"],
            type=row["type"],
            base_type=row["base_type"],
            not_null=row["not_null"] and (makes or default is not None),
            default=default,
            identity=row["identity"],
            generated=generated,
            sequence=row["owned_sequence"] or (row["default_sequence"] if default else None),
            enum_labels=tuple(row["enum_labels"] or ()),
            **_statistics(row),
        )

    def constraints(
        self, table: str, rows: Sequence[Row], order: Mapping[int, int]
    ) -> Iterator[Constraint]:
        """Keys and checks."""
        for row in rows:
            if row["kind"] == "x":
                self.unsupported.append(
                    f"{table}: exclusion constraint {row['name']} is not rebuilt: "
                    "made rows would break it"
                )
            elif row["calls_user_code"] and row["kind"] == "c":
                self.unsupported.append(
                    f"{table}: constraint {row['name']} calls a function, which is not rebuilt"
                )
            elif row["kind"] != "f":
                yield Constraint(
                    name=row["name"],
                    kind=row["kind"],
                    columns=tuple(row["columns"]),
                    definition=row["definition"],
                    order=order.get(row["order"], 0),
                )

    def foreign_keys(
        self, table: str, rows: Sequence[Row], tables: Mapping[int, Row]
    ) -> Iterator[ForeignKey]:
        """Foreign keys between tables that are rebuilt."""
        for row in rows:
            if row["kind"] != "f":
                continue
            parent = tables.get(row["parent"])
            if parent is None:
                self.unsupported.append(
                    f"{table}: foreign key {row['name']} leads to a table that is not rebuilt"
                )
                continue
            yield ForeignKey(
                name=row["name"],
                columns=tuple(row["columns"]),
                parent=f"{parent['schema']}.{parent['name']}",
                parent_columns=tuple(row["parent_columns"]),
                definition=row["definition"],
            )

    def indexes(
        self, table: str, rows: Sequence[Row], order: Mapping[int, int]
    ) -> Iterator[IndexProfile]:
        """Indexes of no constraint, in the order of their OIDs."""
        for row in rows:
            if row["calls_user_code"]:
                self.unsupported.append(
                    f"{table}: index {row['name']} calls a function, which is not rebuilt"
                )
                continue
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
