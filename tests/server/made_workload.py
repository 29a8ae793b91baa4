"""A workload whose transactions are single statements, each at a rate of its own."""

from datetime import UTC, datetime, timedelta

import psycopg

from data_gen.introspect import introspect
from replay import bundle
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import extract
from replay.workload import Manifest, Statement, Template, Transaction, Workload

WINDOW_S = 1000


def write(path, dsn, per_s):
    """Write one of `per_s` (SQL with literals -> calls a second); returns its path."""
    now = datetime.now(UTC)
    calls = {sql: max(round(rate * WINDOW_S), 1) for sql, rate in per_s.items()}
    with psycopg.connect(dsn) as connection:
        profile = introspect(connection)
    manifest = Manifest(
        tool_version="0",
        format="jsonlog",
        inputs=(),
        begin=now,
        end=now + timedelta(seconds=WINDOW_S),
        slice_s=float(WINDOW_S),
        seed=0,
        per_stratum=64,
        scrub={},
        records=0,
        executions=sum(calls.values()),
        transactions=sum(calls.values()),
        sessions=1,
    )
    made = Workload(
        manifest=manifest,
        templates=tuple(_template(sql, calls[sql]) for sql in per_s),
        transactions=tuple(
            _transaction(number, sql, calls[sql]) for number, sql in enumerate(per_s)
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


def _transaction(number, sql, weight):
    found = extract(sql)
    statement = Statement(
        template=fingerprint(sql).id,
        sql=found.sql,
        slots=found.slots,
        values=found.literals,
        prepared=None,
        offset_us=0,
        duration_us=1000,
    )
    return Transaction(
        id=number,
        session="s",
        start_us=0,
        weight=float(weight),
        shape=f"{number:016x}",
        statements=(statement,),
    )
