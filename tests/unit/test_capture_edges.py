"""What a hostile log does at the edges of capture."""

import pyarrow as pa
from made_log import Log

from replay.capture import capture
from replay.capture.formats.texts import Texts
from replay.capture.messages import NOTHING, said
from replay.report.inspect.mix import mix


def workload(log, tmp_path):
    return capture([log.write(tmp_path / "server.json")], asked=None, key=b"k").workload


def test_a_duration_is_of_digits():
    """Anybody can RAISE LOG."""
    kinds, _, _ = said(
        Texts.of(pa.array([b"duration: x.500 ms  statement: SELECT 1"], pa.binary()))
    )
    assert kinds.tolist() == [NOTHING]


def test_an_error_begins_at_a_bind_of_its_own_statement_alone(tmp_path):
    log = Log()
    log.ran("SELECT 1")
    log.line(message="duration: 0.010 ms  bind s1: DELETE FROM t WHERE id = $1")
    for _ in range(1000):
        log.ran("SELECT 1", pid=8)
    log.failed("UPDATE t SET a = 1", "40P01")
    failed = [t for t in workload(log, tmp_path).transactions if t.statements[0].error]
    assert failed[0].statements[0].duration_us == 0


def test_the_time_of_a_fetch_is_not_that_of_the_text_before(tmp_path):
    log = Log()
    log.line(message="execute s1/c: SELECT a FROM t")
    log.line(message="execute fetch from s1/c: SELECT a FROM t")
    log.line(message="duration: 5000.000 ms")
    (only,) = workload(log, tmp_path).templates
    assert (only.calls, only.total_ms) == (1, 0)


def test_a_number_of_any_length_is_scrubbed(tmp_path):
    log = Log()
    log.ran("SELECT " + "7" * 5000)
    log.ran("SELECT 0x" + "f" * 5000)
    assert len(workload(log, tmp_path).transactions) == 2


def test_slices_do_not_go_beyond_the_window(tmp_path):
    log = Log()
    log.ran("SELECT 1")
    log.ran("SELECT 1")
    log.failed("SELECT 1", "40P01", timestamp="2026-03-02 12:00:00.000 UTC")
    found = workload(log, tmp_path)
    assert len(found.templates[0].calls_per_slice) == 2
    assert mix(found).rate == (3,)


def test_a_stamp_that_is_no_date_is_no_record(tmp_path):
    log = Log()
    log.ran("SELECT 1")
    log.ran("SELECT 1", timestamp="9999-99-99 99:99:99.999 UTC")
    log.ran("SELECT 1")
    found = workload(log, tmp_path)
    assert found.window_s < 1
    assert [skip.count for skip in found.manifest.skipped] == [1]
