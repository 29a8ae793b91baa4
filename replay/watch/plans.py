"""Plans with real values: EXPLAIN (ANALYZE) of one execution of a template, its figures only.

Each statement is really executed, in a transaction that is rolled back, so nothing is written for
good; what no rollback undoes (a sequence's next value) moves on as it would in a replay.
"""

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

# What EXPLAIN takes; comments and opening parentheses may stand before it.
_EXPLAINABLE = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|insert|update|delete|merge|with|values|table)\b",
    re.IGNORECASE | re.DOTALL,
)
_ANALYZE = "EXPLAIN (ANALYZE, VERBOSE, BUFFERS, FORMAT JSON) "
_ESTIMATE = "EXPLAIN (VERBOSE, FORMAT JSON) "
_LEFT_OUT = frozenset({"Output", "Workers"})  # long, and nobody reads them
_LOCK_TIMEOUT_MS = 2000
_LOCKS = """
SELECT count(*)::int, (count(*) FILTER (WHERE NOT fastpath))::int FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation <> 'pg_locks'::regclass
"""


def explain(
    connection: psycopg.Connection,
    statements: Iterable[tuple[str, str, tuple[str | None, ...]]],
    *,
    timeout_ms: int = 10_000,
    generic: bool = True,
    execute: bool = True,
) -> dict[str, Any]:
    """Template id -> {"sql", "how", "plan", "error" …} of (template, SQL with `$n`, values).

    `how` is "analyze", or "estimate" where the execution failed or took too long: then `error` says
    why and `plan` has estimates only, or is None where there is no plan either. `plan` is the
    document of EXPLAIN (FORMAT JSON). `generic` is the same of the plan that a prepared statement
    may turn to after its fifth execution, executed only where its nodes are others; `locks` and
    `slow_locks` are relations that an execution locks, and those past the fast path. Without `generic` that plan is not
    asked for, without `execute` nothing is executed. What EXPLAIN does not take is left out. The
    connection must be in autocommit mode.
    """
    taken: dict[str, Any] = {}
    for template, statement, values in statements:
        if not _EXPLAINABLE.match(statement):
            continue
        asked = _ANALYZE if execute else _ESTIMATE
        plan, error, locks = _attempt(connection, asked, statement, values, timeout_ms)
        how = "estimate" if error or not execute else "analyze"
        if error and execute and not connection.closed:
            plan, _, locks = _attempt(connection, _ESTIMATE, statement, values, timeout_ms)
        entry = {"sql": statement, "how": how, "plan": plan, "error": error}
        taken[template] = {**entry, "locks": locks[0], "slow_locks": locks[1]}
        if generic and values and plan and not connection.closed:
            taken[template]["generic"] = _generic(
                connection, statement, values, plan, timeout_ms, execute=execute
            )
        if connection.closed:
            break
    return taken


def estimates(
    connection: psycopg.Connection,
    statements: Iterable[tuple[str, str, tuple[str | None, ...]]],
) -> dict[str, Any]:
    """Template id -> the plan that the planner chooses now, nothing executed."""
    taken: dict[str, Any] = {}
    for template, statement, values in statements:
        if _EXPLAINABLE.match(statement) and not connection.closed:
            plan, _, _ = _attempt(connection, _ESTIMATE, statement, values, _LOCK_TIMEOUT_MS)
            if plan is not None:
                taken[template] = plan
    return taken


def _attempt(
    connection: psycopg.Connection,
    how: str,
    statement: str,
    values: tuple[str | None, ...],
    timeout_ms: int,
) -> tuple[Any, str, tuple[int, int]]:
    """The plan, or None and what the server said against it; locks on relations, and slow ones."""
    try:
        with connection.transaction(force_rollback=True):
            _set_timeouts(connection, timeout_ms)
            # RawCursor leaves $n as they are; text parameters take the type that the server infers.
            with psycopg.RawCursor(connection) as cursor:
                row = cursor.execute((how + statement).encode(), values or None).fetchone()
            locks = connection.execute(_LOCKS).fetchone()
    except psycopg.Error as error:
        return None, _said(error), (0, 0)
    assert row is not None
    assert locks is not None
    return _pruned(row[0]), "", locks


def _generic(
    connection: psycopg.Connection,
    statement: str,
    values: tuple[str | None, ...],
    custom: Any,
    timeout_ms: int,
    *,
    execute: bool,
) -> Any:
    """The generic plan; executed where its nodes differ from the custom one's. None: it has none."""
    given = sql.SQL(", ").join(map(sql.Literal, values))
    call = sql.SQL("{} EXECUTE replay_generic ({})")
    try:
        with connection.transaction(), psycopg.RawCursor(connection) as cursor:
            cursor.execute(f"PREPARE replay_generic AS {statement}".encode())
    except psycopg.Error:
        return None
    try:
        with connection.transaction(force_rollback=True):
            _set_timeouts(connection, timeout_ms)
            connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            plan = _executed(connection, call.format(sql.SQL(_ESTIMATE), given))
            if execute and _nodes(plan[0]["Plan"]) != _nodes(custom[0]["Plan"]):
                plan = _executed(connection, call.format(sql.SQL(_ANALYZE), given))
    except psycopg.Error:
        return None
    finally:
        if not connection.closed:
            connection.execute("DEALLOCATE replay_generic")
    return _pruned(plan)


def _executed(connection: psycopg.Connection, statement: sql.Composed) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def _nodes(node: Any) -> list[Any]:
    """Kinds, relations and indexes of a plan's nodes, from the top."""
    own = [node.get(name) for name in ("Node Type", "Relation Name", "Index Name")]
    return [own, *(_nodes(child) for child in node.get("Plans", ()))]


def _set_timeouts(connection: psycopg.Connection, timeout_ms: int) -> None:
    connection.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}".encode())
    connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}".encode())


def _said(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or str(error).strip()
    return f"{error.sqlstate}: {primary}" if error.sqlstate else primary


def _pruned(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {name: _pruned(value) for name, value in plan.items() if name not in _LEFT_OUT}
    if isinstance(plan, list):
        return [_pruned(value) for value in plan]
    return plan
