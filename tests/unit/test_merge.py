"""Workloads merged are the workload of all their logs; and what cannot be merged is refused."""

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_log import START, Log
from made_tables import column, table

from data_gen.profile import SchemaProfile
from replay import bundle
from replay.capture import Options, capture, sample, tally
from replay.capture.conflicts import Conflicts
from replay.capture.merge import merge
from replay.cli import status
from replay.errors import InputError
from replay.workload import Activity, Counters, Source, Template, Workload

WHOLE = "SELECT " + ", ".join(f"column_{n}" for n in range(40)) + " FROM people WHERE name = 'x'"
TEXTS = ("SELECT 1", "SELECT a FROM t", "UPDATE t SET a = 4", "DELETE FROM u", WHOLE)
UNTOLD = "SELECT a FROM t WHERE a = $1"  # where it fails: nothing tells its value
DEADLOCK = """Process {pid} waits for ShareLock on transaction 733; blocked by process 2.
Process 2 waits for ShareLock on transaction 734; blocked by process {pid}.
Process {pid}: UPDATE t SET a = 5
Process 2: {peer}"""

text = st.sampled_from(TEXTS)
took_ms = st.integers(0, 4).map(lambda n: 0.1 + n * 0.7)
step = st.one_of(
    st.tuples(st.just("ran"), text, took_ms),
    st.tuples(st.just("called"), text, took_ms),
    st.tuples(st.just("failed"), text, st.sampled_from(["42601", "23505"])),
    st.tuples(st.just("loop"), text, st.integers(2, 9)),
    st.tuples(st.just("unit"), text, text),
    st.tuples(st.just("waited"), text, st.integers(1000, 9000)),
    st.tuples(st.just("deadlock"), text, st.sampled_from([WHOLE, WHOLE[:200], WHOLE[:150]])),
    st.tuples(st.just("unsaid"), text, st.just(0)),
    st.tuples(st.just("later"), text, st.sampled_from([1, 20, 700])),
    st.tuples(st.just("broken"), text, st.just(0)),
)
steps = st.lists(st.tuples(step, st.integers(0, 3)), max_size=25)
hosts = st.lists(st.tuples(steps, st.sampled_from([0, 3, 4000])), min_size=2, max_size=3)


def written(log: Log, what: str, sql: str, more: object, pid: int) -> None:
    if what in ("ran", "called"):
        getattr(log, what)(sql, ms=more, pid=pid)
    elif what == "failed":
        log.failed(sql, more, pid=pid)
    elif what == "loop":
        for number in range(more):
            log.ran("BEGIN" if number == 0 else sql, ms=number, pid=pid)
        log.ran("COMMIT", pid=pid)
    elif what == "unit":
        log.ran("BEGIN", pid=pid)
        log.ran(sql, pid=pid)
        log.failed(more, "23505", pid=pid)
        log.failed(UNTOLD, "22012", pid=pid)
        log.ran("ROLLBACK", pid=pid)
    elif what == "waited":
        told = f"process {pid} acquired ShareLock on transaction 7 after {more}.250 ms"
        log.line(pid, message=told, statement=sql)
    elif what == "deadlock":
        detail = DEADLOCK.format(pid=pid, peer=more)
        told = {"error_severity": "ERROR", "state_code": "40P01", "statement": sql}
        log.line(pid, message="deadlock detected", detail=detail, **told)
    elif what == "unsaid":  # a deadlock of nobody knows what
        log.line(pid, message="deadlock detected", error_severity="ERROR", state_code="40P01")
    elif what == "later":
        log.now += timedelta(seconds=more)
    else:
        log.lines.append('{"timestamp": 1')
        for _ in range(3):  # more than half of it must be records
            log.ran(sql, pid=pid)


def host_log(number: int, done: list[tuple[tuple[str, str, object], int]], late_s: int) -> Log:
    log = Log()
    log.now = START + timedelta(seconds=late_s, milliseconds=number * 0.25)
    log.failed("SELECT nothing(", "42601", pid=100 * (number + 1))  # before the window
    log.now += timedelta(seconds=2)
    log.ran("SELECT 1", pid=100 * (number + 1))
    for (what, sql, more), session in done:
        written(log, what, sql, more, pid=100 * (number + 1) + session)
    return log


def captured(*files: Path, k: int = 2, **options: object) -> Workload:
    return capture(files, asked=None, key=b"k", options=Options(per_stratum=k, **options)).workload


def comparable(workload: Workload) -> Workload:
    """Without what a merge cannot know, or says in other words."""
    manifest = replace(
        workload.manifest,
        inputs=(),
        format="",
        notes=(),
        peak_concurrency=0,
        skipped=tuple(replace(skip, first="") for skip in workload.manifest.skipped),
    )
    return replace(
        workload,
        manifest=manifest,
        transactions=tuple(workload.transactions),
        places=tuple(workload.places),
    )


def files_of(folder: Path, made: list[Log]) -> list[Path]:
    """A log a host, each in a directory of its own."""
    files = []
    for number, log in enumerate(made):
        (folder / f"host{number}").mkdir()
        files.append(log.write(folder / f"host{number}" / f"log{number}.json"))
    return files


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hosts, st.sampled_from([1, 2, 20]), st.booleans(), st.booleans())
def test_a_merge_is_the_capture_of_all_logs(made, k, crowded, in_blocks):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        if crowded:
            stack.enter_context(mock.patch.object(sample, "BUCKETS_AT_MOST", 3))
            stack.enter_context(mock.patch.object(sample, "SHAPES_AT_MOST", 2))
            stack.enter_context(mock.patch.object(tally, "SLICES_AT_MOST", 4))
            defaults = Conflicts.__init__.__kwdefaults__
            stack.enter_context(mock.patch.dict(defaults, limit=2 * k))
        if in_blocks:
            stack.enter_context(mock.patch("replay.capture.blocks._BLOCK", 600))
        files = files_of(folder, [host_log(n, *one) for n, one in enumerate(made)])
        parts = [captured(file, k=k) for file in files]
        together = comparable(captured(*files, k=k))
        for order in permutations(range(len(parts))):
            found = merge({str(number): parts[number] for number in order})
            assert comparable(found) == together
        two = merge({"a": parts[0], "b": parts[1]})
        if len(parts) > 2:
            assert comparable(merge({"ab": two, "c": parts[2]})) == together
            others = merge({"c": parts[2], "b": parts[1]})
            assert comparable(merge({"a": parts[0], "bc": others})) == together


@pytest.mark.parametrize("k", [2, 5])
def test_weights_are_the_same_to_the_last_bit(tmp_path, k):
    steps = [(("unit", TEXTS[n % 5], TEXTS[n * n % 5]), n % 4) for n in range(60)]
    steps += [(("ran", TEXTS[n % 3], 0.1), 0) for n in range(40)]
    steps += [(("failed", UNTOLD, "22012"), 0)] * 15
    files = files_of(tmp_path, [host_log(0, steps, 0), host_log(1, steps[::-1], 60)])
    merged = merge({file.name: captured(file, k=k) for file in files})
    assert max(transaction.weight for transaction in merged.transactions) > 3
    assert comparable(merged) == comparable(captured(*files, k=k))


@pytest.fixture
def two(tmp_path):
    """Workloads of two hosts, by name."""
    made = [host_log(number, [(("ran", TEXTS[number], 0.1), 0)], 10 * number) for number in (0, 1)]
    first, second = files_of(tmp_path, made)
    return {"a.workload": captured(first), "b.workload": captured(second)}


def changed(workload: Workload, **fields: object) -> Workload:
    return replace(workload, manifest=replace(workload.manifest, **fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key_id": "other"}, "b.workload: is scrubbed with another key than a.workload:"),
        ({"scrub": {}}, "b.workload: is scrubbed by other rules than a.workload:"),
        ({"seed": 7}, r"b.workload: is sampled with another seed \(7, not 0\)"),
        ({"per_stratum": 3}, r"keeps another number of transactions \(3, not 2\)"),
        ({"format": "pg_stat_statements"}, "b.workload: is what pg_stat_statements counted"),
    ],
)
def test_workloads_that_do_not_fit_are_refused(two, fields, said):
    two["b.workload"] = changed(two["b.workload"], **fields)
    with pytest.raises(InputError, match=said):
        merge(two)


def test_a_log_does_not_count_twice(two):
    with pytest.raises(InputError, match=r"copy: holds transactions that a\.workload holds too"):
        merge({**two, "copy": two["a.workload"]})


def test_a_format_and_a_note_are_told_once_and_all_must_be_complete(two):
    two["a.workload"] = changed(two["a.workload"], notes=("one", "both"), format="csvlog, jsonlog")
    two["b.workload"] = changed(two["b.workload"], notes=("both",), complete=False)
    manifest = merge(two).manifest
    assert (manifest.format, manifest.notes[:2]) == ("csvlog, jsonlog", ("one", "both"))
    assert not manifest.complete
    assert manifest.inputs == ("log0.json", "log1.json")


@pytest.mark.parametrize(("late_s", "peak"), [(0, 7), (3600, 4)])
def test_peaks_add_up_where_windows_overlap(two, late_s, peak):
    for (name, one), most in zip(two.items(), (4, 3), strict=True):
        begin = START + timedelta(seconds=late_s if most == 3 else 0)
        end = begin + timedelta(minutes=5)
        two[name] = changed(one, peak_concurrency=most, begin=begin, end=end)
    assert merge(two).manifest.peak_concurrency == peak


def counting(workload: Workload, server: str, calls: int, *alone: Template) -> Workload:
    """A workload whose server counted so many calls of SELECT ?, and what only it knows."""
    counters = Counters(calls=calls, total_ms=1.5, rows=calls)
    templates = tuple(
        replace(one, counted=counters, source="both") if one.sql == "select ?" else one
        for one in workload.templates
    )
    source = Source(server_version="18", database="shop", system_identifier=server)
    return changed(replace(workload, templates=(*templates, *alone)), source=source)


def alone(sql: str, query_id: int, calls: int) -> Template:
    return Template(
        id=f"{query_id:016x}",
        sql=sql,
        kind="select",
        tables=(),
        calls=calls,
        errors=0,
        total_ms=2.0,
        source="statements",
        query_ids=((query_id, calls),),
        counted=Counters(calls=calls, total_ms=2.0, rows=0),
    )


def counted(workload: Workload) -> dict[str, tuple[str, int]]:
    return {t.sql: (t.source, t.counted.calls) for t in workload.templates if t.counted}


def test_counts_of_servers_add_up_and_of_one_the_later_stays(two):
    first, second = two.values()
    only = alone("select b from v", 77, 5)
    apart = merge({"a": counting(first, "1", 10, only), "b": counting(second, "2", 20, only)})
    assert counted(apart) == {"select ?": ("both", 30), "select b from v": ("statements", 10)}
    assert [one.system_identifier for one in apart.manifest.source.others] == ["2"]
    assert "the logs are of 2 servers" in apart.manifest.notes[-1]
    same = merge({"a": counting(first, "1", 10, only), "b": counting(second, "1", 20)})
    assert counted(same) == {"select ?": ("both", 20), "select b from v": ("statements", 5)}
    with pytest.raises(InputError, match="merge what they were made of in one call"):
        merge({"ab": apart, "c": counting(later(second), "2", 30)})


def test_activity_adds_up_at_one_time_and_is_a_mean_over_several(two):
    def watched(workload: Workload, sessions: float, begin: datetime) -> Workload:
        one = Activity(
            state="active", wait_type="Lock", wait="tuple", template="a", sessions=sessions
        )
        end = begin + timedelta(minutes=5)
        return changed(replace(workload, activity=(one,)), begin=begin, end=end)

    first, second = two.values()
    for late_min, sessions in ((0, 4.0), (5, 2.0)):
        begin = START + timedelta(minutes=late_min)
        parts = {"a": watched(first, 3.0, START), "b": watched(second, 1.0, begin)}
        (told,) = merge(parts).activity
        assert (told.wait, told.sessions) == ("tuple", pytest.approx(sessions))


def later(workload: Workload) -> Workload:
    begin, end = (t + timedelta(days=1) for t in (workload.manifest.begin, workload.manifest.end))
    return changed(workload, begin=begin, end=end)


def test_what_one_server_only_counted_joins_what_the_log_of_another_shows(two):
    first, second = two.values()
    only = alone("select a from t where false or $1", 5, 40)
    shown = tuple(
        replace(t, query_ids=((5, t.calls),)) if t.sql == "select a from t" else t
        for t in second.templates
    )
    merged = merge({"a": counting(first, "1", 1, only), "b": replace(second, templates=shown)})
    assert counted(merged)["select a from t"] == ("both", 40)
    assert only.sql not in {template.sql for template in merged.templates}


def test_merge_on_the_command_line(tmp_path, two, capsys):
    people, notes = (table(name, 10, column("id")) for name in ("people", "notes"))
    profile = SchemaProfile(server_version=180000, tables=(people, notes))
    few = replace(profile, tables=(people,))
    bundle.write(tmp_path / "a.workload", two["a.workload"], None)
    bundle.write(tmp_path / "b.workload", two["b.workload"], profile)
    third = later(changed(two["b.workload"], inputs=("c.json",)))
    bundle.write(tmp_path / "c.workload", third, few)
    names = [str(tmp_path / f"{letter}.workload") for letter in "abc"]
    out = tmp_path / "all.workload"
    assert status(["merge", *names, "-o", str(out), "--json"]) == 0
    told = capsys.readouterr()
    assert (
        json.loads(told.out)["records"]
        == two["a.workload"].manifest.records + 2 * third.manifest.records
    )
    assert "of 3 workloads" in told.err
    written_out = bundle.read(out)
    expected = merge(dict(zip("abc", (*two.values(), third), strict=True)))
    assert comparable(written_out) == comparable(expected)
    assert (
        f"{names[2]}: the schema has other tables than that of {names[1]}"
        in written_out.manifest.notes[-1]
    )
    assert bundle.read_profile(out) == profile


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["a.workload"], "name two WORKLOADs at least"),
        (["a.workload", "a.workload"], "name every workload once"),
        (["a.workload", "nothing"], "is not a workload"),
    ],
)
def test_wrong_usage_of_merge(tmp_path, two, named, said, capsys):
    bundle.write(tmp_path / "a.workload", two["a.workload"], None)
    paths = [str(tmp_path / name) for name in named]
    assert status(["merge", *paths, "-o", str(tmp_path / "x.workload")]) == InputError.exit_code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.workload").exists()
