"""Fixes that can be applied by a program: built on a target, taken back, and what they cost."""

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from replay.conduct.examples import Bound
from replay.finding import BuiltFix, Change, Finding, Fix, WriteCost
from replay.watch import plans

Say = Callable[[str], None]

_INDEXES = """
SELECT i.indexrelid::int8, i.indexrelid::regclass::text, pg_relation_size(i.indexrelid),
       i.indrelid::regclass::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
_SETTING = re.compile(r"SET (?P<name>\w+) = (?P<value>\S+)")
_EXECUTIONS = 9  # of a statement that writes, of which the median counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a program can do about some findings."""

    rules: frozenset[int]
    templates: tuple[str, ...]  # that the findings name
    indexes: tuple[str, ...]
    settings: tuple[str, ...]
    maintenance: tuple[str, ...]
    migration: Mapping[str, str]  # template of a migration's statement -> what to run instead
    changes: tuple[Change, ...]  # to make to the load in the application's place
    untried: tuple[str, ...]  # findings for which a program can do nothing, and what to do

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.has_sql or self.changes)

    @property
    def has_sql(self) -> bool:
        """Whether there is something to run on the target."""
        return bool(self.indexes or self.settings or self.maintenance or self.migration)


def choose(findings: Sequence[Finding], *, changes: bool = True) -> Chosen:
    """The fixes of findings: an index where one is proposed, other SQL only where none is.

    Where there is no SQL at all, the change in the application that a replay can make, if `changes`
    can be made to this run.
    """
    fixes = [(finding, _applied(finding, changes=changes)) for finding in findings]
    flat = [fix for _, own in fixes for fix in own]
    return Chosen(
        rules=frozenset(finding.rule for finding, own in fixes if own),
        templates=tuple(
            dict.fromkeys(t.id for finding, own in fixes if own for t in finding.templates)
        ),
        indexes=_of_kind(flat, "index"),
        settings=tuple(sql for sql in _of_kind(flat, "setting") if _SETTING.fullmatch(sql)),
        maintenance=_of_kind(flat, "maintenance"),
        migration={
            finding.templates[0].id: fix.sql
            for finding, own in fixes
            for fix in own
            if fix.kind == "migration"
        },
        changes=tuple(dict.fromkeys(fix.change for fix in flat if fix.change and not fix.sql)),
        untried=tuple(_untried(finding) for finding, own in fixes if not own),
    )


def _applied(finding: Finding, *, changes: bool) -> list[Fix]:
    usable = [fix for fix in finding.fixes if fix.sql]
    chosen = [fix for fix in usable if fix.kind == "index"] or usable
    return chosen or [fix for fix in finding.fixes if fix.change and changes]


def _untried(finding: Finding) -> str:
    advice = "; or ".join(fix.why for fix in finding.fixes) or "it proposes nothing"
    named = f"rule {finding.rule}, {finding.name}" if finding.rule else finding.name
    return f"{named}: no replay can make this change: {advice}"


def _of_kind(fixes: Sequence[Fix], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fix.sql for fix in fixes if fix.kind == kind))


@contextmanager
def applied(
    connection: psycopg.Connection, chosen: Chosen, examples: Mapping[str, Bound], say: Say
) -> Iterator[tuple[BuiltFix, ...]]:
    """The fixes in force for the length of the block, but for the migration's; then taken back."""
    known = set(_indexes(connection))
    measured = examples.items() if chosen.indexes else ()
    before = {name: _write_ms(connection, bound) for name, bound in measured}
    try:
        yield tuple(_built(connection, chosen, examples, before, say))
    finally:
        for oid, (name, *_) in _indexes(connection).items():
            if oid not in known:
                connection.execute(f"DROP INDEX IF EXISTS {name}".encode())
        for setting in chosen.settings:
            _alter(connection, setting, undo=True)


def _built(
    connection: psycopg.Connection,
    chosen: Chosen,
    examples: Mapping[str, Bound],
    before: Mapping[str, float | None],
    say: Say,
) -> Iterator[BuiltFix]:
    named = {name: examples[name] for name in chosen.templates if name in examples}
    for index in chosen.indexes:
        foretold = _hypothetical(connection, index, named)
        fix, name, relation = _build(connection, index, say)
        used = any(_uses(connection, bound, name) for bound in named.values())
        yield replace(
            fix,
            planned="built" if foretold is None else "hypothetical",
            used=used if foretold is None else foretold,
            writes=tuple(_write_costs(connection, relation, examples, before)),
        )
    for setting in chosen.settings:
        say(f"set         {setting}")
        _alter(connection, setting, undo=False)
        yield BuiltFix(sql=setting, build_s=0.0, bytes=0)
    for statement in chosen.maintenance:
        say(f"run         {statement}")
        began = time.monotonic()
        connection.execute(statement.encode())
        yield BuiltFix(sql=statement, build_s=round(time.monotonic() - began, 3), bytes=0)


def _build(connection: psycopg.Connection, index: str, say: Say) -> tuple[BuiltFix, str, str]:
    """Build and ANALYZE; gives the index's name and its table's too."""
    say(f"build       {index}")
    before = _indexes(connection)
    began = time.monotonic()
    connection.execute(index.encode())
    elapsed = time.monotonic() - began
    ((name, size, relation),) = [
        found for oid, found in _indexes(connection).items() if oid not in before
    ]
    connection.execute(f"ANALYZE {relation}".encode())
    return BuiltFix(sql=index, build_s=round(elapsed, 3), bytes=size), name, relation


def _hypothetical(
    connection: psycopg.Connection, index: str, named: Mapping[str, Bound]
) -> bool | None:
    """Whether a named statement's plan would use it; None where hypopg is not at hand."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE EXTENSION IF NOT EXISTS hypopg")
            row = connection.execute(
                "SELECT indexname FROM hypopg_create_index(%s)",
                (index.replace(" CONCURRENTLY", ""),),
            ).fetchone()
            used = any(_uses(connection, bound, str(row and row[0])) for bound in named.values())
            connection.execute("SELECT hypopg_reset()")
    except psycopg.Error:
        return None
    return used


def _uses(connection: psycopg.Connection, bound: Bound, index: str) -> bool:
    plan = plans.estimates(connection, [("it", *bound)]).get("it")
    return plan is not None and index.rpartition(".")[2].strip('"') in _index_names(plan[0]["Plan"])


def _index_names(node: Mapping[str, Any]) -> list[str]:
    own = [node["Index Name"]] if "Index Name" in node else []
    return [*own, *(name for child in node.get("Plans", ()) for name in _index_names(child))]


def _write_costs(
    connection: psycopg.Connection,
    relation: str,
    examples: Mapping[str, Bound],
    before: Mapping[str, float | None],
) -> Iterator[WriteCost]:
    """Of each statement that writes to the relation: alone, without the index and with it."""
    for template, bound in examples.items():
        was = before.get(template)
        if was is None or relation not in _written(connection, bound):
            continue
        now = _write_ms(connection, bound)
        if now is not None:
            yield WriteCost(template=template, before_ms=round(was, 3), after_ms=round(now, 3))


def _written(connection: psycopg.Connection, bound: Bound) -> list[str]:
    plan = plans.estimates(connection, [("it", *bound)]).get("it")
    top = plan[0]["Plan"] if plan else {}
    if top.get("Node Type") != "ModifyTable":
        return []
    return [top["Relation Name"], f"{top.get('Schema')}.{top['Relation Name']}"]


def _write_ms(connection: psycopg.Connection, bound: Bound) -> float | None:
    """Median of some executions, each rolled back; None for what does not write, or fails."""
    if not _written(connection, bound):
        return None
    took = []
    for _ in range(_EXECUTIONS):
        entry = plans.explain(connection, [("it", *bound)], timeout_ms=2000, generic=False)["it"]
        if entry["how"] != "analyze":
            return None
        took.append(float(entry["plan"][0]["Execution Time"]))
    return statistics.median(took)


def _alter(connection: psycopg.Connection, setting: str, *, undo: bool) -> None:
    """The setting for every new session of this database."""
    found = _SETTING.fullmatch(setting)
    assert found is not None
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    statement = sql.SQL("ALTER DATABASE {} ").format(sql.Identifier(row[0]))
    name = sql.Identifier(found["name"])
    if undo:
        connection.execute(statement + sql.SQL("RESET {}").format(name))
    else:
        connection.execute(
            statement + sql.SQL("SET {} = {}").format(name, sql.Literal(found["value"].strip("'")))
        )


def _indexes(connection: psycopg.Connection) -> dict[int, tuple[str, int, str]]:
    """Oid -> (name as SQL, bytes, its table) of every index of a user's table."""
    return {oid: tuple(found) for oid, *found in connection.execute(_INDEXES).fetchall()}
