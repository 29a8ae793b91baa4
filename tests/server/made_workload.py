"""A workload whose transactions come each at a rate of its own: single statements, or tuples of them."""

from collections import Counter
from datetime import UTC, datetime

import psycopg
from made_manifest import manifest_of

from data_gen.introspect import introspect
from replay import bundle
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import extract
from replay.workload import Statement, Template, Transaction, Workload

WINDOW_S = 1000


def write(path, dsn, per_s, *, pause_ms=0):
    """Write one of `per_s` (SQL with literals, or a tuple of it -> calls a second); returns its path.

    The client pauses so long before each further statement of a transaction.
    """
    now = datetime.now(UTC)
    calls = {
        (unit,) if isinstance(unit, str) else unit: max(round(rate * WINDOW_S), 1)
        for unit, rate in per_s.items()
    }
    of_each = Counter()
    for unit, number in calls.items():
        of_each.update(dict.fromkeys(unit, number))
    with psycopg.connect(dsn) as connection:
        profile = introspect(connection)
    manifest = manifest_of(
        now,
        WINDOW_S,
        slice_s=float(WINDOW_S),
        executions=of_each.total(),
        transactions=sum(calls.values()),
    )
    made = Workload(
        manifest=manifest,
        templates=tuple(_template(sql, number) for sql, number in of_each.items()),
        transactions=tuple(
            _transaction(number, unit, calls[unit], pause_ms * 1000)
            for number, unit in enumerate(calls)
        ),
    )
    bundle.write(path, made, profile)
    return path


def _template(sql, calls):
    found = fingerprint(sql)
    return Template(
        id=found.id,
        sql=found.sql,
        kind=found.kind,
        tables=found.tables,
        calls=calls,
        errors=0,
        total_ms=float(calls),
        kept=1,
    )


def _transaction(number, unit, weight, pause_us):
    return Transaction(
        id=number,
        session="s",
        start_us=0,
        weight=float(weight),
        shape=f"{number:016x}",
        statements=tuple(_statement(sql, at * (1000 + pause_us)) for at, sql in enumerate(unit)),
    )


def _statement(sql, offset_us):
    found = extract(sql)
    return Statement(
        template=fingerprint(sql).id,
        sql=found.sql,
        slots=found.slots,
        values=found.literals,
        prepared=None,
        offset_us=offset_us,
        duration_us=1000,
    )
