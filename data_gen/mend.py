"""Rows that break a CHECK or a partial unique index, mended by what other rows have.

Which values satisfy any expression at all only the server can say. So the rows are in the table
first, and those that fail take the values of the expression's columns from rows that do not fail.
Keys are never touched; what no row satisfies is left as it is, and told when the constraint fails.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from data_gen.checks import columns_in, expression
from data_gen.ddl import place_of
from data_gen.names import quoted
from data_gen.profile import TableProfile
from data_gen.sizes import unique_keys

_DONORS = 10_000
_TURNS, _STEP = 3, 7  # a row that is wrong again asks another donor
_NTH = "replay_nth"  # a name that no column has
_UNCHECKED = (" NOT VALID", " NOT ENFORCED")
# As pg_get_constraintdef writes LIKE; a prefix with characters of its own is left to the search.
_BEGINS = re.compile(
    r"CHECK \(\(\(?(?P<name>\w+|\"[^\"]+\")\)?(::text)? ~~ '(?P<prefix>[^%_'\\]+)%'::text\)\)\Z"
)
_PREDICATE = re.compile(r" WHERE (?P<predicate>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which rows are wrong, which are right, and the columns that one may take from the other."""

    wrong: str  # a query of ctid
    right: str  # a condition
    columns: Sequence[str]


def mend(connection: psycopg.Connection[Any], table: TableProfile) -> int:
    """Mend a table's rows within the transaction that loaded them; gives how many were changed.

    A donor's values may be wrong beside a row's own key: such a row asks another one. A partitioned
    table has its rows in others.
    """
    mended = 0
    if table.partition_key:
        return mended
    for prefix in _prefixes(table):
        mended += max(connection.execute(prefix.encode()).rowcount, 0)
    for fault in _faults(table):
        for turn in range(_TURNS if fault.columns else 0):
            changed = max(_mended(connection, table, fault, turn).rowcount, 0)
            mended += changed
            if not changed:
                break
    return mended


def _prefixes(table: TableProfile) -> Iterator[str]:
    """Statements that let texts begin as a check wants it, where LIKE says how."""
    place, keys = place_of(table), {name for key in table.foreign_keys for name in key.columns}
    for constraint in table.constraints:
        begun = _BEGINS.match(constraint.definition) if constraint.kind == "c" else None
        if begun is not None and constraint.columns[0] not in keys:
            name, prefix = begun["name"], begun["prefix"]
            yield (
                f"UPDATE ONLY {place} SET {name} = '{prefix}' || substr({name}, length('{prefix}') + 1)"  # noqa: S608
                f" WHERE NOT {name} LIKE '{prefix}%'"
            )


def _mended(
    connection: psycopg.Connection[Any], table: TableProfile, fault: Fault, turn: int
) -> psycopg.Cursor[Any]:
    names = ", ".join(map(quoted, fault.columns))
    sets = ", ".join(f"{quoted(name)} = donor.{quoted(name)}" for name in fault.columns)
    place = place_of(table)
    return connection.execute(  # names are quoted, expressions are the schema's own
        f"WITH wrong AS MATERIALIZED (SELECT ctid, row_number() OVER () - 1 AS {_NTH}"  # noqa: S608
        f" FROM ({fault.wrong}) AS w),"
        f" donor AS MATERIALIZED (SELECT {names}, row_number() OVER () - 1 AS {_NTH}"
        f" FROM (SELECT {names} FROM ONLY {place} WHERE {fault.right}"
        f" LIMIT {_DONORS}) AS d)"
        f" UPDATE ONLY {place} AS t SET {sets} FROM wrong JOIN donor"
        f" ON donor.{_NTH} = (wrong.{_NTH} + {turn * _STEP}) % nullif((SELECT count(*) FROM donor), 0)"
        f" WHERE t.ctid = wrong.ctid".encode()
    )


def _faults(table: TableProfile) -> Iterator[Fault]:
    keys = {name for key in unique_keys(table) for name in key}
    keys |= {name for key in table.foreign_keys if len(key.columns) > 1 for name in key.columns}
    keys |= {column.name for column in table.columns if column.generated or column.identity}
    place = place_of(table)
    for checks in _together(table, keys):
        columns = dict.fromkeys(name for _, names in checks for name in names)
        holds = "TRUE" if len(checks) == 1 else "NOT FALSE"
        wrong = " OR ".join(f"NOT {check}" for check, _ in checks)
        yield Fault(
            wrong=f"SELECT ctid FROM ONLY {place} WHERE {wrong}",  # noqa: S608
            right=" AND ".join(f"{check} IS {holds}" for check, _ in checks),
            columns=tuple(columns),
        )
    for index in table.indexes:
        partial = _PREDICATE.search(index.definition)
        if index.unique and index.valid and partial is not None and "" not in index.columns:
            names = ", ".join(map(quoted, index.columns))
            here = [c for c in columns_in(partial["predicate"], table) if c not in keys]
            where = partial["predicate"]
            twice = (
                f"SELECT ctid, row_number() OVER (PARTITION BY {names}) AS turn"  # noqa: S608
                f" FROM ONLY {place} WHERE {where} AND ({names}) IS NOT NULL"
            )
            yield Fault(
                wrong=f"SELECT ctid FROM ({twice}) AS k WHERE turn > 1",  # noqa: S608
                right=f"({where}) IS NOT TRUE",
                columns=[name for name in here if name not in index.columns],
            )


def _together(table: TableProfile, keys: Collection[str]) -> list[list[tuple[str, Sequence[str]]]]:
    """Checks with the columns of theirs that may change; those that share one are mended at once.

    One after the other, a row would break the first again while it is mended for the second.
    """
    groups: list[list[tuple[str, Sequence[str]]]] = []
    for constraint in table.constraints:
        if constraint.kind != "c" or constraint.definition.endswith(_UNCHECKED):
            continue
        check = expression(constraint.definition)
        names = tuple(name for name in columns_in(check, table) if name not in keys)
        near = [group for group in groups if any(set(names).intersection(n) for _, n in group)]
        groups = [group for group in groups if group not in near]
        groups.append([one for group in near for one in group] + [(check, names)])
    return groups
