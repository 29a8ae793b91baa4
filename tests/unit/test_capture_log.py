"""Capture of hand-made logs: every line shape that PostgreSQL has, and every way to break off."""

import gzip
import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_log import START, Log

from replay.capture import Captured, Options, capture
from replay.capture.formats import Hints, recognise
from replay.errors import InputError
from replay.tag import APPLICATION_NAME
from replay.workload import Template


def captured(
    *paths: Path, progress: Callable[[int, int], None] | None = None, **options: object
) -> Captured:
    return capture(paths, asked=None, key=b"k", options=Options(**options), progress=progress)


def template(of: Captured, sql: str) -> Template:
    (found,) = (t for t in of.workload.templates if t.sql == sql)
    return found


def shapes(of: Captured) -> list[list[str]]:
    """The SQL of every kept transaction."""
    return [[s.sql for s in t.statements] for t in of.workload.transactions]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "server.json"


def test_a_transaction_is_one_unit_and_a_statement_outside_is_one(log, file):
    log.ran("SELECT 1")
    log.ran("BEGIN")
    log.ran("SELECT 2, 3", pid=8)  # another session in between
    log.ran("UPDATE t SET a = 1 WHERE id = 5")
    log.ran('SAVEPOINT "s"')
    log.ran('ROLLBACK TO "s"')
    log.ran("COMMIT AND CHAIN")
    log.ran("DELETE FROM t")
    log.ran("END")
    log.ran("BEGIN; INSERT INTO t VALUES (1); COMMIT")
    log.ran("SELECT 4, 5, 6")
    found = captured(log.write(file))
    assert sorted(shapes(found)) == sorted(
        [
            ["select $1"],
            ["select $1, $2"],
            [
                "begin",
                "update t set a = $1 where id = $2",
                'savepoint "s"',
                'rollback to "s"',
                "commit and chain",
            ],
            ["delete from t", "end"],
            ["begin; insert into t values ($1); commit"],
            ["select $1, $2, $3"],
        ]
    )
    manifest = found.workload.manifest
    assert (manifest.transactions, manifest.executions, manifest.sessions) == (6, 11, 2)
    assert manifest.complete


def test_only_executions_are_calls_and_they_take_parse_and_bind_with_them(log, file):
    log.called("SELECT a FROM t WHERE id = $1", "'5'", ms=2)
    log.line(message="duration: 0.500 ms  execute fetch from <unnamed>/c: SELECT a FROM t")
    log.called("SELECT a FROM t WHERE id = $1", "'5'", ms=2, name="s1")
    log.called("SELECT a FROM t WHERE id = $1", "'5'", ms=2, name="s1/portal")
    log.line(message="duration: 9.000 ms  plan:\nSeq Scan on t")
    found = captured(log.write(file))
    (only,) = found.workload.templates
    assert (only.calls, only.errors, only.total_ms) == (3, 0, pytest.approx(3 * 2.01 + 0.02))
    statements = [t.statements[0] for t in found.workload.transactions]
    assert [s.prepared for s in statements] == ["", "s1", "s1"]
    assert statements[0].duration_us == 2030
    # Stamped at its end: the third line, a millisecond each; parse and bind came before.
    assert found.workload.manifest.begin == START + timedelta(microseconds=3000 - 2030)


def test_values_are_decoded_before_they_are_scrubbed(log, file):
    sql = "INSERT INTO t VALUES ($1, $2, $3, '42', 43)"
    log.called(sql, "'7'", "NULL", "'it''s,\n$2 = ''x'''")
    (unit,) = captured(log.write(file)).workload.transactions
    values = unit.statements[0].values
    assert unit.statements[0].slots == "pppsn"
    assert values[:2] == ("7", None)
    assert [c for c in values[2] if not c.isalnum()] == list("',\n$ = ''")
    assert values[3:] == ("42", "43")


def test_errors_count_with_the_values_of_their_bind(log, file):
    sql = "UPDATE t SET a = $1"
    log.called(sql, "'1'", name="s1")
    log.line(
        message=f"duration: 0.010 ms  bind s1: {sql}",
        detail="parameters: $1 = '77'",
    )
    log.failed(sql, "40P01")
    log.failed(sql, "55P03", context="unnamed portal with parameters: $1 = '78'")
    log.failed("SELECT nothing(", "42601", error_severity="WARNING")
    found = captured(log.write(file))
    (only,) = found.workload.templates
    assert (only.calls, only.errors, only.total_ms) == (3, 2, pytest.approx(0.11))
    failed = [t.statements[0] for t in found.workload.transactions if t.statements[0].error]
    assert [(s.error, s.values, s.prepared) for s in failed] == [
        ("40P01", ("77",), "s1"),
        ("55P03", ("78",), ""),
    ]
    assert failed[0].duration_us == 1000  # from its bind to its error


def test_a_failed_call_without_its_values_is_counted_and_not_kept_to_be_sent(log, file):
    sql = "INSERT INTO t (a) VALUES ($1)"
    log.ran("SELECT 1")
    log.failed(sql, "23502")
    found = captured(log.write(file))
    (insert,) = [t for t in found.workload.templates if t.errors]
    assert (insert.calls, insert.kept) == (1, 1)
    sent = [s.template for t in found.workload.transactions for s in t.statements]
    assert insert.id not in sent
    assert len(sent) == 1


def test_the_window_is_where_durations_were_logged(log, file):
    log.failed("SELECT nothing(", "42601", timestamp="2026-01-01 00:00:00.000 UTC")
    for second in (10, 20):
        log.ran("SELECT 1", timestamp=f"2026-01-01 01:00:{second}.000 UTC")
    log.failed("SELECT nothing(", "42601", timestamp="2026-01-01 02:00:00.000 UTC")
    found = captured(log.write(file)).workload
    assert found.window_s == pytest.approx(10, abs=0.01)
    assert min(t.start_us for t in found.transactions) == 0
    assert sum(t.errors for t in found.templates) == 2


def test_a_failed_commit_ends_the_transaction_and_so_does_a_fatal_error(log, file):
    log.ran("BEGIN")
    log.failed("COMMIT", "23503")
    log.ran("SELECT 1")
    log.ran("BEGIN")
    log.failed("SELECT pg_sleep(9)", "57P01", error_severity="FATAL")
    found = captured(log.write(file))
    assert sorted(map(len, shapes(found))) == [1, 2, 2]


def test_log_statement_texts_are_paired_with_their_durations(log, file):
    log.line(message="statement: UPDATE t SET a = 1")
    log.line(message="duration: 1.500 ms")
    log.line(message="duration: 0.010 ms  bind s1: DELETE FROM t WHERE id = $1")
    log.line(message="execute s1: DELETE FROM t WHERE id = $1", detail="parameters: $1 = '4'")
    log.line(message="duration: 2.000 ms", query_id=99)
    log.line(message="duration: 3.000 ms")  # of a parse under log_duration: nobody's
    found = captured(log.write(file))
    assert template(found, "update t set a = ?").total_ms == pytest.approx(1.5)
    deleted = template(found, "delete from t where id = $1")
    assert (deleted.calls, deleted.query_ids) == (1, ((99, 1),))
    assert found.workload.manifest.executions == 2
    values = [t.statements[0].values for t in found.workload.transactions]
    assert ("4",) in values


def test_statements_of_a_session_do_not_overlap(log, file):
    for _ in range(20):
        log.now -= timedelta(milliseconds=1)  # all in one millisecond
        log.ran("SELECT 1", ms=0.04)
    assert captured(log.write(file)).workload.manifest.peak_concurrency == 1


@pytest.mark.parametrize("texts", ["ddl", "mod"])
def test_what_log_statement_logs_in_any_case_is_not_taken_for_a_draw(log, file, texts):
    log.line(message="statement: CREATE TABLE t (a int)")
    log.line(message="statement: UPDATE t SET a = 1")
    log.line(message="duration: 0.100 ms")  # it was drawn, too
    log.ran("SELECT a FROM t")
    for sql in ("BEGIN", "SELECT a FROM t", "COMMIT"):
        log.ran(sql)
    settings = {
        "log_min_duration_statement": "-1",
        "log_transaction_sample_rate": "0.1",
        "log_statement": texts,
    }
    options = Options(settings=settings)
    workload = capture([log.write(file)], asked=None, key=b"k", options=options).workload
    weights = {t.statements[0].sql.split()[0]: t.weight for t in workload.transactions}
    drawn = 1.0 if texts == "mod" else 10.0
    assert weights == pytest.approx({"create": 1.0, "update": drawn, "select": 10.0, "begin": 10.0})
    assert any(f"log_statement = {texts}" in note for note in workload.manifest.notes)


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("duração: 0.100 ms  comando: SELECT 1", "Portuguese"),
        ("Dauer: 0.100 ms  Anweisung: SELECT 1", ""),
        ("продолжительность: 0.100 мс, оператор: SELECT 1", ""),
        ("文: SELECT 1", ""),
    ],
)
def test_messages_in_another_language_are_read_or_told_of(log, file, message, language):
    log.ran("SELECT 1")
    for _ in range(300):
        log.line(message=message)
    manifest = captured(log.write(file)).workload.manifest
    told = f"server.json has messages in {language} (lc_messages)"
    assert any(told in note for note in manifest.notes) == bool(language)
    assert manifest.executions == (1 if language else 301)


def test_broken_lines_are_counted_and_named(log, file):
    for _ in range(150):
        log.ran("SELECT 1")
    log.lines[1] = log.lines[1][:40]
    log.lines[2] = '{"some": "thing"}'
    log.lines[3] = log.lines[3].replace("2026-03-01", "yesterday")
    found = captured(log.write(file)).workload.manifest
    assert {s.reason: (s.count, s.first) for s in found.skipped} == {
        "line is no valid JSON": (1, "server.json:2"),
        "JSON, but no record of jsonlog": (2, "server.json:3"),
    }
    assert (found.records, found.executions, found.complete) == (147, 147, True)
    assert found.notes == ("2 % of the log's lines are no records and were passed over",)


def test_a_log_that_breaks_off_is_captured_and_said_to_be_incomplete(log, file):
    for _ in range(300):
        log.ran("SELECT 1")
    log.write(file, end="\n" + log.lines[0][:100])
    found = captured(file).workload.manifest
    assert found.executions == 300
    assert [s.reason for s in found.skipped] == ["line is cut off"]
    assert not found.complete
    assert found.notes == ("server.json breaks off in the middle",)


def test_a_log_in_another_encoding_is_read(log, file):
    log.ran("SELECT 'é'")
    log.ran("SELECT 1")
    file.write_bytes("\n".join(log.lines).encode().replace(rb"\u00e9", b"\xe9") + b"\n")
    assert captured(file).workload.manifest.executions == 2


def test_mostly_broken_input_is_refused(log, file):
    log.ran("SELECT 1")
    log.lines += ["Traceback (most recent call last):"] * 2
    with pytest.raises(InputError, match=r"2 of 3 lines are no records \(server\.json:2"):
        captured(log.write(file))


def test_input_that_cannot_serve_says_what_to_set(tmp_path, log):
    empty = tmp_path / "empty.json"
    empty.touch()
    for unusable in (empty, tmp_path):
        with pytest.raises(InputError, match=r"log_destination = 'jsonlog'.*log_min_duration_"):
            captured(unusable)
    log.line(message="connection authorized: user=alice")
    with pytest.raises(InputError, match=r"none of its 1 records is a statement.*log_transaction_"):
        captured(log.write(tmp_path / "quiet.json"))
    with pytest.raises(InputError, match="no such file"):
        captured(tmp_path / "absent.json")
    other = tmp_path / "server.log"
    other.write_text("2026-03-01 [7] LOG:  " + "x" * 300 + "\n")
    with pytest.raises(
        InputError, match=r"first line is '2026-03-01.*x{150,180}'; if it is .* --prefix; or set"
    ):
        captured(other)


def test_files_of_a_directory_are_taken_in_time_order_packed_ones_too(tmp_path, log):
    log.ran("BEGIN")
    early = log.lines.copy()
    log.lines.clear()
    log.ran("COMMIT")
    log.write(tmp_path / "a.json")
    with gzip.open(tmp_path / "b.json.gz", "wt") as stream:
        stream.write("\n".join(early) + "\n")
    (tmp_path / "server.log").write_text("ending log output to stderr\n")
    told: list[tuple[int, int]] = []
    found = captured(tmp_path, tmp_path / "a.json", progress=lambda *at: told.append(at))
    assert found.workload.manifest.inputs == ("b.json.gz", "a.json")
    assert shapes(found) == [["begin", "commit"]]
    total = sum((tmp_path / name).stat().st_size for name in ("a.json", "b.json.gz"))
    assert told[-1] == (total, total)


def test_own_sessions_and_other_processes_are_left_out(log, file):
    log.ran("SELECT 1")
    log.ran("SELECT 2, 3", application_name=APPLICATION_NAME, pid=8)
    log.failed("SELECT 4", "57014", backend_type="parallel worker", pid=9)
    found = captured(log.write(file)).workload
    assert [t.sql for t in found.templates] == ["select ?"]
    assert [(s.count, s.first) for s in found.manifest.skipped] == [(1, "server.json:2")]


def by_signal(_done: int, _total: int) -> None:
    signal.raise_signal(signal.SIGINT)


def by_exception(_done: int, _total: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [by_signal, by_exception])
def test_ctrl_c_keeps_what_was_read(tmp_path, log, stop):
    for number in range(3):
        log.ran("SELECT 1")
        log.write(tmp_path / f"{number}.json")
        log.lines.clear()
    found = captured(tmp_path, progress=stop)
    assert found.interrupted
    assert not found.workload.manifest.complete
    assert found.workload.manifest.executions == 1
    assert "interrupted" in found.workload.manifest.notes[0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nobodys_name_enters_the_workload(log, file):
    log.line(
        message="duration: 1.000 ms  statement: SET application_name = 'alice-laptop'",
        remote_host="192.168.7.9",
        application_name="alice-service",
    )
    text = repr(captured(log.write(file)))
    for name in ("alice", "laptop", "192.168", "69a42a40"):
        assert name not in text


@pytest.mark.parametrize(
    ("zone", "hours"), [("CET", 1), ("-03", -3), ("IST", 5.5), ("UTC", 0)], ids=str
)
def test_a_time_zone_is_learned_from_the_sessions_start(zone, hours):
    local = START + timedelta(hours=hours)
    line = {
        "timestamp": f"{local:%Y-%m-%d %H:%M:%S}.250 {zone}",
        "pid": 7,
        "session_id": f"{int(START.timestamp()):x}.7",
        "session_start": f"{local:%Y-%m-%d %H:%M:%S} {zone}",
        "line_num": 1,
        "message": "",
    }
    text = json.dumps(line).encode() + b"\n"
    columns = recognise(text, Hints()).parse(memoryview(text))
    at = datetime.fromtimestamp(int(columns.at_us[0]) / 1e6, UTC)
    assert at == START + timedelta(milliseconds=250)


def test_the_same_seed_and_key_give_the_same_workload(log, file):
    for number in range(500):
        log.called("SELECT a FROM t WHERE id = $1", f"'{number * 7919}'", pid=number % 5)
    log.write(file)
    first = captured(file, per_stratum=8).workload
    assert first == captured(file, per_stratum=8).workload
    assert first.transactions != captured(file, per_stratum=8, seed=1).workload.transactions
    (only,) = first.templates
    assert sum(t.weight for t in first.transactions) == pytest.approx(only.calls)
    assert only.kept == len(first.transactions) < 100
