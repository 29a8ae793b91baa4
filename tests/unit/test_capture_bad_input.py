"""Whole captures of logs that somebody cut, tore, mixed or is still writing: counted, never fatal."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_log import Log
from made_oracle import Record, as_csv, as_json
from made_traffic import by_chance

from replay.capture import Captured, Options, capture
from replay.capture.blocks import Lines, blocks_of, lines_in
from replay.capture.formats import Hints
from replay.capture.inputs import find_inputs, server_logs

WRITERS = {"jsonlog": as_json, "csvlog": as_csv}
forms = pytest.mark.parametrize("form", sorted(WRITERS))


def captured(*paths: Path, block: int = 4000) -> Captured:
    with mock.patch("replay.capture.blocks._BLOCK", block):
        return capture(paths, asked=None, key=b"k", options=Options(per_stratum=4))


def lines(form: str, seed: int = 1) -> list[bytes]:
    return [WRITERS[form](r) for r in by_chance(random.Random(seed), processes=4, actions=40)]


def executions(found: Captured) -> int:
    return sum(template.calls for template in found.workload.templates)


def skipped(found: Captured) -> int:
    return sum(skip.count for skip in found.workload.manifest.skipped)


@forms
def test_half_a_file_at_the_beginning_is_counted_once(form, tmp_path):
    whole = lines(form)
    path = tmp_path / "server.log"
    path.write_bytes(whole[0][40:] + b"".join(whole[1:]))
    found = captured(path).workload.manifest
    assert found.records == len(whole) - 1
    assert [(s.count, s.first) for s in found.skipped] == [(1, "server.log:1")]


@forms
@pytest.mark.parametrize("block", [4000, 1 << 20], ids=["blocks", "one block"])
def test_a_clock_that_goes_back_is_told_with_its_place(form, block, tmp_path):
    whole = lines(form)
    later = by_chance(random.Random(2), processes=4, actions=40)
    hour_us = 3_600_000_000
    before = [WRITERS[form](replace(r, at_us=r.at_us - hour_us, pid=r.pid + 100)) for r in later]
    path = tmp_path / "server.log"
    path.write_bytes(b"".join(whole + before))
    manifest = captured(path, block=block).workload.manifest
    assert manifest.records == len(whole) + len(before)
    behind = b"".join(whole).count(b"\n") + 1
    told = [note for note in manifest.notes if "clock" in note]
    assert len(told) == 1
    assert f"goes back 1 time, first at server.log:{behind}" in told[0]


@forms
@pytest.mark.parametrize("block", [4000, 1 << 20], ids=["blocks", "one block"])
@pytest.mark.parametrize("hours", [0.9, 2.5])
def test_hours_that_are_missing_in_the_middle_are_told_with_their_place(
    form, block, hours, tmp_path
):
    whole = lines(form)
    later = by_chance(random.Random(2), processes=4, actions=40)
    shift_us = round((hours + 0.01) * 3_600_000_000)
    after = [WRITERS[form](replace(r, at_us=r.at_us + shift_us, pid=r.pid + 100)) for r in later]
    path = tmp_path / "server.log"
    path.write_bytes(b"".join(whole + after))
    manifest = captured(path, block=block).workload.manifest
    behind = b"".join(whole).count(b"\n") + 1
    told = [note for note in manifest.notes if "clock was set forward" in note]
    assert len(told) == (hours > 1)
    assert all(f"h before server.log:{behind}: a pause" in note for note in told)


@forms
def test_a_log_with_its_newest_lines_first_is_counted_and_told(form, tmp_path):
    whole = [WRITERS[form](r) for r in by_chance(random.Random(1), processes=4, actions=40)]
    whole = [line for line in whole if b"duration: " in line and b"statement: " in line]
    ahead, back = tmp_path / "ahead.log", tmp_path / "back.log"
    ahead.write_bytes(b"".join(whole))
    back.write_bytes(b"".join(reversed(whole)))
    found = captured(back).workload
    expected = {t.id: t.calls for t in captured(ahead).workload.templates}
    assert {t.id: t.calls for t in found.templates} == expected
    assert {len(t.statements) for t in found.transactions} == {1}
    assert any("back.log has its newest lines first" in note for note in found.manifest.notes)


@forms
def test_torn_records_lose_themselves_alone(form, tmp_path):
    whole = lines(form)
    torn = {number: whole[number][:60] + b"\n" for number in range(20, len(whole) - 1, 37)}
    path = tmp_path / "server.log"
    path.write_bytes(b"".join(torn.get(number, line) for number, line in enumerate(whole)))
    found = captured(path)
    assert found.workload.manifest.records == len(whole) - len(torn)
    assert skipped(found) == len(torn)
    assert found.workload.manifest.complete


@forms
def test_encodings_and_nul_bytes_in_the_midst_of_records(form, tmp_path):
    whole = lines(form)
    whole[5] = whole[5].replace(b"alice", b"\xe9l\xffce")
    whole[9] = b"\0\0\0" + whole[9]
    whole[30] = whole[30].replace(b"alice", "ålice".encode())
    path = tmp_path / "server.log"
    path.write_bytes(b"".join(whole))
    found = captured(path)
    assert found.workload.manifest.records >= len(whole) - 1
    assert skipped(found) <= 1


damage = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 300),
        st.sampled_from([b"", b"\0", b'"', b"\n", b"\xff\xfe"]),
    ),
    max_size=6,
)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damage, st.sampled_from(sorted(WRITERS)), st.sampled_from([500, 4000, 1 << 20]))
def test_no_damage_is_fatal_and_none_costs_more_than_what_lies_around_it(
    tmp_path, cuts, form, block
):
    path, whole = tmp_path / "server.log", lines(form)
    data = b"".join(whole)
    for share, size, put in cuts:
        at = int(share * len(data) * 0.9)
        data = data[:at] + put + data[at + size :]
    path.write_bytes(data)
    found = captured(path, block=block).workload.manifest
    lost = sum(size // 100 + 3 for _, size, _ in cuts)
    assert found.records >= len(whole) - lost


@forms
def test_hosts_with_the_same_pids_are_kept_apart(form, tmp_path):
    """Each directory is a host: what one does must not end the other's transactions."""
    alone = []
    for host in ("a", "b"):
        (tmp_path / host).mkdir()
        (tmp_path / host / "server.log").write_bytes(b"".join(lines(form)))
        alone.append(captured(tmp_path / host))
    both = captured(tmp_path / "a", tmp_path / "b")
    for count in ("records", "executions", "transactions", "sessions"):
        of_each = [getattr(one.workload.manifest, count) for one in alone]
        assert getattr(both.workload.manifest, count) == sum(of_each)
    calls = [{t.id: (t.calls, t.errors) for t in one.workload.templates} for one in (*alone, both)]
    assert calls[2] == {name: (2 * n, 2 * e) for name, (n, e) in calls[0].items()}


def test_a_session_without_line_numbers_goes_on_in_the_next_file(tmp_path):
    log = Log()
    for _ in range(20):
        log.ran("SELECT 1", line_num=0)
    log.ran("BEGIN", line_num=0)
    log.write(tmp_path / "1.json")
    log.lines.clear()
    log.ran("UPDATE t SET a = 1", line_num=0)
    log.ran("COMMIT", line_num=0)
    log.write(tmp_path / "2.json")
    found = captured(tmp_path).workload
    assert found.manifest.sessions == 1
    assert max(len(transaction.statements) for transaction in found.transactions) == 3


@forms
def test_an_input_that_grows_meanwhile_is_read_to_where_it_ends(form, tmp_path):
    whole = lines(form)
    path = tmp_path / "server.log"
    path.write_bytes(b"".join(whole[:100]))
    inputs = find_inputs([path], server_logs(Hints())).inputs
    with mock.patch("replay.capture.blocks._BLOCK", 4000):
        blocks = blocks_of(inputs, lambda log, error: None)
        first = next(blocks)
        data = bytes(first.data)
        with path.open("ab") as stream:
            stream.write(b"".join(whole[100:]))
        rest = list(blocks)
    assert data + b"".join(bytes(block.data) for block in rest) == b"".join(whole)
    assert [b.offset for b in rest] == [
        len(data) + sum(len(before.data) for before in rest[:n]) for n in range(len(rest))
    ]
    before, told = b"", Lines()
    for block in (first, *rest):
        assert told.place_of(block, 0) == f"server.log:{1 + before.count(bytes([10]))}"
        before += bytes(block.data)
        told.passed(block, lines_in(block.data))


def of_stamp(stamp: str) -> Callable[[Log], None]:
    return lambda log: log.ran("SELECT 1", timestamp=stamp)


def of_message(message: str) -> Callable[[Log], None]:
    return lambda log: log.line(message=message)


def deadlock(log: Log) -> None:
    log.failed("SELECT 1", "40P01", timestamp="9999-99-99 99:99:99.999 UTC")


@pytest.mark.parametrize(
    "put",
    [
        of_stamp("0000-00-00 00:00:00.000 UTC"),
        of_stamp("1969-01-01 00:00:00.000 UTC"),
        of_stamp("9999-99-99 99:99:99.999 UTC"),
        of_message(f"duration: {'9' * 15}.999 ms  statement: SELECT 1"),
        of_message(f"duration: {'9' * 16}.999 ms  statement: SELECT 1"),
        of_message(f"duration: {'9' * 40}.999 ms  statement: SELECT 1"),
        of_message("duration: 1.000 ms  execute no colon"),
        lambda log: log.ran("SELECT 1", query_id=-(2**63), line_num=2**63 - 1),
        lambda log: log.ran("SELECT 1", session_id=""),
        deadlock,
    ],
)
def test_one_impossible_record_spoils_no_capture(put, tmp_path):
    log = Log()
    for turn in range(2):
        for _ in range(30):
            log.ran("SELECT 2, 3", pid=8)
        if not turn:
            put(log)
    found = captured(log.write(tmp_path / "server.json"))
    (other,) = (t for t in found.workload.templates if t.sql == "select ?, ?")
    assert other.calls == 60
    assert sum(t.weight * len(t.statements) for t in found.workload.transactions) == pytest.approx(
        executions(found), rel=0.05
    )


def test_records_larger_than_a_block_are_whole(tmp_path):
    made = [
        Record(
            pid=7,
            session=0,
            line=line,
            at_us=1_772_366_400_000_000 + line * 1000,
            message=f"duration: 0.100 ms  statement: SELECT '{'x' * size}'",
        )
        for line, size in enumerate([10, 50_000, 10, 9000, 9000, 10], 1)
    ]
    for form, write in WRITERS.items():
        path = tmp_path / form
        path.write_bytes(b"".join(map(write, made)))
        assert captured(path, block=1000).workload.manifest.executions == 6


@pytest.mark.parametrize("piece", ["7", "x", "ab", "é", "Qz9", "\\x", "\\x00ff"])
def test_long_values_are_scrubbed_not_stumbled_over(piece, tmp_path):
    log = Log()
    log.called("INSERT INTO t VALUES ($1)", f"'{piece * 30_000}'")
    log.called("INSERT INTO t VALUES ($1)", f"'\\x{'ab' * 30_000}'")
    found = captured(log.write(tmp_path / "server.json"), block=1 << 20).workload
    first, second = (transaction.statements[0].values for transaction in found.transactions)
    assert len(second[0]) == 60_002
    assert len(first) == 1
