"""Which tables get rows, where not all are wanted: those, and all that their keys lead to."""

from collections.abc import Sequence

from data_gen.bounds import leaves
from data_gen.errors import DataGenError
from data_gen.profile import SchemaProfile, TableProfile


def selected(profile: SchemaProfile, names: Sequence[str], small: int | None) -> tuple[str, ...]:
    """Qualified names of the tables to fill; () for all.

    `names` as people write them, with or without a schema; `small` takes in every table of at most
    so many rows. Raises DataGenError for a name that no table has.
    """
    if not names and small is None:
        return ()
    found: dict[str, None] = {}
    for name in names:
        table = profile.table(name)
        if table is None:
            raise DataGenError(
                f"--table {name}: the workload has no such table; it has "
                f"{', '.join(table.qualified for table in profile.tables[:8])} …"
            )
        _add(profile, table, found)
    for table in profile.tables if small is not None else ():
        if table.rows <= (small or 0) and not table.bound:
            _add(profile, table, found)
    return tuple(sorted(found))


def _add(profile: SchemaProfile, table: TableProfile, found: dict[str, None]) -> None:
    if table.qualified in found:
        return
    found[table.qualified] = None
    keys = list(table.foreign_keys)
    for leaf in leaves(profile, table):
        found[leaf.qualified] = None
        keys += leaf.foreign_keys
    for above in table.parents if table.bound else ():
        found[above] = None
    for key in keys:
        parent = profile.table(key.parent)
        if parent is not None:
            _add(profile, parent, found)
