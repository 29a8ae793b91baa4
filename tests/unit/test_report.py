"""Reports: figures against runs small enough to count by hand, and pages that hold what they should."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import made_run
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_incident import CALLBACK, COUNTED_ONLY, RELEASE, UPDATE_COUNTER
from rich.console import Console

from replay import bundle, outcome, replayed, rundir, runtables
from replay.errors import InputError
from replay.finding import Culprit, Finding
from replay.report import (
    activity,
    as_json,
    blocking,
    columns,
    failures,
    html,
    latency,
    text,
    waits,
    wording,
)
from replay.report.attempts import Attempts
from replay.report.inspect import as_json as inspect_json
from replay.report.summary import summarise
from replay.workload import Activity, duration_bucket

A, B = "a" * 16, "b" * 16
HOSTILE = "SELECT '</script><img src=x onerror=alert(1)>' AS \"[red]x\" -- <b>&amp;"


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return made_run.write_story(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def page(story):
    workload, runs = story
    return html.page(runs, workload)


@pytest.fixture
def run(tmp_path, story):
    """A run whose tables are still to be written."""
    return made_run.write_run(tmp_path / "own.run", story[0], boosted=(B,))


def write(path, name, *rows):
    schema = runtables.TABLES[name]
    table = pa.Table.from_pylist(
        [dict(zip(schema.names, row, strict=False)) for row in rows], schema
    )
    rundir.write_table(path, name, table)


def attempt(arrival, ordinal, template, due, began, ended, *, lag=0, ended_as=outcome.OK):
    return (arrival, ordinal, template, 0, 0, 1, due, began, ended, lag, ended_as, 1)


def edge(at, waiter, blocker, template=A, ahead=B):
    return (at, waiter, blocker, template, ahead, "active", "tuple", "X", "public.t", 0)


def test_latency_counts_from_due_and_service_from_began(run):
    write(
        run,
        "attempts",
        attempt(0, 0, A, 0, 2_000, 5_000),
        attempt(1, 0, A, 10_000, 10_000, 11_000),
        attempt(2, 0, A, 20_000, -1, 5_020_000, ended_as=outcome.SKIPPED_POOL),
    )
    (row,) = latency.by_template(Attempts(run), {}, {A: "SELECT 1"}, {B})
    assert (row.sent, row.ok, row.boosted) == (2, 2, False)
    assert row.from_due.max == 5_000.0
    assert (row.service.p50, row.service.max) == (2.0, 3.0)
    assert row.total_s == 0.004
    assert row.errors == {outcome.SKIPPED_POOL: 1}
    assert (row.not_ok, row.skipped) == (0, 1)


def told(run, writer=text.write, *, width=120, workload=None):
    console = Console(width=width, file=io.StringIO())
    writer(summarise([run], workload), console)
    return console.file.getvalue()


def test_the_latency_table_tells_what_was_skipped_from_what_was_sent_and_failed(run):
    sent = [attempt(n, 0, A, 0, 0, 1_000) for n in range(3)]
    failed = attempt(3, 0, A, 0, 0, 1_000, ended_as="42P01")
    cancelled = attempt(4, 0, A, 0, 0, 1_000, ended_as=outcome.CANCELLED)
    write(run, "attempts", *sent, failed, cancelled)
    assert re.search(r"sent +not ok +due", told(run))
    assert re.search(rf"{A} +5 +2 ", told(run))
    skipped = [attempt(5 + n, 0, A, 0, -1, 9, ended_as=outcome.SKIPPED_POOL) for n in range(7)]
    write(run, "attempts", *sent, failed, cancelled, *skipped)
    assert re.search(r"sent +not ok +skipped +due", told(run))
    assert re.search(rf"{A} +5 +2 +7 ", told(run))
    page = html.page([run])
    assert re.search(r">5</td>\s*<td[^>]*>2</td>\s*<td[^>]*>7</td>", page)


def test_what_never_came_due_in_a_stopped_run_is_not_counted_as_quick(run):
    sent = [attempt(n, 0, A, 0, 0, 8_000) for n in range(3)]
    never = [attempt(9 + n, 0, A, 70, -1, 70, ended_as=outcome.SKIPPED_END) for n in range(30)]
    write(run, "attempts", *sent, *never)
    (row,) = latency.by_template(Attempts(run), {}, {}, set())
    assert (row.sent, row.skipped, row.from_due.p50) == (3, 30, pytest.approx(8.0, rel=0.01))


@pytest.mark.parametrize("writer", [text.write, text.write_brief])
def test_what_the_server_refused_is_told_by_sqlstate_the_most_first(run, story, writer):
    outcomes = ["42P01"] * 2 + ["23505"] + [outcome.SKIPPED_POOL, outcome.CANCELLED, outcome.LOST]
    write(
        run,
        "attempts",
        *(attempt(n, 0, B, 0, 0, 1, ended_as=ended) for n, ended in enumerate(outcomes)),
        *(attempt(10 + n, 0, RELEASE, 0, 0, 1, ended_as="42P01") for n in range(3)),
        attempt(20, 0, A, 0, 0, 1),
    )
    shown = told(run, writer, width=60, workload=story[0])
    _, section = shown.split("Failed statements by SQLSTATE", 1)
    lines = [line.split() for line in section.splitlines()[1:4]]
    assert [line[:2] for line in lines] == [["3", "42P01"], ["2", "42P01"], ["1", "23505"]]
    assert lines[0][2] == "UPDATE"
    assert lines[0][-1].endswith("…")  # shortened, on a line of its own
    assert lines[1][2] == B


def test_only_the_top_failures_are_told_and_the_others_counted(run):
    codes = [(f"4200{n}", 9 - n) for n in range(8)]
    ended = [code for code, count in codes for _ in range(count)]
    write(run, "attempts", *(attempt(n, 0, A, 0, 0, 1, ended_as=e) for n, e in enumerate(ended)))
    shown = told(run, text.write_brief)
    assert "42004" in shown
    assert "42005" not in shown
    assert "9 more" in shown


def test_errors_that_production_had_too_stand_last(run):
    made = made_run.workload()
    had = made_run.replace(made.templates[0], id=A, error_states=(("23505", 3),))
    made = made_run.replace(made, templates=(had,))
    ended = ["23505", "23505", "42P01"]
    write(run, "attempts", *(attempt(n, 0, A, 0, 0, 1, ended_as=e) for n, e in enumerate(ended)))
    rows = latency.by_template(Attempts(run), {}, {}, set())
    found = failures.by_sqlstate(rows, made)
    assert [(f.sqlstate, f.name, f.count, f.expected) for f in found] == [
        ("42P01", "undefined table", 1, False),
        ("23505", "unique violation", 2, True),
    ]


@pytest.mark.parametrize("writer", [text.write, text.write_brief])
def test_a_run_without_refusals_has_no_section_of_them(run, writer):
    write(run, "attempts", attempt(0, 0, A, 0, -1, 1, ended_as=outcome.SKIPPED_POOL))
    assert "Failed statements" not in told(run, writer)


def test_a_transaction_is_due_with_its_first_statement_and_ends_with_its_last(run):
    write(
        run,
        "attempts",
        attempt(1, 1, B, 9_000, 9_000, 12_000),
        attempt(0, 0, A, 100, 4_100, 5_100, lag=1_000),
        attempt(1, 0, A, 8_000, 8_000, 9_000),
        attempt(2, 0, A, 8_500, -1, 9_500, ended_as=outcome.SKIPPED_POOL),
    )
    (whole,) = latency.Whole(Attempts(run), {B}).blocks()
    assert whole.due_us.tolist() == [100, 8_000, 8_500]
    assert whole.from_due_ms.tolist() == [5.0, 4.0, 1.0]
    assert whole.pool_wait_ms.tolist() == [3.0, 0.0, 1.0]
    assert whole.ordinary.tolist() == [True, False, True]


@given(st.integers(min_value=1, max_value=10**10))
def test_production_p95_is_the_upper_bound_of_its_bucket(duration_us):
    known = latency.captured_quantile(((duration_bucket(duration_us), 9),))
    assert known is not None
    assert duration_us / 1e3 <= known + 0.001
    assert known <= (duration_us + 1) / 1e3 * 1.13 + 0.001


def test_each_waiter_hangs_below_the_blocker_nearest_to_the_root(run):
    # 1 holds; 2, 3 and 4 queue up, and the server names all that stand before each.
    queue = [edge(0, 2, 1), edge(0, 3, 1), edge(0, 3, 2), edge(0, 4, 2), edge(0, 4, 3)]
    write(run, "samples")
    write(run, "blocking", *queue)
    (root,) = blocking.trees(run)
    assert (root.template, root.sessions, root.blocked_s) == (B, 1, 0.3)
    (first,) = root.waiters
    assert (first.template, first.sessions, first.blocked_s) == (A, 2, 0.2)
    (behind,) = first.waiters
    assert (behind.sessions, behind.blocked_s, behind.waiters) == (1, 0.1, ())


def test_the_route_behind_a_blocker_is_told_where_the_capture_links_it(run, story, monkeypatch):
    write(run, "samples")
    write(run, "blocking", edge(0, 2, 1, template=UPDATE_COUNTER, ahead=RELEASE))
    behind = {
        RELEASE: (("DELETE /workers/{int}", 1.0),),
        UPDATE_COUNTER: (("POST /tasks", 0.8), ("PUT /tasks/{int}", 0.2)),
    }

    def linked(path, **options):
        whole = read(path, **options)
        templates = (replace(one, routes=behind.get(one.id, ())) for one in whole.templates)
        return replace(whole, templates=tuple(templates))

    read = replayed.read
    monkeypatch.setattr(replayed, "read", linked)
    console = Console(file=io.StringIO(), width=200)
    text.write(summarise([run], story[0]), console)
    said = console.file.getvalue()
    assert re.search(r"DELETE /workers/\{int\}: UPDATE", said)
    assert re.search(r"POST /tasks and 1 more: UPDATE", said)


def test_a_session_that_is_none_of_the_replays_is_told_by_its_statement(run):
    key, waiter_text, blocker_text = "(0,1)", "", "UPDATE acct\n  SET n = 0"
    write(run, "samples")
    write(run, "blocking", (*edge(0, 2, 1, ahead=""), key, waiter_text, blocker_text))
    (root,) = blocking.trees(run)
    assert (root.template, root.text) == ("", "UPDATE acct SET n = 0")
    assert [waiter.text for waiter in root.waiters] == [""]


def test_a_deadlock_has_a_root_too(run):
    write(run, "samples")
    write(run, "blocking", edge(0, 1, 2), edge(0, 2, 1), edge(0, 3, 2))
    trees = blocking.trees(run)
    assert sum(tree.blocked_s for tree in trees) == pytest.approx(0.2)


def test_a_late_sample_stands_for_the_time_until_the_next_and_an_idle_gap_for_none():
    moments = waits.np.array([0, 0, 100_000, 350_000, 5_000_000])
    assert waits.spans_us(moments) == {
        0: 100_000,
        100_000: 250_000,
        350_000: 100_000,
        5_000_000: 100_000,
    }


def test_sessions_by_wait_event_are_averages_over_time(run):
    def sample(at, pid, state, wait_type, wait):
        return (at, pid, state, wait_type, wait, A, 0, 0)

    write(
        run,
        "samples",
        sample(0, 1, "active", "", ""),
        sample(0, 2, "active", "Lock", "tuple"),
        sample(100_000, 2, "active", "Lock", "tuple"),
        sample(100_000, 3, "idle in transaction", "Client", "ClientRead"),
    )
    bands = waits.by_event(run, columns.Grid(width_us=200_000, count=2))
    assert {band.name: (band.kind, band.sessions) for band in bands} == {
        "on CPU": ("cpu", (0.5, 0.0)),
        "Lock: tuple": ("lock", (1.0, 0.0)),
        "idle in transaction": ("idle", (0.5, 0.0)),
    }
    assert [band.session_s for band in bands] == [0.2, 0.1, 0.1]


def test_coverage_says_what_came_through_and_why_not(story):
    workload, runs = story
    rare = {path.id: path for path in summarise(runs, workload).coverage.rare}
    assert (rare[CALLBACK].in_log, rare[CALLBACK].kept) == (4, 4)
    assert rare[CALLBACK].replayed > 4
    assert rare[CALLBACK].why_not == ""
    assert (rare[COUNTED_ONLY].in_log, rare[COUNTED_ONLY].replayed) == (1, 0)
    assert "only counted" in rare[COUNTED_ONLY].why_not
    base = summarise([runs[1]], workload).coverage
    assert (base.in_log, base.only_counted, base.kept) == (11, 1, 11)


def test_the_workload_beside_the_run_is_found_and_another_is_refused(story, tmp_path):
    workload, runs = story
    assert summarise([runs[0]]).coverage is not None
    made = bundle.read(workload)
    other = tmp_path / "other.workload"
    bundle.write(other, made_run.replace(made, templates=made.templates[:1]), None)
    with pytest.raises(InputError, match="is not the workload that"):
        summarise([runs[0]], other)


def test_the_page_needs_nothing_but_itself(page):
    assert not re.search(r"""https?://|//[a-z]+\.|\bsrc=|@import|url\(|href="(?!#)""", page)
    assert "default-src 'none'" in page


def test_the_page_tells_the_whole_story(page, story):
    _, runs = story
    for sought in (
        "Staging breaks under this load",
        "valid run",
        "CREATE INDEX CONCURRENTLY tasks_worker_id_state_idx",
        "CREATE INDEX CONCURRENTLY tasks_callback_id_idx",
        "fails, passes with the fix, fails without it",
        "Lock: transactionid",
        "public.project_counters",
        "objective 250 ms",
        "only counted",
        *(run.name for run in runs),
    ):
        assert sought in page, sought


def test_what_hovering_tells_is_what_the_chart_shows(page, story):
    charts = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if "data-hover" in dict(attrs):
                charts.append(json.loads(dict(attrs)["data-hover"]))

    Reader().feed(page)
    summary = summarise(story[1], story[0])
    sessions, from_due, _ = charts
    assert {one["name"] for one in sessions["series"]} == {band.name for band in summary.waits}
    p95 = next(one for one in from_due["series"] if one["name"] == "p95")
    told = [None if value is None else wording.ms(value) for value in summary.ordinary_ms[1].values]
    assert p95["values"] == told
    assert from_due["steps"] == len(told) == summary.grid.count


def test_every_anchor_of_the_page_leads_somewhere(page):
    assert {f'id="{name}"' for name in re.findall(r'href="#(\w+)"', page)} <= set(
        re.findall(r'id="\w+"', page)
    )


def test_statements_cannot_become_markup(run):
    culprit = Culprit(id=A, sql=HOSTILE, share=0.1)
    found = Finding(
        rule=0,
        name=HOSTILE,
        summary=HOSTILE,
        templates=(culprit,),
        relations=(HOSTILE,),
        evidence={HOSTILE: [HOSTILE]},
    )
    rundir.write_findings(run, (found,))
    write(run, "attempts", attempt(0, 0, A, 0, 0, 1))
    write(run, "samples", (0, 1, "active", "Lock", HOSTILE, A, 0, 0))
    write(run, "blocking", edge(0, 1, 2, A, A))
    page = html.page([run])
    assert "<img" not in page
    assert page.count("</script>") == 1
    console = Console(width=400, file=io.StringIO())
    text.write(summarise([run]), console)
    assert "[red]x" in console.file.getvalue()


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_a_run_that_was_stopped_is_told_as_far_as_it_went(tmp_path, story, state):
    run = tmp_path / "stopped.run"
    manifest = made_run.replace(
        rundir.read_manifest(story[1][0]),
        state=state,
        objective={},
        accounting=None,
        generator={},
        valid=False,
        healthy=False,
        missing=("attempts of worker 0",),
    )
    rundir.create(run, manifest)
    summary = summarise([run, story[1][0]])
    assert summary.verdict.level == "doubtful"
    assert "attempts of worker 0" in summary.verdict.sentence
    assert "not complete" in html.render(summary)
    assert as_json.document(summary)["latency"] == []


def test_a_stopped_run_says_each_reason_once(story):
    reason = "stopped before the planned end"
    manifest = made_run.replace(
        rundir.read_manifest(story[1][0]),
        state="interrupted",
        missing=(reason,),
        why_not=("the run was interrupted", reason),
    )
    assert wording.verdict(manifest, ()).sentence == (
        f"This run is not complete: {reason}; the run was interrupted."
    )


def test_a_run_that_cannot_be_believed_is_neither_good_nor_bad(story):
    manifest = made_run.replace(
        rundir.read_manifest(story[1][1]), valid=False, why_not=("the generator was late",)
    )
    verdict = wording.verdict(manifest, ())
    assert (verdict.level, verdict.badge) == ("doubtful", "not valid")
    assert "the generator was late" in verdict.sentence


def test_what_a_run_was_asked_to_leave_out_stands_in_its_verdict(story):
    manifest = rundir.read_manifest(story[1][1])
    assert "without" not in wording.verdict(manifest, ()).sentence
    options = {
        **manifest.options,
        "requests": {"as captured": 60},
        "left_out": {outcome.LEFT_OUT_ASKED: 30, "copy": 10},
    }
    sentence = wording.verdict(made_run.replace(manifest, options=options), ()).sentence
    assert "without 30.0 % of production's requests (--leave-out)" in sentence


def test_sessions_stand_beside_productions(run, story):
    def sample(at, state, wait_type, wait):
        return (at, 1, state, wait_type, wait, A, 0, 0)

    write(run, "samples", *(sample(at * 100_000, "active", "Lock", "tuple") for at in range(10)))
    told = Activity(state="active", wait_type="Lock", wait="tuple", template=A, sessions=0.5)
    idle = replace(told, state="idle in transaction", wait_type="Client", wait="ClientRead")
    watched = replace(bundle.read(story[0]), activity=(told, replace(told, template=B), idle))
    manifest = rundir.read_manifest(run)
    rows = activity.beside(run, manifest, watched)
    assert [(row.name, row.production, row.staging) for row in rows] == [
        ("Lock: tuple", 1.0, round(1 / manifest.duration_s, 3)),
        ("idle in transaction", 0.5, 0.0),
    ]
    assert activity.beside(run, manifest, replace(watched, activity=())) == ()
    summary = replace(summarise([run], story[0]), activity=rows)
    console = Console(width=100, file=io.StringIO())
    text.write(summary, console)
    for said in (console.file.getvalue(), html.render(summary)):
        assert re.search(r"Lock: tuple\D+1\.00", said)
    assert as_json.document(summary)["activity"][1]["name"] == "idle in transaction"


def test_the_document_has_the_keys_that_programs_rely_on(story):
    workload, runs = story
    document = json.loads(json.dumps(as_json.document(summarise(runs, workload)), allow_nan=False))
    assert document["version"] == 1
    assert (document["valid"], document["why_not"], document["healthy"]) == (True, [], False)
    books = document["accounting"]
    assert books["planned"] == books["started"] + books["skipped"]
    first = document["findings"][0]
    assert {"id", "sql", "share"} == set(first["templates"][0])
    assert {"kind", "sql", "why", "change"} == set(first["fixes"][0])
    assert {"rule", "name", "routes", "relations", "blocked_s", "queue_s", "confidence"} <= set(
        first
    )
    assert first["templates"][0]["id"] == RELEASE
    assert document["blocking"][0]["waiters"][0]["template"] == UPDATE_COUNTER
    assert document["proof"]["proven"] is True
    assert [line["run"] for line in document["runs"]] == [run.name for run in runs]


def test_inspect_document(story):
    workload = bundle.read(story[0])
    document = json.loads(json.dumps(inspect_json.document(workload, workload.templates)))
    assert document["executions"] == sum(t["calls"] for t in document["templates"])
    assert document["skipped"] == {"not JSON": 2}
    first = document["templates"][0]
    assert {
        *("id", "sql", "kind", "tables", "calls", "errors", "total_ms", "kept", "rare"),
        *("first_seen", "last_seen", "source", "query_ids", "counted", "error_states", "routes"),
        *("routes_by", "routes_sure"),
    } == set(first)
    assert list(first["query_ids"].values()) == [first["calls"]]
    assert first["counted"]["rows"] == first["calls"]


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0421, "0.04 ms"), (14.2, "14.2 ms"), (4998.4, "4,998 ms"), (61_234, "61.2 s"), (None, "–")],
)
def test_milliseconds_are_told_with_the_digits_they_are_worth(value, told):
    assert wording.ms(value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0.0 %"),
        (1e-7, "<0.001 %"),
        (0.00012, "0.012 %"),
        (0.0011, "0.11 %"),
        (0.0634, "6.3 %"),
    ],
)
def test_a_rare_share_is_never_told_as_nothing(value, told):
    assert wording.share(value) == told


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 kB"), (9_428_992, "9.0 MB")]
)
def test_sizes(value, told):
    assert wording.size(value) == told
