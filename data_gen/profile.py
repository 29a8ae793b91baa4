"""The shape of a schema's data, frozen: what leaves production instead of its rows.

Values in statistics (most common values, histogram bounds) are *scrubbed tokens* wherever the
profile has left production; values that stand in the schema itself (enum labels, CHECK lists,
defaults, predicates) are kept. Frequencies and counts are exact as pg_stats has them.
"""

from dataclasses import dataclass

from data_gen.names import dotted


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column: its type and the statistics that ANALYZE left (PostgreSQL manual, pg_stats)."""

    name: str
    type: str  # format_type: "bigint", "character varying(40)", "timestamp with time zone" …
    base_type: str  # typname of the base type, domains resolved: int8, varchar, timestamptz …
    not_null: bool
    default: str | None = None  # expression, as pg_get_expr gives it; None for none
    identity: str = ""  # "a" always, "d" by default, "" none
    generated: str = ""  # "s" stored, "v" virtual, "" none
    sequence: str | None = None  # qualified name of the owned sequence
    enum_labels: tuple[str, ...] = ()
    null_fraction: float = 0.0
    average_width: int = 4  # bytes
    n_distinct: float = -1.0  # pg_stats: negative is a share of the rows
    common_values: tuple[str, ...] = ()  # most common first
    common_fractions: tuple[float, ...] = ()
    histogram: tuple[str, ...] = ()  # equal-height bounds, in the column's order
    correlation: float | None = None
    analyzed: bool = False  # False: no row in pg_stats
    declared: str = ""  # as DDL writes it where that is another than `type`: a domain
    type_kind: str = "b"  # typtype of the base type: b, c composite, e enum, r range, m multirange
    element: str = ""  # typname of an array's element, or of a range's subtype
    element_kind: str = ""  # typtype of that
    fields: tuple[tuple[str, str], ...] = ()  # of a composite type: typname and type of each
    collation: str = ""  # as SQL, where it is not its type's
    sequence_options: str = ""  # of an identity column's sequence, as SQL; "" for the usual ones
    increment: int = 1  # of its sequence
    domain_not_null: bool = False  # it is its domain that forbids NULL
    inherited: bool = False  # it came with a parent's, and goes with it
    domain_checks: tuple[str, ...] = ()  # expressions over VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """How many children the parents by a foreign key have, in steps of about a hundredth."""

    sizes: tuple[tuple[int, int], ...]  # children, and how many parents have so many; 0 not told
    hot: tuple[tuple[str, int], ...] = ()  # keys of those with most, and their children


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key: columns of this table, and what they refer to."""

    name: str
    columns: tuple[str, ...]
    parent: str  # qualified name of the parent table
    parent_columns: tuple[str, ...]
    definition: str  # pg_get_constraintdef
    inherited: bool = False  # it comes with the parent's: no DDL of its own
    fan_out: FanOut | None = None  # of a key of one column; None: not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """Primary key, unique, check or exclusion, as DDL."""

    name: str
    kind: str  # p, u, c, x
    columns: tuple[str, ...]
    definition: str
    order: int = 0  # place of its index among all of the table's, by OID
    bytes: int = 0  # of that index
    inherited: bool = False  # a check that comes with the parent's: no DDL of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexProfile:
    """An index that belongs to no constraint, as DDL; tuple order in TableProfile is OID order."""

    name: str
    definition: str  # pg_get_indexdef
    columns: tuple[str, ...]  # plain columns; an expression is ""
    unique: bool
    valid: bool
    bytes: int
    order: int = 0  # place among all of the table's indexes, those of constraints included


@dataclass(frozen=True, slots=True, kw_only=True)
class JointColumn:
    """What a code in a Joint speaks of; see data_gen.codes."""

    kind: str  # own: a column; parent: a column of the row that `via` refers to; children
    name: str  # of the column; of the table that has the children, qualified
    via: str = ""  # name of the foreign key; "" for own


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """How columns of a table go together: a sample of its rows, each value as its code alone.

    A code is a value's place in its column's statistics, so nothing is told of a value that these do
    not tell. Codes of a row begin with its place in the table, in 32nds.
    """

    columns: tuple[JointColumn, ...]
    cells: tuple[tuple[int, ...], ...]  # place, then a code for each column; no cell twice
    counts: tuple[int, ...]  # sampled rows of each cell
    keys: tuple[
        tuple[str, tuple[int, ...]], ...
    ] = ()  # keys that are known by name, and their cell
    key_type: str = ""  # of the key's column
    keyed: str = ""  # what asks for the cells of more keys; never leaves production


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProfile:
    """One table: structure, size, column statistics."""

    schema: str
    name: str
    rows: int  # reltuples, or live tuples where never analysed
    pages: int  # relpages
    dead_rows: int
    columns: tuple[ColumnProfile, ...]
    constraints: tuple[Constraint, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[IndexProfile, ...] = ()
    options: tuple[str, ...] = ()  # storage parameters, "fillfactor=70"
    unlogged: bool = False
    parents: tuple[str, ...] = ()  # qualified: what it inherits from, or is a partition of
    bound: str = ""  # of a partition: "FOR VALUES …", or "DEFAULT"
    partition_key: str = ""  # of a partitioned table: "RANGE (placed_at)"
    partition_columns: tuple[str, ...] = ()  # that key's columns; an expression is ""
    toast_pages: int = 0  # of its TOAST table
    visible_pages: int = -1  # that vacuum found all visible; -1: not known
    order: int = 0  # how many of the schema's objects stand before it
    joint: Joint | None = None  # None: not asked for, or nothing to tell

    @property
    def qualified(self) -> str:
        """schema.name, unquoted: the key by which tables refer to one another."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> ColumnProfile | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumType:
    """An enum type and its labels in order."""

    schema: str
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaObject:
    """What is neither table nor enum, as the statement that makes it.

    SchemaProfile has them in the order to make them; those that a table needs stand before it.
    """

    kind: str  # schema, domain, type, function, view, trigger …
    name: str  # as SQL
    definition: str  # one statement, or several with "; " between
    table: str = ""  # qualified: the table that it stands on
    late: bool = False  # made once the rows are in
    filled: bool = False  # a materialised view that is to be refreshed
    last: str | None = None  # a value that a sequence of no column has given out


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaProfile:
    """All tables of a database that capture was let to see."""

    server_version: int  # server_version_num
    tables: tuple[TableProfile, ...]
    enums: tuple[EnumType, ...] = ()
    objects: tuple[SchemaObject, ...] = ()
    roles: tuple[str, ...] = ()  # that policies name
    extensions: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ("public",)
    locale: str = "en_US"  # of the database's texts, as far as its collation tells
    unsupported: tuple[str, ...] = ()  # what was seen and cannot be rebuilt, with the reason
    taken_at_us: int = 0  # epoch µs of the statistics, scrubbed like every timestamp

    def table(self, name: str) -> TableProfile | None:
        """The table of that name, qualified or found through the search path; None for none."""
        for candidate in (name, *(f"{schema}.{name}" for schema in self.search_path)):
            for table in self.tables:
                if table.qualified == candidate:
                    return table
        return None

    def view(self, schema: str | None, name: str) -> SchemaObject | None:
        """The view of that name, materialised or not, through the search path; None for none."""
        for place in (schema,) if schema else self.search_path:
            for made in self.objects:
                if made.name == dotted(place, name) and made.kind.endswith("view"):
                    return made
        return None
