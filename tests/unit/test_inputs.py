"""Inputs: found by content, however packed and named; the same log is never taken twice."""

import gzip
import io
import lzma
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from made_lines import cloudnativepg_line, csv_line, json_line

from replay.capture.formats import Hints
from replay.capture.inputs import STDIN, Found, find_inputs, open_stream, position, server_logs
from replay.capture.packed import BREAKS_OFF
from replay.errors import InputError


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


PACKED = {"plain": bytes, "gz": gzip.compress, "xz": lzma.compress, "zst": zstd}


def found(*paths: Path, **hints: str) -> Found:
    return find_inputs(paths, server_logs(Hints(**hints)))


def names(of: Found) -> list[str]:
    return [log.name for log in of.inputs]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(data)
    return path


def at(minute: int) -> str:
    return f"2026-03-01 12:{minute:02}:00.000 UTC"


@pytest.fixture(params=PACKED)
def pack(request):
    return PACKED[request.param]


def test_files_are_unpacked_by_their_content_and_parts_are_joined(tmp_path, pack):
    text = csv_line() * 5000
    file = write(tmp_path / "server.log", pack(text[:700_000]) + pack(text[700_000:]))
    (log,) = found(file).inputs
    assert (log.format.name, log.bytes) == ("csvlog", file.stat().st_size)
    assert log.started_us == 1_772_367_000_123_000
    with open_stream(log) as stream:
        assert stream.read(1000) == text[:1000]
        assert 0 < position(stream) <= log.bytes
        rest = bytearray(2_000_000)
        assert stream.readinto(rest) == len(text) - 1000
        assert rest[: len(text) - 1000] == text[1000:]
        assert stream.read(1) == b""
        assert position(stream) == log.bytes


@pytest.mark.parametrize("how", ["gz", "xz", "zst"])
def test_a_truncated_archive_is_read_as_far_as_it_goes(tmp_path, how):
    text = b"".join(csv_line(message=str(n * 7919)) for n in range(20_000))
    (log,) = found(write(tmp_path / "log", PACKED[how](text)[:-200])).inputs
    with open_stream(log) as stream:
        read = stream.read(100_000_000)
        assert text.startswith(read)
        assert len(read) > len(text) - 500_000
        with pytest.raises(BREAKS_OFF):
            stream.read(1)


def test_a_damaged_archive_is_refused_by_name(tmp_path):
    file = write(tmp_path / "log.gz", b"\x1f\x8b" + b"\xff" * 99)
    with pytest.raises(InputError, match=r"log\.gz: cannot be read"):
        found(file)


def test_stdin_is_read_once_and_whole(monkeypatch, pack):
    text = b"".join(csv_line(message=str(n * 7919)) for n in range(5000))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(text))))
    (log,) = found(STDIN).inputs
    assert (log.name, log.bytes, log.format.name) == ("stdin", 0, "csvlog")
    assert log.started_us == 1_772_367_000_123_000
    with open_stream(log) as stream:
        assert stream.read() == text
        assert position(stream) == len(pack(text))


def test_files_directories_and_patterns_each_once_in_time_order(tmp_path):
    for name, minute in (("b.csv", 1), ("a.csv", 3), ("c.csv", 2)):
        write(tmp_path / name, csv_line(timestamp=at(minute)))
    write(tmp_path / "pod" / "x.json", cloudnativepg_line(timestamp=at(0)))
    write(tmp_path / "empty.csv", b"")
    write(tmp_path / "notes.txt", b"buy milk\n")
    given = (tmp_path / "?.csv", tmp_path / "a.csv", tmp_path, tmp_path / "**" / "x.json")
    assert names(found(*given)) == ["x.json", "b.csv", "c.csv", "a.csv"]
    assert found(*given).notes == (
        f"{tmp_path} holds files that are no logs known here: notes.txt",
    )


def test_a_first_record_that_is_longer_than_the_head_still_has_its_time(tmp_path):
    for name, minute, line in (("a", 2, csv_line), ("b", 1, json_line), ("c", 0, csv_line)):
        write(tmp_path / f"{name}.log", line(timestamp=at(minute), message="x" * 200_000))
    logs = [tmp_path / f"{name}.log" for name in "abc"]
    assert names(found(*logs)) == ["c.log", "b.log", "a.log"]


def test_one_servers_log_in_several_formats_is_taken_once(tmp_path):
    for day in ("1", "2"):
        write(tmp_path / f"log-{day}.csv", csv_line())
        write(tmp_path / f"log-{day}.json.gz", gzip.compress(json_line()))
    write(tmp_path / "elsewhere" / "log-1.csv", csv_line())
    everything = found(tmp_path, tmp_path / "elsewhere")
    assert sorted(names(everything)) == ["log-1.csv", "log-1.json.gz", "log-2.json.gz"]
    (note,) = everything.notes
    assert note.startswith("log-1.csv, log-2.csv left out: the same server's jsonlog lies beside")
    named = found(tmp_path / "log-1.csv", tmp_path / "log-1.json.gz")
    assert (names(named), len(named.notes)) == (["log-1.json.gz"], 1)
    different = found(tmp_path / "log-1.csv", tmp_path / "log-2.json.gz")
    assert (len(different.inputs), different.notes) == (2, ())


def test_what_cannot_be_read_is_refused_with_the_way_out(tmp_path):
    strange = write(tmp_path / "server.log", b"\nTraceback (most recent call last):" + b"x" * 300)
    with pytest.raises(
        InputError, match=r"first line is 'Traceback .*x{150,180}'; if it is .* or set log_dest"
    ):
        found(strange)
    with pytest.raises(InputError, match="no such file"):
        found(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="no file matches"):
        found(tmp_path / "*.csv")
    for empty in (write(tmp_path / "void" / "empty.csv", b""), tmp_path / "void"):
        with pytest.raises(InputError, match=r"holds no log record; set log_destination"):
            found(empty)


def test_a_file_may_begin_in_the_middle_of_a_record(tmp_path):
    text = csv_line(message="a\nb,\nc" * 100)[200:] + csv_line(timestamp=at(5))
    (log,) = found(write(tmp_path / "rotated.csv", text)).inputs
    assert log.started_us == 1_772_366_700_000_000
    for cut in (300, 3):
        (half,) = found(write(tmp_path / "half.json", json_line()[cut:] + json_line())).inputs
        assert half.format.name == "jsonlog"
