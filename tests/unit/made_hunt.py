"""Paths and kept transactions made by hand, for the hunt's pure parts."""

from datetime import UTC, datetime

from made_manifest import manifest_of
from made_tables import column, schema, table

from replay.hunt.model import Hold, Path, Server
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import extract
from replay.workload import Statement, Template, Transaction, Workload

SERVER = Server(cores=2.0, pool=20)
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def path(name="p", *, rate=1.0, peak=None, demand_s=0.01, elapsed_s=None, holds=(), **more):
    """A path of one template."""
    return Path(
        templates=(name,),
        rare=more.pop("rare", False),
        rate=rate,
        peak=rate if peak is None else peak,
        demand_s=demand_s,
        elapsed_s=demand_s if elapsed_s is None else elapsed_s,
        holds=tuple(holds),
        **more,
    )


def hold(target="row of t by id", mode="no key update", share=1.0, hold_s=0.02):
    return Hold(target=target, mode=mode, share=share, hold_s=hold_s)


def hunted_schema():
    """Incidents and their messages, counters, and orders by a column without a key."""
    key = [("id",)]
    return schema(
        table("incident", 5, column("id"), column("messages"), keys=key),
        table(
            "message",
            9,
            column("id"),
            column("incident_id"),
            keys=key,
            foreign=[("incident_id", "incident", "id")],
        ),
        table("counter", 10, column("id"), column("n"), keys=key),
        table("ord", 99, column("id"), column("ext_id", "text"), column("state"), keys=key),
    )


def transaction(number, *sqls, weight=1.0, gaps_ms=()):
    """A kept transaction of literal statements, each of 1 ms."""
    statements = []
    at_us = 0
    for position, sql in enumerate(sqls):
        at_us += int(gaps_ms[position] * 1000) if position < len(gaps_ms) else 0
        taken = extract(sql)
        statements.append(
            Statement(
                template=fingerprint(sql).id,
                sql=taken.sql,
                slots=taken.slots,
                values=taken.literals,
                prepared=None,
                offset_us=at_us,
                duration_us=1000,
            )
        )
        at_us += 1000
    return Transaction(
        id=number,
        session="s",
        start_us=0,
        weight=weight,
        shape="0" * 16,
        statements=tuple(statements),
    )


def workload(*transactions, window_s=10.0, rare=()):
    """A workload of such transactions; `rare` are SQL texts."""
    calls: dict[str, float] = {}
    shapes = {}
    for one in transactions:
        for statement in one.statements:
            calls[statement.template] = calls.get(statement.template, 0.0) + one.weight
            shapes[statement.template] = fingerprint(statement.sql)
    rare_ids = {fingerprint(sql).id for sql in rare}
    templates = tuple(
        Template(
            id=name,
            sql=shapes[name].sql,
            kind=shapes[name].kind,
            tables=shapes[name].tables,
            calls=round(count),
            errors=0,
            total_ms=count,
            calls_per_slice=((0, round(count / 2)), (5, round(count / 2))),
            kept=1,
            rare=name in rare_ids,
        )
        for name, count in calls.items()
    )
    manifest = manifest_of(
        BEGIN,
        window_s,
        inputs=("x",),
        records=1,
        executions=round(sum(calls.values())),
        transactions=len(transactions),
    )
    return Workload(manifest=manifest, templates=templates, transactions=transactions)
