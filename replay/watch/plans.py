"""Plans with real values: EXPLAIN (ANALYZE) of one execution of a template, its figures only.

Each statement is really executed, in a transaction that is rolled back, so nothing is written for
good; what no rollback undoes (a sequence's next value) moves on as it would in a replay.
"""

import re
from collections.abc import Iterable
from typing import Any

import psycopg

# What EXPLAIN takes; comments and opening parentheses may stand before it.
_EXPLAINABLE = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|insert|update|delete|merge|with|values|table)\b",
    re.IGNORECASE | re.DOTALL,
)
_ANALYZE = "EXPLAIN (ANALYZE, VERBOSE, BUFFERS, FORMAT JSON) "
_ESTIMATE = "EXPLAIN (VERBOSE, FORMAT JSON) "
_LEFT_OUT = frozenset({"Output", "Workers"})  # long, and nobody reads them
_LOCK_TIMEOUT_MS = 2000


def explain(
    connection: psycopg.Connection,
    statements: Iterable[tuple[str, str, tuple[str | None, ...]]],
    *,
    timeout_ms: int = 10_000,
) -> dict[str, Any]:
    """Template id -> {"sql", "how", "plan", "error"} of (template, SQL with `$n`, values).

    `how` is "analyze", or "estimate" where the execution failed or took too long: then `error` says
    why and `plan` has estimates only, or is None where there is no plan either. `plan` is the
    document of EXPLAIN (FORMAT JSON). What EXPLAIN does not take is left out. The connection must
    be in autocommit mode.
    """
    taken: dict[str, Any] = {}
    for template, sql, values in statements:
        if not _EXPLAINABLE.match(sql):
            continue
        plan, error = _attempt(connection, _ANALYZE + sql, values, timeout_ms)
        how = "estimate" if error else "analyze"
        if error and not connection.closed:
            plan, _ = _attempt(connection, _ESTIMATE + sql, values, timeout_ms)
        taken[template] = {"sql": sql, "how": how, "plan": plan, "error": error}
        if connection.closed:
            break
    return taken


def _attempt(
    connection: psycopg.Connection, sql: str, values: tuple[str | None, ...], timeout_ms: int
) -> tuple[Any, str]:
    """The plan, or None and what the server said against it."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}".encode())
            connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}".encode())
            # RawCursor leaves $n as they are; text parameters take the type that the server infers.
            with psycopg.RawCursor(connection) as cursor:
                row = cursor.execute(sql.encode(), values or None).fetchone()
    except psycopg.Error as error:
        return None, _said(error)
    assert row is not None
    return _pruned(row[0]), ""


def _said(error: psycopg.Error) -> str:
    primary = error.diag.message_primary or str(error).strip()
    return f"{error.sqlstate}: {primary}" if error.sqlstate else primary


def _pruned(plan: Any) -> Any:
    if isinstance(plan, dict):
        return {name: _pruned(value) for name, value in plan.items() if name not in _LEFT_OUT}
    if isinstance(plan, list):
        return [_pruned(value) for value in plan]
    return plan
