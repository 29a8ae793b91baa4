"""What `replay inspect` makes of a workload: each view by itself, then all of it on terminals."""

import io
import json
import random
import time
from dataclasses import replace
from datetime import timedelta

import made_run
import pytest
from made_incident import CALLBACK, COUNTED_ONLY, RELEASE, RELEASE_COUNTER, UPDATE_COUNTER
from rich.console import Console

from replay.cli import status
from replay.report.inspect import as_json, bars, brief, listing, locks, one, shapes, text
from replay.report.inspect.mix import mix
from replay.sql.fingerprint import fingerprint
from replay.workload import Conflict, Statement, Template, Transaction

BEGIN = made_run.BEGIN


def template(sql, **figures):
    found = fingerprint(sql)
    figures = {"calls": 10, "errors": 0, "total_ms": 10.0, **figures}
    return Template(id=found.id, sql=found.sql, kind=found.kind, tables=found.tables, **figures)


def conflict(kind, name, **fields):
    told = {
        "peers": (),
        "lock": "ShareLock",
        "on": "transaction",
        "relation": "project_counters",
        "count": 3,
        "total_ms": 900.0,
        "longest_ms": 500.0,
        "most_queued": 2,
        "first_seen": BEGIN,
        "last_seen": BEGIN + timedelta(seconds=9),
    }
    return Conflict(kind=kind, template=name, **{**told, **fields})


CONFLICTS = (
    conflict("waiting", UPDATE_COUNTER, count=5),
    conflict("acquired", UPDATE_COUNTER, count=4, total_ms=2400.0, longest_ms=1900.0),
    conflict("waiting", RELEASE, on="tuple", lock="ExclusiveLock", relation=""),
    conflict("detected", RELEASE, count=2),
    conflict("deadlock", RELEASE, count=2, peers=(UPDATE_COUNTER,)),
    conflict("deadlock", UPDATE_COUNTER, count=1, peers=(RELEASE,)),
    conflict("unobtained", CALLBACK, count=4),
    conflict("refused", CALLBACK, count=3, on="tuple", lock=""),
    conflict("timeout", "", lock="", on="", relation=""),
)


@pytest.fixture(scope="module")
def eventful():
    """The made workload with a rate over time, errors and conflicts."""
    whole = made_run.workload()
    slices = tuple((second, 1 + second) for second in range(20) if second != 7)
    templates = tuple(
        replace(
            one,
            calls_per_slice=slices if one.calls > 100 else ((3, one.calls),),
            errors=4 if one.id == RELEASE else 0,
            error_states=(("40P01", 3), ("ZZ001", 1)) if one.id == RELEASE else (),
        )
        for one in whole.templates
    )
    source = replace(whole.manifest.source, settings={"log_lock_waits": "on"})
    manifest = replace(whole.manifest, source=source)
    return replace(whole, manifest=manifest, templates=templates, conflicts=CONFLICTS)


def printed(workload, width, *, by=text.RANKINGS, top=20):
    out = io.StringIO()
    text.write_whole(workload, Console(file=out, width=width, highlight=False), by=by, top=top)
    return out.getvalue()


@pytest.mark.parametrize(
    ("sql", "room", "told"),
    [
        ("select a, (select max(x) from u) from t where b = $1", 60, None),
        ("select a, (select max(x) from u) from t where b = $1", 30, "select … from t where b = $1"),
        ("select aaaaaa, bbbbbb from t where c = $1", 25, "select t where c = $1"),
        ("insert into t(a, b) values (lower($1), $2) returning id", 40, "insert into t(…) values (…) returning id"),
        ("insert into t(a, b) values (lower($1), $2) returning id", 30, "insert into t(…) values (…)"),
        ("update t set aaaaaaaaaa = $1, bbbbbbbbbb = $2", 20, "update t set aaaaaa…"),
        ("select extract(epoch from a) from t where b = $1", 30, "select … from t where b = $1"),
        ("select nothing", 8, "select…"),
    ],
)  # fmt: skip
def test_a_statement_in_few_words(sql, room, told):
    assert brief.brief(sql, room) == (told or sql)
    assert len(brief.brief(sql, room)) <= room


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM tasks WHERE id = 7", "select tasks by id"),
        ('SELECT "t"."id" FROM "t" WHERE "t"."name" IN (1, 2)', "select t by name"),
        ("SELECT * FROM a JOIN b ON a.id = b.id WHERE a.x = 1", "select a, … by x"),
        ("UPDATE tasks SET state = 'x' WHERE id = 1", "update tasks set state"),
        ("INSERT INTO tasks VALUES (1)", "insert tasks"),
        ("SELECT 1", "select"),
        ("COMMIT", "commit"),
        ("LOCK TABLE tasks IN EXCLUSIVE MODE", "lock table tasks"),
    ],
)
def test_a_step_of_a_transaction(sql, told):
    assert brief.step(template(sql)) == told


def test_ids_are_as_long_as_they_must_be():
    assert brief.digits_needed(["0123456789abcdef", "0123456799abcdef", "ffff456789abcdef"]) == 9
    assert brief.digits_needed(["0123456789abcdef"]) == 8
    assert brief.digits_needed([]) == 8


def test_bars():
    assert bars.spark([0, 1, 4, 8], 4) == " ▁▄█"
    assert bars.spark([1, 1000], 2) == "▁█"  # little is not nothing
    assert bars.spark([1, 1, 2, 2], 2) == "▄█"  # neighbours together
    assert bars.bars([4, 8], 4, 2) == ("  ██", "████")
    assert bars.spark([], 5) == bars.spark([], 0) == ""
    assert bars.spark([0, 0], 2) == "  "


def transaction(number, *templates, weight=1.0, gap_us=0):
    statements = tuple(
        Statement(
            template=name,
            sql="SELECT 1",
            slots="",
            values=(),
            prepared=None,
            offset_us=ordinal * (1000 + gap_us),
            duration_us=1000,
        )
        for ordinal, name in enumerate(templates)
    )
    return Transaction(
        id=number,
        session="s",
        start_us=number,
        weight=weight,
        shape=f"{len(templates):016x}",
        statements=statements,
    )


def test_shapes_are_weighed_and_loops_folded():
    found = shapes.shapes(
        [
            transaction(0, "a", weight=60.0),
            transaction(1, "b", "c", "c", weight=30.0),
            transaction(2, "b", "c", "c", "c", "c", weight=10.0, gap_us=500),
            transaction(3),
        ]
    )
    assert [(shape.transactions, shape.kept) for shape in found] == [(60.0, 1), (40.0, 2)]
    loop = found[1]
    assert [(step.template, step.fewest, step.most) for step in loop.steps] == [
        ("b", 1, 1),
        ("c", 2, 4),
    ]
    assert loop.share == pytest.approx(0.4)
    assert loop.statements == pytest.approx((30 * 3 + 10 * 5) / 40)
    assert loop.mean_ms == pytest.approx((30 * 3 + 10 * 7) / 40)
    assert loop.statement_ms == pytest.approx((30 * 3 + 10 * 5) / 40)
    assert len(loop.ids) == 2


def test_open_transactions_on_average():
    kept = [transaction(0, "a", "b", weight=500.0, gap_us=2000)]
    assert shapes.open_on_average(kept, 1.0) == pytest.approx((2.0, 1.0))


def test_the_mix_adds_up(eventful):
    mixed = mix(eventful)
    assert sum(map(mixed.share_of_calls, eventful.templates)) == pytest.approx(1)
    assert sum(map(mixed.share_of_time, eventful.templates)) == pytest.approx(1)
    assert sum(mixed.rate) == sum(n for t in eventful.templates for _, n in t.calls_per_slice)
    assert mixed.rate[7] == 0
    assert [t.total_ms for t in mixed.by_time] == sorted(t.total_ms for t in mixed.by_time)[::-1]
    assert {t.id for t in mixed.rare} == {CALLBACK, RELEASE, RELEASE_COUNTER, COUNTED_ONLY}


def test_waits_tell_an_event_once(eventful):
    row, queue = locks.waits(CONFLICTS, mix(eventful).tables)
    assert (row.what, row.all.waits, row.all.ended, row.all.mean_ms) == (
        *("row of project_counters", 5, 4, 600.0),
    )
    # The log had a number only: the statement has one table.
    assert (queue.what, queue.all.ended, queue.all.mean_ms) == (
        *("row of tasks, in its queue", 0, None),
    )


def test_deadlocks_are_told_by_who_is_in_them():
    (deadlock,) = locks.deadlocks(CONFLICTS)
    assert (deadlock.count, dict(deadlock.failed)) == (3, {RELEASE: 2, UPDATE_COUNTER: 1})


def test_failures_that_the_application_caught_are_told_apart(eventful):
    found = {one.how: one for one in locks.failed(CONFLICTS, mix(eventful).tables)}
    assert {how: one.count for how, one in found.items()} == {
        "lock_timeout": 3,
        "refused (NOWAIT)": 3,
        "refused, caught": 1,  # four were not obtained, three of them failed their statement
    }


@pytest.mark.parametrize("width", [60, 80, 120, 160, 250])
def test_the_whole_fits_the_terminal(eventful, width):
    told = printed(eventful, width)
    assert max(map(len, told.splitlines())) <= width
    for title in (
        *("Calls over time", "Templates by calls", "Rare templates: 4", "Transactions by shape"),
        *("Sessions and concurrency", "Errors by SQLSTATE: 4", "Locks and deadlocks", "Sampling"),
        "Passed over",
    ):
        assert title in told, title
    for fact in (
        "deadlock detected",
        "ZZ001",
        "row of project_counters",
        "among these",
        "evicted 12",
    ):
        assert fact in told, fact
    assert "not JSON" in told
    assert "log_lock_waits=on" in told


def test_top_bounds_every_part(eventful):
    few, everything = printed(eventful, 160, top=4), printed(eventful, 160, top=None)
    assert "… and 8 more: --all shows them" in few
    assert "more: --all" not in everything
    assert len(few.splitlines()) < len(everything.splitlines())


@pytest.mark.parametrize(("members", "lines"), [(5, 6), (6, 7), (7, 7), (90, 7)])
def test_a_big_group_leaves_room_for_others(members, lines):
    line = listing.Line(name="", text="x", figures=("",))
    told, more = listing.outline([(line, [line] * members)] * 12, 20)
    assert (len(told), more) == (10 * lines, 2)
    assert (f"… and {members - 5} more of these" in {one.text for one in told}) == (members > 6)


def test_one_ranking(eventful):
    by_time = printed(eventful, 160, by=["time"])
    assert "Templates by calls" not in by_time
    ranked = by_time[by_time.index("Templates by time") :].splitlines()
    assert ranked[2].startswith(mix(eventful).by_time[0].id)


def test_a_quiet_workload_says_so():
    whole = made_run.workload()
    told = printed(replace(whole, transactions=(), templates=whole.templates[:3]), 80)
    assert "not known: no log told of it" in told
    assert "none in the log (log_lock_waits tells of waits)" in told
    assert told.count("\nnone\n") == 2  # rare templates, errors


def test_without_a_log_errors_and_locks_are_not_none_but_not_known():
    whole = made_run.workload()
    counted = tuple(replace(t, source="statements", rare=False) for t in whole.templates)
    manifest = replace(whole.manifest, sessions=0)
    told = printed(replace(whole, manifest=manifest, templates=counted), 80)
    assert told.count("not known: no log was read") == 3  # errors, locks, sessions
    assert "nothing was sampled" in told


def test_one_template_whole(eventful):
    found = next(t for t in eventful.templates if t.id == RELEASE)
    out = io.StringIO()
    one.write_one(eventful, found, Console(file=out, width=160, highlight=False), top=20)
    told = out.getvalue()
    assert "40P01 deadlock detected × 3, ZZ001 × 1" in told
    assert "in 1 of 20 slices" in told
    assert "update project_counters → update tasks" in told
    assert "among these" in told
    assert "Executions kept: 4 of 4" in told


def test_the_document(eventful):
    document = json.loads(json.dumps(as_json.document(eventful, eventful.templates)))
    by_id = {t["id"]: t for t in document["templates"]}
    assert by_id[RELEASE]["error_states"] == {"40P01": 3, "ZZ001": 1}
    assert len(document["rate"]["calls"]) == 20
    assert sum(shape["share"] for shape in document["shapes"]) == pytest.approx(1)
    assert [c["kind"] for c in document["conflicts"]] == [c.kind for c in CONFLICTS]
    assert document["sampling"]["kept"] == document["transactions_kept"]
    assert document["sampling"]["weights"]["sum"] == pytest.approx(document["transactions"])
    assert document["sampling"]["settings"] == {"log_lock_waits": "on"}


def test_the_document_of_one_template(eventful):
    found = next(t for t in eventful.templates if t.id == RELEASE)
    document = as_json.one(eventful, found)
    assert document["templates"][0]["rate"][3] == found.calls
    assert all(RELEASE in [t["id"] for t in s["templates"]] for s in document["shapes"])
    assert {c["kind"] for c in document["conflicts"]} == {"waiting", "detected", "deadlock"}


def test_rare_by_time(tmp_path, capsys):
    path = str(made_run.write_workload(tmp_path / "shop.workload"))
    assert status(["inspect", path, "--rare", "--by", "time", "--json"]) == 0
    told = [t["total_ms"] for t in json.loads(capsys.readouterr().out)["templates"]]
    assert told == sorted(told, reverse=True)
    assert len(told) == 4


def test_many_templates_are_quick_and_few_lines():
    draw = random.Random(5)
    names = [f"{draw.getrandbits(64):016x}" for _ in range(50_000)]
    templates = tuple(
        replace(
            template("SELECT a FROM t WHERE b = 1", rare=number > 1000, errors=number % 2),
            id=name,
            calls_per_slice=((number % 60, 1),),
            error_states=(("40P01", 1),) if number % 2 else (),
        )
        for number, name in enumerate(names)
    )
    kept = tuple(transaction(number, name, name) for number, name in enumerate(names[:20_000]))
    conflicts = tuple(conflict("waiting", name, count=1) for name in names[:4096])
    whole = made_run.workload()
    many = replace(whole, templates=templates, transactions=kept, conflicts=conflicts)
    began = time.process_time()
    told = printed(many, 160)
    assert time.process_time() - began < 10  # it takes about one; a scan a template takes minutes
    assert len(told.splitlines()) < 150
