"""What the server counted over a run, before and after: tables, indexes, statements, SLRU, I/O.

Figures have one name over PostgreSQL 14 to 18. A session hands its counts in when it ends, or up
to a second after its last statement: read "after" when the load's sessions are gone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

import psycopg
import pyarrow as pa
from psycopg import sql

from replay.runtables import COUNTERS
from replay.sql.fingerprint import fingerprint
from replay.tag import template_of

Key = tuple[str, str, str]  # kind, name, figure

_SQL = files(__package__).joinpath("counters.sql").read_text(encoding="utf-8").encode()
_IO = (
    b"""SELECT 'io', concat_ws('/', backend_type, object, context), to_jsonb(i) FROM pg_stat_io i"""
)
_HAS_IO = 160000
_FIGURES = frozenset(
    """
    seq_scan seq_tup_read idx_scan idx_tup_read idx_tup_fetch
    n_tup_ins n_tup_upd n_tup_del n_tup_hot_upd n_tup_newpage_upd n_live_tup n_dead_tup
    vacuum_count autovacuum_count analyze_count autoanalyze_count
    heap_blks_read heap_blks_hit idx_blks_read idx_blks_hit
    xact_commit xact_rollback blks_read blks_hit blk_read_time blk_write_time
    tup_returned tup_fetched tup_inserted tup_updated tup_deleted
    conflicts deadlocks temp_files temp_bytes session_time active_time idle_in_transaction_time
    calls rows total_exec_time shared_blks_hit shared_blks_read shared_blks_dirtied
    temp_blks_read temp_blks_written wal_records wal_fpi wal_bytes
    blks_zeroed blks_written blks_exists flushes truncates
    confl_tablespace confl_lock confl_snapshot confl_bufferpin confl_deadlock
    reads read_time writes write_time extends fsyncs hits evictions
    """.split()  # noqa: SIM905 - a paragraph reads better than 50 quoted words
)
# PostgreSQL 17 split pg_stat_statements' I/O times by where the block is.
_RENAMED = {
    "shared_blk_read_time": "blk_read_time",
    "shared_blk_write_time": "blk_write_time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All figures at one moment."""

    figures: Mapping[Key, float]


def read(connection: psycopg.Connection) -> Snapshot:
    """All figures now, as far as they are counted; statements where pg_stat_statements is there."""
    connection.execute("SELECT pg_stat_clear_snapshot()")
    figures: Counter[Key] = Counter()
    asked = [_SQL, _IO] if connection.info.server_version >= _HAS_IO else [_SQL]
    for question in asked:
        for kind, name, document in connection.execute(question).fetchall():
            figures.update(_numbers(kind, name, document))
    for query, document in _statements(connection):
        # Several query_ids can be one template. From 18 on the leading comment is not kept.
        template = template_of(query) or fingerprint(query).id
        figures.update(_numbers("statement", template, document))
    return Snapshot(figures=dict(figures))


def table(before: Snapshot, after: Snapshot) -> pa.Table:
    """Both moments side by side (runtables.COUNTERS); figures that are 0 in both are left out."""
    rows = [
        {
            **dict(zip(("kind", "name", "figure"), key, strict=True)),
            "before": before.figures.get(key, 0.0),
            "after": value,
        }
        for key, value in sorted(after.figures.items())
        if value or before.figures.get(key)
    ]
    return pa.Table.from_pylist(rows, schema=COUNTERS)


def _statements(connection: psycopg.Connection) -> list[tuple[str, dict[str, object]]]:
    """Text of its first call and figures of each statement."""
    where = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pg_stat_statements'"
    ).fetchone()
    if where is None:
        return []
    query = sql.SQL(
        "SELECT s.query, to_jsonb(s) - 'query' FROM {} s WHERE s.query IS NOT NULL AND s.dbid ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).format(sql.Identifier(where[0], "pg_stat_statements"))
    try:
        return connection.execute(query).fetchall()
    except psycopg.errors.ObjectNotInPrerequisiteState:  # created, but its library is not loaded
        return []


def _numbers(kind: str, name: str, document: Mapping[str, object]) -> Mapping[Key, float]:
    return dict(_known(kind, name, document))


def _known(kind: str, name: str, document: Mapping[str, object]) -> Iterator[tuple[Key, float]]:
    for given, value in document.items():
        figure = _RENAMED.get(given, given)
        if figure in _FIGURES and isinstance(value, int | float):
            yield (kind, name, figure), float(value)
