"""What a database will weigh before it is made, and whether the target's disk has room for it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from data_gen.bounds import loaded
from data_gen.errors import DataGenError
from data_gen.profile import SchemaProfile, TableProfile
from data_gen.sizes import row_counts

_PAGE = 8192
_ROW = 28  # bytes of a row's header and line pointer
_SPARE = 1.1  # sorting runs of index builds, and WAL that is not recycled yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One table as it will be."""

    name: str
    rows: int
    bytes: int  # with TOAST
    index_bytes: int


def expected(
    profile: SchemaProfile, scale: float, only: Sequence[str] = ()
) -> tuple[Expected, ...]:
    """Every table that gets rows, the largest first."""
    counts = row_counts(profile, scale)
    chosen = frozenset(only or counts)
    tables = (t for t in loaded(profile) if t.qualified in chosen)
    found = [_expected(table, counts) for table in tables]
    return tuple(sorted(found, key=lambda one: (-one.bytes - one.index_bytes, one.name)))


def total_bytes(tables: Sequence[Expected]) -> int:
    """What all of them take, and what making them takes besides."""
    return round(sum(one.bytes + one.index_bytes for one in tables) * _SPARE)


def require_space(connection: psycopg.Connection[Any], needed: int) -> int | None:
    """Bytes free on the target's disk; None where nobody can know from here.

    Raises DataGenError where they are too few. They can be known of a server on this machine, by a
    user who may read data_directory.
    """
    free = _free(connection)
    if free is not None and free < needed:
        raise DataGenError(
            f"the tables need about {needed / 2**20:,.0f} MiB and the target's disk has "
            f"{free / 2**20:,.0f} MiB free; make room, or a smaller --scale"
        )
    return free


def _free(connection: psycopg.Connection[Any]) -> int | None:
    local = connection.info.host.startswith("/") or connection.info.host in _LOOPBACK
    try:
        row = connection.execute("SELECT current_setting('data_directory', true)").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    if not local or row is None or not row[0] or not os.access(Path(row[0]).parent, os.R_OK):
        return None
    try:
        return shutil.disk_usage(row[0]).free
    except OSError:
        return None


_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


def _expected(table: TableProfile, counts: Mapping[str, int]) -> Expected:
    rows = counts[table.qualified]
    share = rows / table.rows if table.rows else 0.0
    width = sum(column.average_width for column in table.columns) + _ROW
    pages = (table.pages + table.toast_pages) * share
    indexes = sum(one.bytes for one in table.constraints)
    indexes += sum(one.bytes for one in table.indexes)
    return Expected(
        name=table.qualified,
        rows=rows,
        bytes=round(pages * _PAGE) or rows * width,
        index_bytes=round(indexes * share),
    )
