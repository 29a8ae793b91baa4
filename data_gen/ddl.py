"""A SchemaProfile as DDL: what stands before the rows are loaded, and what comes after them.

Indexes are made exactly as production has them, in production's order: the planner breaks ties
between plans of equal cost by the OIDs of their indexes. What is missing there is missing here.
"""

from data_gen.names import dotted, literal, quoted
from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile

_SMALL_SEQUENCES = {"int2": "smallint", "int4": "integer"}


def schema_sql(profile: SchemaProfile) -> str:
    """The whole schema as one readable script; what cannot be rebuilt stands as comments."""
    lines = ["-- schema: as production has it, rebuilt from the catalog"]
    lines += [f"-- not rebuilt: {' '.join(reason.split())}" for reason in profile.unsupported]
    lines += [f"{statement};" for statement in before_load(profile)]
    lines += ["", "-- after the rows are loaded"]
    lines += [f"{statement};" for statement in after_load(profile)]
    return "\n".join(lines) + "\n"


def before_load(profile: SchemaProfile) -> tuple[str, ...]:
    """Extensions, schemas, enum types, sequences and bare tables, in the order to run them."""
    sequences = [
        (_split(column.sequence), table, column)
        for table in profile.tables
        for column in table.columns
        if column.sequence is not None and not column.identity
    ]
    extensions = [_split(name) for name in profile.extensions]
    schemas = {
        *(table.schema for table in profile.tables),
        *(enum.schema for enum in profile.enums),
        *(schema for schema, _ in extensions),
        *(name[0] for name, _, _ in sequences),
    } - {"public", "pg_catalog"}
    first_use = {name: (table, column) for name, table, column in reversed(sequences)}
    return (
        *(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}" for schema in sorted(schemas)),
        *(
            f"CREATE EXTENSION IF NOT EXISTS {quoted(name)} WITH SCHEMA {quoted(schema)}"
            for schema, name in extensions
        ),
        *(
            f"CREATE TYPE {dotted(enum.schema, enum.name)} AS ENUM "
            f"({', '.join(map(literal, enum.labels))})"
            for enum in profile.enums
        ),
        *(
            f"CREATE SEQUENCE {dotted(*name)}{_sequence_type(column)}"
            for name, (_, column) in reversed(first_use.items())
        ),
        *map(_create_table, profile.tables),
        *(
            f"ALTER SEQUENCE {dotted(*name)} OWNED BY {place(table)}.{quoted(column.name)}"
            for name, (table, column) in reversed(first_use.items())
        ),
    )


def after_load(profile: SchemaProfile) -> tuple[str, ...]:
    """Keys, indexes, checks, foreign keys and the sequences' positions, in the order to run them."""
    return (
        *(statement for table in profile.tables for statement in indexes(table)),
        *(statement for table in profile.tables for statement in checks(table)),
        *(statement for table in profile.tables for statement in foreign_keys(table)),
        *(statement for table in profile.tables for statement in sequence_positions(table)),
    )


def undo(profile: SchemaProfile) -> tuple[str, ...]:
    """Takes away what `before_load` and `after_load` make; schemas and extensions stay."""
    return (
        *(f"DROP TABLE IF EXISTS {place(table)} CASCADE" for table in profile.tables),
        *(
            f"DROP TYPE IF EXISTS {dotted(enum.schema, enum.name)} CASCADE"
            for enum in profile.enums
        ),
    )


def indexes(table: TableProfile) -> tuple[str, ...]:
    """Primary key, unique constraints and plain indexes of one table, by production's OIDs."""
    wanted = [
        (constraint.order, _add_constraint(table, constraint.name, constraint.definition))
        for constraint in table.constraints
        if constraint.kind in "pu"
    ]
    # An invalid index serves no plan; it is the remains of a failed CREATE INDEX CONCURRENTLY.
    wanted += [(index.order, index.definition) for index in table.indexes if index.valid]
    return tuple(statement for _, statement in sorted(wanted, key=lambda pair: pair[0]))


def checks(table: TableProfile) -> tuple[str, ...]:
    """CHECK constraints of one table."""
    return tuple(
        _add_constraint(table, constraint.name, constraint.definition)
        for constraint in table.constraints
        if constraint.kind == "c"
    )


def foreign_keys(table: TableProfile) -> tuple[str, ...]:
    """Foreign keys that stand on one table."""
    return tuple(_add_constraint(table, key.name, key.definition) for key in table.foreign_keys)


def sequence_positions(table: TableProfile) -> tuple[str, ...]:
    """Each sequence of one table is set past the largest value that its column holds."""
    return tuple(
        f"SELECT setval({literal(dotted(*_split(column.sequence)))}, (SELECT "  # noqa: S608 - quoted
        f"GREATEST(max({quoted(column.name)}), 0) + 1 FROM {place(table)}), false)"
        for column in table.columns
        if column.sequence is not None
    )


def _create_table(table: TableProfile) -> str:
    columns = ",\n".join(f"    {_column(column)}" for column in table.columns)
    body = f"(\n{columns}\n)" if columns else "()"
    options = f" WITH ({', '.join(table.options)})" if table.options else ""
    return f"CREATE TABLE {place(table)} {body}{options}"


def _column(column: ColumnProfile) -> str:
    words = [quoted(column.name), column.type]
    if column.identity:
        when = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
        named = (
            f" (SEQUENCE NAME {dotted(*_split(column.sequence))})"
            if column.sequence is not None
            else ""
        )
        words.append(f"GENERATED {when} AS IDENTITY{named}")
    elif column.generated:
        kind = "STORED" if column.generated == "s" else "VIRTUAL"
        words.append(f"GENERATED ALWAYS AS ({column.default}) {kind}")
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if column.not_null:
        words.append("NOT NULL")
    return " ".join(words)


def _add_constraint(table: TableProfile, name: str, definition: str) -> str:
    return f"ALTER TABLE {place(table)} ADD CONSTRAINT {quoted(name)} {definition}"


def place(table: TableProfile) -> str:
    """A table's name as it stands in SQL."""
    return dotted(table.schema, table.name)


def _split(qualified: str) -> tuple[str, str]:
    schema, _, name = qualified.partition(".")
    return schema, name


def _sequence_type(column: ColumnProfile) -> str:
    small = _SMALL_SEQUENCES.get(column.base_type)
    return f" AS {small}" if small else ""
