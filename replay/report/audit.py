"""An audit for people, for programs, and for a build server (JUnit's XML)."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from replay.documents import JSON_VERSION
from replay.finding import Culprit
from replay.gap import Audit, KeyGap, StatementGap
from replay.report import wording

_SHOWN = 100  # characters of a statement


def text(audit: Audit) -> Iterator[str]:
    """The audit in lines."""
    planned = [one for one in audit.checked if not one.why_not]
    yield (
        f"{len(planned)} of {len(audit.checked)} statements planned, {audit.keys} foreign keys looked at"
        + ("" if audit.executed else "; on production's statistics, nothing executed")
    )
    for gap in audit.gaps:
        yield from _gap_text(gap)
    for key in audit.key_gaps:
        yield from _key_text(key)
    for gap in audit.noted:
        yield f"noted     {gap.template.id}  {what(gap)}; no index that was tried helps"
    for one in audit.checked:
        if one.why_not:
            yield f"unplanned {one.template.id}  {_short(one.template)}: {one.why_not}"
    gaps = len(audit.gaps) + len(audit.key_gaps)
    yield "every statement is served" if not gaps else f"{gaps} lack an index"


def what(gap: StatementGap) -> str:
    """What the scan does, in one sentence."""
    took = f", {wording.ms(gap.took_ms)}" if gap.took_ms is not None else ""
    why = gap.writing or f"{wording.figure(gap.peak_per_s)} calls/s at the peak"
    return (
        f"{gap.node} on {gap.relation} reads {gap.rows_read:,} rows and keeps {gap.rows_kept:,}"
        f" ({gap.values}{took}; {why})"
    )


def _gap_text(gap: StatementGap) -> Iterator[str]:
    yield f"uncovered {gap.template.id}  {_short(gap.template)}"
    yield f"          {what(gap)}"
    if gap.index is not None and gap.effect is not None:
        yield f"          {gap.index.sql}"
        yield f"          {effect(gap)}"


def effect(gap: StatementGap) -> str:
    """What the index changes."""
    found = gap.effect
    assert found is not None
    if not found.buffers_before:
        return (
            f"cost {found.cost_before:,.0f} to {found.cost_after:,.0f} as the planner has it; "
            f"about {wording.size(found.bytes)}"
        )
    return (
        f"cost {found.cost_before:,.0f} to {found.cost_after:,.0f}, blocks "
        f"{found.buffers_before:,} to {found.buffers_after:,}, {wording.ms(found.ms_before)} to "
        f"{wording.ms(found.ms_after)}; {wording.size(found.bytes)}, built in "
        f"{wording.seconds(found.build_s)}"
    )


def _key_text(gap: KeyGap) -> Iterator[str]:
    yield f"uncovered {gap.constraint} of {gap.relation}: {_key(gap)}"
    yield f"          {gap.index.sql}"
    built = f", built in {wording.seconds(gap.build_s)}" if gap.build_s else ""
    yield f"          {wording.size(gap.bytes)}{built}"


def _key(gap: KeyGap) -> str:
    names = ", ".join(one.id for one in gap.templates)
    return f"each check for {gap.parent} reads {wording.size(gap.child_bytes)}, because of {names}"


def _short(template: Culprit) -> str:
    return template.sql if len(template.sql) <= _SHOWN else f"{template.sql[: _SHOWN - 1]}…"


def document(audit: Audit) -> dict[str, Any]:
    """One JSON document; times in ms unless the name says otherwise."""
    return {
        "version": JSON_VERSION,
        "workload": audit.workload,
        "target": audit.target,
        "executed": audit.executed,
        "clean": audit.clean,
        "statements": [
            {**_culprit(one.template), "plans": list(one.plans), "why_not": one.why_not}
            for one in audit.checked
        ],
        "foreign_keys": audit.keys,
        "gaps": [_gap(gap) for gap in audit.gaps],
        "noted": [_gap(gap) for gap in audit.noted],
        "foreign_key_gaps": [
            {
                "constraint": gap.constraint,
                "relation": gap.relation,
                "columns": list(gap.columns),
                "parent": gap.parent,
                "child_bytes": gap.child_bytes,
                "templates": [_culprit(one) for one in gap.templates],
                "sql": gap.index.sql,
                "build_s": gap.build_s,
                "bytes": gap.bytes,
            }
            for gap in audit.key_gaps
        ],
    }


def _culprit(template: Culprit) -> dict[str, Any]:
    return {"id": template.id, "sql": template.sql, "share": template.share}


def _gap(gap: StatementGap) -> dict[str, Any]:
    found = gap.effect
    return {
        "template": _culprit(gap.template),
        "relation": gap.relation,
        "node": gap.node,
        "condition": gap.condition,
        "values": gap.values,
        "rows_read": gap.rows_read,
        "rows_kept": gap.rows_kept,
        "took_ms": gap.took_ms,
        "peak_per_s": gap.peak_per_s,
        "writing": gap.writing,
        "sql": gap.index.sql if gap.index else "",
        "effect": None
        if found is None
        else {
            "cost": [found.cost_before, found.cost_after],
            "blocks": [found.buffers_before, found.buffers_after],
            "ms": [found.ms_before, found.ms_after],
            "build_s": found.build_s,
            "bytes": found.bytes,
        },
    }


def junit(audit: Audit) -> str:
    """JUnit's XML: a test case a statement and a foreign key; one that lacks an index fails."""
    gaps: dict[str, list[StatementGap]] = {}
    for gap in audit.gaps:
        gaps.setdefault(gap.template.id, []).append(gap)
    suite = ET.Element(
        "testsuite",
        name="replay audit",
        tests=str(len(audit.checked) + len(audit.key_gaps)),
        failures=str(len(gaps) + len(audit.key_gaps)),
        skipped=str(sum(bool(one.why_not) for one in audit.checked)),
    )
    for one in audit.checked:
        name = f"{one.template.id} {_short(one.template)}"
        case = ET.SubElement(suite, "testcase", classname="statements", name=name)
        for gap in gaps.get(one.template.id, ()):
            _fail(case, what(gap), gap.index.sql if gap.index else "")
        if one.why_not:
            ET.SubElement(case, "skipped", message=one.why_not)
    for key in audit.key_gaps:
        name = f"{key.relation} {key.constraint}"
        case = ET.SubElement(suite, "testcase", classname="foreign keys", name=name)
        _fail(case, _key(key), key.index.sql)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _fail(case: ET.Element, message: str, sql: str) -> None:
    failure = ET.SubElement(case, "failure", message=message, type="no index")
    failure.text = sql
