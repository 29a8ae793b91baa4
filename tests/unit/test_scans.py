"""What a plan reads and keeps, and which index a scan lacks."""

from dataclasses import replace

import pytest
from made_evidence import PROFILE, SCAN, TASKS, column, plan

from replay.diagnose.audit.candidates import candidates
from replay.diagnose.audit.expressions import expressions
from replay.diagnose.indexing import candidate
from replay.diagnose.scans import Scan, figures
from replay.sql.resolve import predicates


def scan_of(tree, how="analyze"):
    entry = {"sql": "", "how": how, "plan": [{"Plan": tree, "Execution Time": 1.0}]}
    (scan,) = figures(entry, PROFILE).scans
    return scan.rows_read, scan.rows_kept


def node(kind, rows, *below, loops=1, **more):
    found = {"Node Type": kind, "Actual Rows": rows, "Actual Loops": loops, "Plan Rows": rows}
    return {**found, **more, "Plans": list(below)}


def seq(rows, removed=0, loops=1):
    more = {"Schema": "public", "Relation Name": "tasks", "Rows Removed by Filter": removed}
    return node("Seq Scan", rows, loops=loops, **more)


@pytest.mark.parametrize(
    ("tree", "read", "kept"),
    [
        pytest.param(seq(4, 1_199_996), 1_200_000, 4, id="a filter"),
        pytest.param(
            node("Gather", 4, node("Append", 1.33, seq(1.33, 398_667, loops=3), loops=3)),
            *(1_196_005, 3.99),
            id="parallel workers: averages times loops",
        ),
        pytest.param(
            node("Limit", 10, node("Sort", 10, seq(500_000))), 500_000, 10, id="sorted for a limit"
        ),
        pytest.param(node("Hash Join", 2, seq(900_000)), 900_000, 2, id="dropped by a join"),
        pytest.param(node("Aggregate", 1, seq(900_000)), 900_000, 900_000, id="counted"),
        pytest.param(
            node("Limit", 1, node("Aggregate", 1, node("Hash Join", 5, seq(10, 7)))),
            *(17, 5),
            id="joined, then counted, then limited",
        ),
        pytest.param(
            node("ModifyTable", 0, seq(3, 97), **{"Relation Name": "tasks"}), 100, 3, id="a write"
        ),
        pytest.param(
            node("Limit", 1, {**seq(50, 50), "Parent Relationship": "InitPlan"}),
            *(100, 50),
            id="a subquery beside",
        ),
    ],
)
def test_rows_read_and_kept(tree, read, kept):
    assert scan_of(tree) == (pytest.approx(read), pytest.approx(kept))


def test_an_estimate_reads_the_whole_relation():
    entry = plan(SCAN, read=1, kept=1, ms=None)
    assert scan_of(entry["plan"][0]["Plan"], how="estimate") == (1_200_000, 1)


def test_a_failed_explain_has_no_figures():
    assert figures({"sql": "", "how": "estimate", "plan": None, "error": "…"}, PROFILE) is None


TABLE = replace(
    TASKS, columns=(*TASKS.columns, column("kind", 10.0), column("at", -0.9), column("run", -0.5))
)
SCHEMA = replace(PROFILE, tables=(TABLE,))


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT * FROM tasks WHERE state = $1 AND callback_id = $2", ["callback_id"]),
        ("UPDATE tasks SET run = $1 WHERE kind = $2 AND worker_id = $3", ["worker_id"]),
        ("SELECT * FROM tasks WHERE kind = $1 AND state = $2", ["kind", "state"]),
        ("SELECT * FROM tasks WHERE kind = $1 AND at > $2", ["kind", "at"]),
        ("SELECT * FROM tasks WHERE kind = $1 ORDER BY at DESC LIMIT 5", ["kind", "at"]),
        ("SELECT * FROM tasks WHERE at BETWEEN $1 AND $2 ORDER BY run", ["at"]),
        ("SELECT * FROM tasks WHERE lower(callback_id) = $1", []),
        ("SELECT * FROM tasks WHERE payload = $1", []),
    ],
)
def test_equality_first_most_selective_first_then_a_range_or_sort(sql, columns):
    scan = Scan(
        node="Seq Scan",
        relation="public.tasks",
        condition="kind state worker_id callback_id at run",
        rows_read=1_200_000,
        rows_kept=1,
    )
    assert list(candidate(scan, predicates(sql, SCHEMA), TABLE)) == columns


def test_a_column_that_this_scan_does_not_filter_by_is_left_out():
    uses = predicates("SELECT * FROM tasks WHERE worker_id = $1 AND callback_id = $2", SCHEMA)
    scan = Scan(
        node="Seq Scan",
        relation="public.tasks",
        condition="(tasks.worker_id = 'x'::text)",
        rows_read=1e6,
        rows_kept=1,
    )
    assert candidate(scan, uses, TABLE) == ("worker_id",)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("(lower(tasks.state) = 'x'::text)", ["lower(state)"]),
        ("('x'::text = upper((tasks.state)::text))", ["upper((state)::text)"]),
        ("((tasks.state ->> 'a)('::text) = 'x'::text)", ["(state ->> 'a)('::text)"]),
        ("(((tasks.state ->> 'n'::text))::integer = 5)", ["((state ->> 'n'::text))::int4"]),
        ("((tasks.run % 10) = 3) AND (tasks.kind > 2)", ["(run % 10)"]),
        ("(tasks.state = 'x'::text)", []),
        ("(lower(tasks.state) = lower(tasks.kind))", []),
        ("(lower(tasks.state) > 'x'::text)", []),
        ("not a condition (", []),
    ],
)
def test_expressions_that_are_looked_for(condition, found):
    assert list(expressions(condition, TABLE)) == found


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("(tasks.state ~~ 'new%'::text)", [("state text_pattern_ops",)]),
        ("((tasks.state)::text ~~ 'new%'::text)", [("state text_pattern_ops",)]),
        ("(tasks.state ~~ '%new'::text)", []),
        ("(tasks.state !~~ 'new%'::text)", []),
        ("(tasks.state ~~* 'new%'::text)", []),
    ],
)
def test_a_beginning_is_served_in_any_locale(condition, keys):
    scan = Scan(
        node="Seq Scan", relation="public.tasks", condition=condition, rows_read=1e6, rows_kept=1
    )
    assert [one.keys for one in candidates(scan, (), TABLE)] == keys
