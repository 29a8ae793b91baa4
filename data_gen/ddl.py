"""A SchemaProfile as DDL: what stands before the rows are loaded, and what comes after them.

Indexes are made exactly as production has them, in production's order: the planner breaks ties
between plans of equal cost by the OIDs of their indexes. What is missing there is missing here.
Partitions are tables of their own, attached before they are filled; what a parent hands down to
them (checks, keys to other tables) is made once, on the parent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_gen.names import dotted, literal, quoted, split
from data_gen.profile import ColumnProfile, SchemaObject, SchemaProfile, TableProfile

_SMALL_SEQUENCES = {"int2": "smallint", "int4": "integer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement (or several that belong together) and what it is about."""

    name: str
    sql: str
    table: TableProfile | None = None  # the table that it creates
    on_rows: bool = False  # it means nothing without rows


def schema_sql(profile: SchemaProfile) -> str:
    """The whole schema as one readable script; what cannot be rebuilt stands as comments."""
    lines = ["-- schema: as production has it, rebuilt from the catalog"]
    lines += [f"-- not rebuilt: {' '.join(reason.split())}" for reason in profile.unsupported]
    lines += [f"{statement};" for statement in before_load(profile)]
    lines += ["", "-- after the rows are loaded"]
    lines += [f"{statement};" for statement in after_load(profile)]
    return "\n".join(lines) + "\n"


def before_load(profile: SchemaProfile) -> tuple[str, ...]:
    """The statements of `early`."""
    return tuple(step.sql for step in early(profile))


def after_load(profile: SchemaProfile) -> tuple[str, ...]:
    """The statements of `late`, indexes of tables that hold rows before them."""
    loaded = [table for table in profile.tables if not table.partition_key]
    return (
        *(statement for table in loaded for statement in indexes(table)),
        *(step.sql for step in late(profile)),
    )


def early(profile: SchemaProfile) -> Iterator[Step]:
    """Schemas, extensions, types, sequences, functions and bare tables, in the order to run them."""
    yield from _frame(profile)
    tables = sorted(profile.tables, key=lambda table: table.order)
    at = 0
    objects = [one for one in profile.objects if not one.late]
    for place, made in enumerate(one for one in objects if not one.table):
        while at < len(tables) and tables[at].order <= place:
            yield _table_step(tables[at])
            at += 1
        yield Step(name=f"{made.kind} {made.name}", sql=made.definition)
    yield from _derived_sequences(profile)
    yield from map(_table_step, tables[at:])
    for table in profile.tables:
        for parent in () if _inherits(table) else table.parents:
            yield Step(name=table.qualified, sql=_child_of(table, dotted(*split(parent))))
        for column in table.columns:
            if column.sequence is not None and not column.identity and not table.bound:
                owned = f"OWNED BY {place_of(table)}.{quoted(column.name)}"
                sql = f"ALTER SEQUENCE {dotted(*split(column.sequence))} {owned}"
                yield Step(name=table.qualified, sql=sql)
    for made in objects:
        if made.table:
            yield Step(name=made.name, sql=made.definition)


def late(profile: SchemaProfile) -> Iterator[Step]:
    """What comes once rows and their indexes are in, up to triggers, in the order to run it."""
    partitioned = [table for table in profile.tables if table.partition_key]
    for table in sorted(partitioned, key=lambda one: -_depth(one, profile)):
        yield from (Step(name=table.qualified, sql=sql) for sql in indexes(table))
    for statements in (checks, foreign_keys):
        for table in profile.tables:
            yield from (Step(name=table.qualified, sql=sql) for sql in statements(table))
    for table in profile.tables:
        for sql in sequence_positions(table):
            yield Step(name=table.qualified, sql=sql, on_rows=True)
    for made in profile.objects:
        if made.last is not None:
            position = f"SELECT setval({literal(made.name)}, {int(made.last)})"
            yield Step(name=f"{made.kind} {made.name}", sql=position, on_rows=True)
    yield from _late_objects(profile.objects)


def _late_objects(objects: Sequence[SchemaObject]) -> Iterator[Step]:
    standing = [one for one in objects if one.late and one.kind not in _LAST]
    for made in standing:
        yield Step(name=f"{made.kind} {made.name}", sql=made.definition)
    for made in standing:
        if made.filled:
            name = f"{made.kind} {made.name}"
            yield Step(name=name, sql=f"REFRESH MATERIALIZED VIEW {made.name}", on_rows=True)
    for made in objects:
        if made.late and made.kind in _LAST:
            yield Step(name=f"{made.kind} {made.name}", sql=made.definition)


# Made when materialised views are filled: their indexes, and what would act on statements.
_LAST = frozenset({"index", "rule", "trigger", "policy", "row security"})


def undo(profile: SchemaProfile) -> Iterator[str]:
    """Takes away what `early` and `late` make; schemas, roles and extensions stay."""
    for table in profile.tables:
        yield f"DROP TABLE IF EXISTS {place_of(table)} CASCADE"
    for made in reversed(profile.objects):
        if not made.table and made.kind not in {*_LAST, "schema", "setting", "statistics"}:
            name = made.name.replace("()", "(*)") if made.kind == "aggregate" else made.name
            yield f"DROP {made.kind.upper()} IF EXISTS {name} CASCADE"
    for enum in profile.enums:
        yield f"DROP TYPE IF EXISTS {dotted(enum.schema, enum.name)} CASCADE"


def indexes(table: TableProfile) -> tuple[str, ...]:
    """Keys, exclusion constraints and plain indexes of one table, by production's OIDs.

    Those of a partitioned table find the ones of its partitions and take them in.
    """
    wanted = [
        (constraint.order, _add_constraint(table, constraint.name, constraint.definition))
        for constraint in table.constraints
        if constraint.kind in "pux"
    ]
    # An invalid index serves no plan; it is the remains of a failed CREATE INDEX CONCURRENTLY.
    wanted += [
        (index.order, index.definition.replace(" ON ONLY ", " ON ", 1))
        for index in table.indexes
        if index.valid
    ]
    return tuple(statement for _, statement in sorted(wanted, key=lambda pair: pair[0]))


def checks(table: TableProfile) -> tuple[str, ...]:
    """CHECK constraints of one table."""
    return tuple(
        _add_constraint(table, constraint.name, constraint.definition)
        for constraint in table.constraints
        if constraint.kind == "c" and not constraint.inherited
    )


def foreign_keys(table: TableProfile) -> tuple[str, ...]:
    """Foreign keys that stand on one table."""
    return tuple(
        _add_constraint(table, key.name, key.definition)
        for key in table.foreign_keys
        if not key.inherited
    )


def sequence_positions(table: TableProfile) -> tuple[str, ...]:
    """Each sequence of one table is set past the values that its column holds, never back."""
    return tuple(
        _position(table, column)
        for column in table.columns
        if column.sequence is not None and not table.bound
    )


def _position(table: TableProfile, column: ColumnProfile) -> str:
    assert column.sequence is not None
    name, down = dotted(*split(column.sequence)), column.increment < 0
    most, far = ("LEAST", "min") if down else ("GREATEST", "max")
    return (
        f"SELECT setval({literal(name)}, {most}((SELECT last_value FROM {name}), "  # noqa: S608 - quoted
        f"(SELECT {far}({quoted(column.name)}) + {column.increment} FROM {place_of(table)})), false)"
    )


def create_table(table: TableProfile) -> str:
    """The bare table: columns, storage, partition key."""
    own = [column for column in table.columns if not (_inherits(table) and column.inherited)]
    columns = ",\n".join(f"    {_column(column)}" for column in own)
    body = f"(\n{columns}\n)" if columns else "()"
    partitioned = f" PARTITION BY {table.partition_key}" if table.partition_key else ""
    if _inherits(table):
        partitioned = f" INHERITS ({', '.join(dotted(*split(name)) for name in table.parents)})"
    options = f" WITH ({', '.join(table.options)})" if table.options else ""
    unlogged = "UNLOGGED " if table.unlogged else ""
    return f"CREATE {unlogged}TABLE {place_of(table)} {body}{partitioned}{options}"


def _inherits(table: TableProfile) -> bool:
    """Whether columns come from a parent, rather than the parent to a table that has them."""
    return not table.bound and any(column.inherited for column in table.columns)


def place_of(table: TableProfile) -> str:
    """A table's name as it stands in SQL."""
    return dotted(table.schema, table.name)


def _frame(profile: SchemaProfile) -> Iterator[Step]:
    """Schemas, extensions, roles, enum types: they need nothing."""
    extensions = [split(name) for name in profile.extensions]
    schemas = {
        *(table.schema for table in profile.tables),
        *(enum.schema for enum in profile.enums),
        *(schema for schema, _ in extensions),
        *(split(name)[0] for name in _sequences(profile)),
    } - {"public", "pg_catalog"}
    for schema in sorted(schemas):
        yield Step(name=f"schema {schema}", sql=f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    for schema, name in extensions:
        sql = f"CREATE EXTENSION IF NOT EXISTS {quoted(name)} WITH SCHEMA {quoted(schema)}"
        yield Step(name=f"extension {name}", sql=sql)
    for role in profile.roles:
        yield Step(name=f"role {role}", sql=_role(role))
    for enum in profile.enums:
        name, labels = dotted(enum.schema, enum.name), ", ".join(map(literal, enum.labels))
        yield Step(name=f"type {name}", sql=f"CREATE TYPE {name} AS ENUM ({labels})")


def _role(name: str) -> str:
    exists = f"SELECT FROM pg_roles WHERE rolname = {literal(name)}"
    return (
        f"DO $do$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE {quoted(name)}; END IF; END $do$"
    )


def _sequences(profile: SchemaProfile) -> dict[str, ColumnProfile]:
    """Sequences that columns name and no object makes, each with the first column that does."""
    made = {one.name for one in profile.objects if one.kind == "sequence"}
    found: dict[str, ColumnProfile] = {}
    for table in profile.tables:
        for column in table.columns:
            if column.sequence is not None and not column.identity:
                found.setdefault(column.sequence, column)
    return {name: column for name, column in found.items() if dotted(*split(name)) not in made}


def _derived_sequences(profile: SchemaProfile) -> Iterator[Step]:
    for name, column in _sequences(profile).items():
        small = _SMALL_SEQUENCES.get(column.base_type)
        sql = f"CREATE SEQUENCE {dotted(*split(name))}{f' AS {small}' if small else ''}"
        yield Step(name=f"sequence {name}", sql=sql)


def _table_step(table: TableProfile) -> Step:
    return Step(name=table.qualified, sql=create_table(table), table=table)


def _child_of(table: TableProfile, parent: str) -> str:
    if table.bound:
        return f"ALTER TABLE ONLY {parent} ATTACH PARTITION {place_of(table)} {table.bound}"
    return f"ALTER TABLE {place_of(table)} INHERIT {parent}"


def _depth(table: TableProfile, profile: SchemaProfile) -> int:
    above = profile.table(table.parents[0]) if table.parents else None
    return 0 if above is None else 1 + _depth(above, profile)


def _column(column: ColumnProfile) -> str:
    words = [quoted(column.name), column.declared or column.type]
    if column.collation:
        words.append(f"COLLATE {column.collation}")
    if column.identity:
        when = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
        sequence = f"SEQUENCE NAME {dotted(*split(column.sequence))}" if column.sequence else ""
        options = f"{sequence} {column.sequence_options}".strip()
        words.append(f"GENERATED {when} AS IDENTITY{f' ({options})' if options else ''}")
    elif column.generated:
        kind = "STORED" if column.generated == "s" else "VIRTUAL"
        words.append(f"GENERATED ALWAYS AS ({column.default}) {kind}")
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if column.not_null and not column.domain_not_null:
        words.append("NOT NULL")
    return " ".join(words)


def _add_constraint(table: TableProfile, name: str, definition: str) -> str:
    return f"ALTER TABLE {place_of(table)} ADD CONSTRAINT {quoted(name)} {definition}"
