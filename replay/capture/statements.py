"""pg_stat_statements: exact counts, and the templates that the log does not show.

Its texts have `$n` where the statement had a literal, and a template has `?`; so they are compared
with both folded to one mark, after the query_id has had its say.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import psycopg
from psycopg import sql

from replay.sql.fingerprint import fingerprint
from replay.tag import template_of
from replay.workload import Template

_SLOT = re.compile(r"\$\d+|\?|(?<=\bextract\()\w+(?= from\b)")  # EXTRACT's field is a constant

OWN_ALIAS = "replay_doctor"  # of something in every statement that has no other mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One entry of pg_stat_statements, of this database."""

    query_id: int
    text: str
    calls: int
    total_ms: float
    rows: int
    since_us: int | None = None  # epoch; this entry's first call, from PostgreSQL 17 on


def read_statements(connection: psycopg.Connection) -> tuple[tuple[Counted, ...], tuple[str, ...]]:
    """All entries of this database's top-level statements; and what a reader should know."""
    found = _extension(connection)
    if found is None:
        return (), ("pg_stat_statements is not installed in this database: CREATE EXTENSION it",)
    schema, has_info = found
    extension = sql.Identifier(schema)
    text = files(__package__).joinpath("statements.sql").read_text(encoding="utf-8")
    try:
        rows = connection.execute(sql.SQL(text).format(extension=extension)).fetchall()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        connection.rollback()
        return (), ("pg_stat_statements is not in shared_preload_libraries: it counts nothing",)
    evicted = _evictions(connection, extension) if has_info else ""
    counted = tuple(
        Counted(
            query_id=row[0],
            text=row[1],
            calls=row[2],
            total_ms=row[3],
            rows=row[4],
            since_us=row[5],
        )
        for row in rows
        if row[0] is not None
    )
    hidden = len(rows) - len(counted)
    notes = [evicted] if evicted else []
    if hidden:
        notes.append(
            f"{hidden} entries of pg_stat_statements are hidden from this user; "
            "GRANT pg_read_all_stats shows them"
        )
    return counted, tuple(notes)


def counting(connection: psycopg.Connection) -> tuple[int, int, int]:
    """Since when pg_stat_statements counts, how often it evicted, and now; moments in epoch µs.

    Without the extension, or before its version 1.9, the server's start stands for the first.
    """
    found = _extension(connection)
    source: sql.Composable = sql.SQL(
        "SELECT pg_catalog.pg_postmaster_start_time() AS since, 0::bigint AS dealloc"
    )
    if found is not None and found[1]:
        source = sql.SQL(
            "SELECT stats_reset AS since, dealloc FROM {}.pg_stat_statements_info"
        ).format(sql.Identifier(found[0]))
    query = sql.SQL(
        "SELECT (extract(epoch FROM since) * 1000000)::bigint, dealloc,"
        " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM ({}) AS {}"
    ).format(source, sql.Identifier(OWN_ALIAS))
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        connection.rollback()
        row = None
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def _extension(connection: psycopg.Connection) -> tuple[str, bool] | None:
    """The extension's schema, and whether it tells of itself; None where it is not installed."""
    return connection.execute(
        "SELECT n.nspname, EXISTS (SELECT FROM pg_catalog.pg_class c"
        " WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info')"
        " FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pg_stat_statements'"
    ).fetchone()


def join(
    templates: Sequence[Template], counted: Iterable[Counted], own: Collection[str]
) -> list[Template]:
    """Templates with what pg_stat_statements adds, and after them those that only it knows.

    An entry belongs to the template that the log showed under its query_id, else to one of the same
    text; entries that are the program's own, by their folded texts, are left out.
    """
    by_query_id: dict[int, list[Template]] = defaultdict(list)
    by_text: dict[str, list[Template]] = defaultdict(list)
    for template in templates:
        by_text[folded(template.sql)].append(template)
        for query_id, _ in template.query_ids:
            by_query_id[query_id].append(template)
    rows: dict[str, int] = defaultdict(int)
    alone: dict[str, Template] = {}
    for entry in counted:
        found = fingerprint(entry.text)
        same_text = by_text.get(folded(found.sql), [])
        same_id = by_query_id.get(entry.query_id, [])
        both = [template for template in same_id if template in same_text]
        match = max(both or same_id or same_text, key=lambda t: t.calls, default=None)
        if match is not None:
            rows[match.id] += entry.rows
        elif not is_own(entry.text, found.sql, own):
            known = alone.get(found.id) or Template(
                id=found.id,
                sql=found.sql,
                kind=found.kind,
                tables=found.tables,
                calls=0,
                errors=0,
                total_ms=0.0,
                source="statements",
                rows=0,
            )
            alone[found.id] = _added(known, entry)
    joined = [
        replace(template, source="both", rows=rows[template.id])
        if template.id in rows
        else template
        for template in templates
    ]
    return joined + list(alone.values())


def is_own(text: str, canonical: str, own: Collection[str]) -> bool:
    """Whether a statement is this program's: by its folded text, its tag, or the doctor's alias."""
    return folded(canonical) in own or bool(template_of(text)) or OWN_ALIAS in text


def _added(template: Template, entry: Counted) -> Template:
    query_ids: Mapping[int, int] = dict(template.query_ids)
    calls = query_ids.get(entry.query_id, 0) + entry.calls
    return replace(
        template,
        calls=template.calls + entry.calls,
        total_ms=template.total_ms + entry.total_ms,
        rows=(template.rows or 0) + entry.rows,
        query_ids=tuple({**query_ids, entry.query_id: calls}.items()),
    )


def _evictions(connection: psycopg.Connection, extension: sql.Identifier) -> str:
    row = connection.execute(
        sql.SQL("SELECT dealloc FROM {}.pg_stat_statements_info").format(extension)
    ).fetchone()
    if row is None or not row[0]:
        return ""
    return (
        f"pg_stat_statements evicted entries {row[0]} times: templates that it lacks may exist; "
        "raise pg_stat_statements.max"
    )


def folded(canonical: str) -> str:
    """A template's text by which it is known in the log and in pg_stat_statements alike."""
    return _SLOT.sub("?", canonical)
