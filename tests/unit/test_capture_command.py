"""What the capture command says of logs that are broken in part, and with which exit code it ends."""

import pytest
from made_lines import csv_line, json_line

from replay import bundle
from replay.cli import status

KINDS = {"csvlog": csv_line, "jsonlog": json_line}


@pytest.fixture(params=KINDS)
def line(request):
    return KINDS[request.param]


@pytest.fixture
def command(tmp_path, capsys):
    """Capture a log of these bytes: exit code, what was said on both streams, the workload's place."""

    def run(content: bytes):
        log, out = tmp_path / "server.log", tmp_path / "w.workload"
        log.write_bytes(content)
        code = status(["capture", str(log), "-o", str(out)])
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split()), out

    return run


def mixed(line, good: int, bad: int) -> bytes:
    """Records, each bad line behind some of the good ones; the first bad one is the second line."""
    lines = [line(line_num=str(n + 1)) for n in range(good)]
    for n in range(bad):
        lines.insert(1 + 2 * n, b"@@@ no record at all\n")
    return b"".join(lines)


def test_few_broken_lines_are_counted_and_no_more_said(command, line):
    code, said, out = command(mixed(line, 500, 2))
    assert code == 0
    (skip,) = bundle.read_manifest(out).skipped
    assert (skip.count, skip.first) == (2, "server.log:2")
    assert "server.log:2" in said
    assert "are no records" not in said


def test_more_than_one_in_a_hundred_is_a_warning(command, line):
    code, said, out = command(mixed(line, 500, 20))
    assert code == 0
    assert "3.9 % of the log's lines are no records and were passed over" in said
    (skip,) = bundle.read_manifest(out).skipped
    assert (skip.count, skip.first) == (20, "server.log:2")


def test_more_than_half_is_an_error(command, line):
    code, said, out = command(line() * 3 + b"@@@ no record at all\n" * 20)
    assert code == 2
    assert "20 of 23 lines are no records (server.log:4: " in said
    assert not out.exists()


def test_what_is_no_log_is_refused_with_its_first_line(command):
    code, said, out = command(b"127.0.0.1 - - [01/Mar/2026] GET /\n" * 50)
    assert code == 2
    assert "'127.0.0.1 - - [01/Mar/2026] GET /'" in said
    assert not out.exists()


def test_a_log_without_statements_is_refused_with_what_to_set(command, line):
    code, said, _ = command(line(message="checkpoint starting: time", backend_type="checkpointer"))
    assert code == 2
    assert "log_min_duration_statement = 0" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--setting", "log_statement_sampel_rate=0.1"), "means nothing to a capture"),
        (("--setting", "log_statement_sample_rate"), "write it as"),
        (("--setting", "log_statement_sample_rate=7"), "is no rate from 0 to 1"),
        (("--setting", "log_min_duration_statement=soon"), "is no duration"),
        (("--window", "tomorrow", "-"), "is no moment"),
        (("--window", "2026-03-02", "2026-03-01"), "does not come after its begin"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path, capsys, options, said):
    (tmp_path / "server.log").write_bytes(csv_line())
    out = tmp_path / "w.workload"
    assert status(["capture", str(tmp_path / "server.log"), "-o", str(out), *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
