"""What of a database is made already, written down in it: so that work goes on where it broke off.

A table's entry is written in the transaction that fills it. The journal is gone when all is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from data_gen.profile import SchemaProfile

_LOCK = 0x7265706C  # an advisory lock: one at a time prepares or finishes
_BEGIN = """
    CREATE SCHEMA IF NOT EXISTS replay;
    CREATE TABLE IF NOT EXISTS replay.filling (settings jsonb NOT NULL, made jsonb NOT NULL);
    CREATE TABLE IF NOT EXISTS replay.filled
        (name text, slice int, rows bigint NOT NULL, PRIMARY KEY (name, slice));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides about the rows: another run goes on only with the same."""

    seed: int
    scale: float
    slices: int
    tables: tuple[str, ...]  # filled ones, where not all are
    workload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What an earlier run left."""

    settings: Settings
    base_time: datetime
    left_out: tuple[str, ...]
    texts: frozenset[tuple[str, str]]  # columns that are texts here, their type being unknown
    stored: frozenset[tuple[str, str]]  # columns that are stored here, rather than virtual
    absent: frozenset[str]  # tables that could not be made


class Journal:
    """The journal of one database, over one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def lock(self) -> None:
        """Wait until nobody else prepares or finishes here."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))

    def unlock(self) -> None:
        """Let the next one."""
        self._connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def begun(self) -> Begun | None:
        """What stands in it; None where there is none."""
        known = self._connection.execute("SELECT to_regclass('replay.filling')").fetchone()
        if known == (None,):
            return None
        row = self._connection.execute("SELECT settings, made FROM replay.filling").fetchone()
        if row is None:
            return None
        settings, made = row
        settings["tables"] = tuple(settings["tables"])
        return Begun(
            settings=Settings(**settings),
            base_time=datetime.fromisoformat(made["base_time"]),
            left_out=tuple(made["left_out"]),
            texts=frozenset(map(tuple, made["texts"])),
            stored=frozenset(map(tuple, made["stored"])),
            absent=frozenset(made["absent"]),
        )

    def begin(
        self,
        settings: Settings,
        base_time: datetime,
        left_out: Sequence[str],
        wanted: SchemaProfile,
        made: SchemaProfile,
    ) -> None:
        """Write down what was prepared: how the schema differs from production's."""
        differences = _differences(wanted, made)
        document = {"base_time": base_time.isoformat(), "left_out": list(left_out), **differences}
        with self._connection.transaction():
            self._connection.execute(_BEGIN)
            self._connection.execute("DELETE FROM replay.filling")
            self._connection.execute(
                "INSERT INTO replay.filling VALUES (%s, %s)",
                (Jsonb(_settings(settings)), Jsonb(document)),
            )

    def filled(self) -> Mapping[tuple[str, int], int]:
        """Rows by table and slice."""
        rows = self._connection.execute("SELECT name, slice, rows FROM replay.filled").fetchall()
        return {(name, number): count for name, number, count in rows}

    def end(self) -> None:
        """All is done, or taken away: nothing is left to remember."""
        with self._connection.transaction():
            self._connection.execute("DROP TABLE IF EXISTS replay.filling, replay.filled")


def note_filled(connection: psycopg.Connection[Any], name: str, part: int, rows: int) -> None:
    """Within the transaction that fills a table: it is filled."""
    connection.execute(
        "INSERT INTO replay.filled VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (name, part, rows)
    )


def _settings(settings: Settings) -> Mapping[str, Any]:
    return {
        "seed": settings.seed,
        "scale": settings.scale,
        "slices": settings.slices,
        "tables": list(settings.tables),
        "workload": settings.workload,
    }


def _differences(wanted: SchemaProfile, made: SchemaProfile) -> Mapping[str, Any]:
    texts, stored = [], []
    for table in made.tables:
        before = wanted.table(table.qualified)
        for column in table.columns:
            was = before.column(column.name) if before is not None else None
            if was is not None and was.base_type != column.base_type:
                texts.append([table.qualified, column.name])
            elif was is not None and was.generated != column.generated:
                stored.append([table.qualified, column.name])
    standing = {table.qualified for table in made.tables}
    absent = [table.qualified for table in wanted.tables if table.qualified not in standing]
    return {"texts": texts, "stored": stored, "absent": absent}
