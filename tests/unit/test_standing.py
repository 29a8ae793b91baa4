"""What sessions had set before a window of the log: it is in force there, and so in the replay."""

from pathlib import Path

import numpy as np
import pytest
from made_log import START, Log

from replay import bundle
from replay.capture import Options, blocks, capture, standing
from replay.conduct.arrivals import arrivals
from replay.conduct.options import RunOptions
from replay.load.settings import at_begin
from replay.workload import Workload

BEGIN = START.replace(minute=1)


@pytest.fixture
def log() -> Log:
    return Log()


def window(log: Log, directory: Path, **options: object) -> Workload:
    """The log from BEGIN on."""
    file = log.write(directory / "server.json")
    chosen = Options(begin=BEGIN, **options)  # type: ignore[arg-type]
    return capture([file], asked=None, key=b"k", options=chosen).workload


def in_window(log: Log, *sql: str, pid: int = 7) -> None:
    log.now = max(log.now, BEGIN)
    for one in sql:
        log.ran(one, pid=pid)


SETS = [
    (["SET search_path = x"], ["search_path = x"]),
    (["SET search_path = x", "SELECT 1", "SET search_path TO y, z"], ["search_path to y, z"]),
    (["SET work_mem = '7MB'", "SET SCHEMA 'x'"], ["work_mem = '7MB'", "schema 'x'"]),
    (["SET work_mem = 1", "RESET work_mem"], []),
    (["SET a.b = 1", "DISCARD ALL", "SET TIME ZONE 'UTC'"], ["time zone 'UTC'"]),
    (["SET LOCAL work_mem = 1", "SET TRANSACTION READ ONLY", "SET ROLE boss"], []),
    (["BEGIN", "SET search_path = x", "SELECT 1", "COMMIT"], ["search_path = x"]),
    (["BEGIN", "SET search_path = x", "ROLLBACK"], []),
    (["SET search_path = x", "BEGIN", "SET search_path = y", "ABORT"], ["search_path = x"]),
    (["BEGIN", "SET search_path = x", "!SELECT 1/0", "COMMIT"], []),
    (["!SET search_path = x"], []),
]


@pytest.mark.parametrize("block", [1 << 20, 300])  # bytes that are read at once
@pytest.mark.parametrize(("before", "expected"), SETS)
def test_a_window_knows_what_its_sessions_had_set(
    log, tmp_path, monkeypatch, before, expected, block
):
    monkeypatch.setattr(blocks, "_BLOCK", block)
    for sql in before:
        if sql.startswith("!"):
            log.failed(sql[1:], "22012")
        else:
            log.ran(sql)
    in_window(log, "SELECT 1")
    found = window(log, tmp_path, everything=True)
    (one,) = found.transactions
    told = tuple(f"set {one}" for one in expected)
    assert at_begin(found.standing) == ({one.session: told} if told else {})
    assert {template.sql for template in found.templates} == {"select ?"}


def test_a_transaction_that_reaches_into_the_window_counts_before_it(log, tmp_path):
    for sql in ("BEGIN", "SET work_mem = 1"):
        log.ran(sql)
    in_window(log, "SET search_path = x", "COMMIT", "SELECT 1")
    found = window(log, tmp_path, everything=True)
    (settings,) = at_begin(found.standing).values()
    assert settings == ("set work_mem = 1", "set search_path = x")
    assert [one.statements[0].sql for one in found.transactions] == ["select $1"]


def test_of_sessions_that_the_window_has_not_nothing_is_kept(log, tmp_path):
    log.ran("SET search_path = gone", pid=8)
    log.ran("SET search_path = old", pid=9)
    in_window(log, "SELECT 1")
    log.ran("SELECT 1", pid=9, session_id="69a42a41.9", line_num=1)  # another one of that pid
    assert window(log, tmp_path, everything=True).standing == ()


def test_values_are_scrubbed_as_those_of_the_window_are(log, tmp_path):
    log.ran("SET app.customer = 'Alice Miller'")
    log.ran("SET statement_timeout = '5s'")
    in_window(log, "SET app.customer = 'Alice Miller'", "SELECT 1")
    found = window(log, tmp_path)
    ((customer, timeout),) = at_begin(found.standing).values()
    assert "Alice" not in customer
    assert timeout == "set statement_timeout = '5s'"
    (inside,) = [one for one in found.transactions if one.statements[0].values[0] != "1"]
    assert repr(inside.statements[0].values[0]) in customer


def test_what_was_set_is_in_force_in_a_recording_and_in_the_mix(log, tmp_path):
    log.ran("SET search_path = x")
    in_window(log, *["SELECT 1"] * 50)
    in_window(log, *["SELECT 1"] * 50, pid=8)
    rng = np.random.default_rng(1)
    for scenario in ("as_recorded", "mix"):
        found = window(log, tmp_path, everything=scenario == "as_recorded")
        bundle.write(tmp_path / "a.workload", found, None)
        source = bundle.read(tmp_path / "a.workload")
        (setting,) = source.standing
        options = RunOptions(scenario=scenario, duration_s=60.0)
        planned = [
            (one.session == setting.session, more["settings"])
            for _, one, more in arrivals(source, options, {}, (), rng)
        ]
        assert set(planned) == {(True, ("set search_path = x",)), (False, ())}


def test_memory_is_bounded_whatever_sessions_set(log, tmp_path, monkeypatch):
    monkeypatch.setattr(standing, "_DISTINCT_AT_MOST", 2)
    for pid in range(7, 10):
        log.ran("SET search_path = x", pid=pid)
        log.ran(f"SET work_mem = {pid}", pid=pid)
    for pid in range(7, 10):
        in_window(log, "SELECT 1", pid=pid)
    found = at_begin(window(log, tmp_path).standing)
    path = "set search_path = x"
    assert sorted(found.values()) == [(path,), (path,), (path, "set work_mem = 7")]


def test_without_a_window_nothing_was_set_before(log, tmp_path):
    log.ran("SET search_path = x")
    in_window(log, "SELECT 1")
    file = log.write(tmp_path / "server.json")
    assert capture([file], asked=None, key=b"k", options=Options()).workload.standing == ()
