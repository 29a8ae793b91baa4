"""A hand-made workload for replays with values as captured: transactions told by their SQL."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_gen.profile import SchemaProfile
from replay import bundle
from replay.sql.fingerprint import fingerprint
from replay.workload import Manifest, SessionSettings, Statement, Template, Transaction, Workload

BEGIN = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def statement(
    sql: str,
    *values: str,
    prepared: str | None = "",
    offset_us: int = 0,
    duration_us: int = 0,
    error: str = "",
) -> Statement:
    return Statement(
        template=fingerprint(sql).id,
        sql=sql,
        slots="p" * len(values),
        values=values,
        prepared=prepared,
        offset_us=offset_us,
        duration_us=duration_us,
        error=error,
    )


def transaction(
    *statements: Statement, start_us: int = 0, session: str = "s", weight: float = 1.0
) -> Transaction:
    return Transaction(
        id=0, session=session, start_us=start_us, weight=weight, shape="", statements=statements
    )


def write(
    path: Path,
    transactions: Sequence[Transaction],
    *,
    window_s: float = 1.0,
    profile: SchemaProfile | None = None,
    standing: tuple[SessionSettings, ...] = (),
    **fields: object,
) -> Path:
    """The workload on disk; returns its directory."""
    kept = [
        Transaction(
            id=number,
            session=one.session,
            start_us=one.start_us,
            weight=one.weight,
            shape=one.shape,
            statements=one.statements,
        )
        for number, one in enumerate(sorted(transactions, key=lambda one: one.start_us))
    ]
    whole: dict[str, object] = {
        "tool_version": "",
        "format": "jsonlog",
        "inputs": (),
        "begin": BEGIN,
        "end": BEGIN + timedelta(seconds=window_s),
        "slice_s": 1,
        "seed": 0,
        "per_stratum": 64,
        "scrub": {},
        "records": 0,
        "executions": 0,
        "transactions": len(kept),
        "sessions": len({one.session for one in kept}),
        **fields,
    }
    manifest = Manifest(**whole)  # type: ignore[arg-type]
    workload = Workload(
        manifest=manifest,
        templates=_templates(kept),
        transactions=tuple(kept),
        standing=standing,
    )
    bundle.write(path, workload, profile)
    return path


def _templates(kept: Sequence[Transaction]) -> tuple[Template, ...]:
    calls: Counter[str] = Counter()
    texts: dict[str, str] = {}
    failed: dict[str, Counter[str]] = {}
    for one in kept:
        for each in one.statements:
            calls[each.template] += round(one.weight)
            texts.setdefault(each.template, each.sql)
            if each.error:
                failed.setdefault(each.template, Counter())[each.error] += round(one.weight)
    return tuple(
        Template(
            id=template,
            sql=fingerprint(texts[template]).sql,
            kind=fingerprint(texts[template]).kind,
            tables=fingerprint(texts[template]).tables,
            calls=count,
            errors=sum(failed.get(template, {}).values()),
            total_ms=0.0,
            kept=count,
            error_states=tuple(failed.get(template, {}).items()),
        )
        for template, count in calls.most_common()
    )
