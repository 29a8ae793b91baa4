"""A capture that is stopped, in whatever way, leaves a readable workload of what it had read."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_command import Command, is_alive, until
from made_lines import csv_line

from replay import bundle
from replay.cli import status

BLOCK = 8 << 20
WHOLE = 3  # blocks that are given at once


def block(number: int) -> bytes:
    """A little more of a log than is read at once: of a session of its own."""
    line = csv_line(
        pid=str(1000 + number),
        session_id=f"69a42a40.{1000 + number:x}",
        message=f"duration: 0.100 ms  statement: SELECT 1 -- {'x' * 900}",
    )
    return line * (BLOCK // len(line) + 2)


@contextmanager
def log_that_goes_on(path: Path, *, every_s: float) -> Iterator[threading.Event]:
    """A pipe that gives the beginning of a log, and a block more every so often, without end.

    The event says that the beginning was taken.
    """
    os.mkfifo(path)
    done, given = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with path.open("wb", buffering=0) as pipe:
                number = 0
                while number < WHOLE or not done.wait(every_s):
                    data = memoryview(block(number))
                    while data:
                        data = data[pipe.write(data) :]
                    number += 1
                    if number == WHOLE:
                        given.set()
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write, daemon=True)  # it waits for whoever reads
    writer.start()
    try:
        yield given
    finally:
        done.set()
        writer.join(20)
        assert not writer.is_alive()


def inspected(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    assert status(["inspect", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_capture_that_waits_for_its_input_can_be_stopped(tmp_path, capsys, number, jobs):
    log, out, said = tmp_path / "log", tmp_path / "w.workload", tmp_path / "said"
    with log_that_goes_on(log, every_s=60) as given:
        running = Command("capture", log, "-o", out, "--jobs", jobs, said=said)
        assert given.wait(180)  # loops may have to be compiled
        workers = running.children()
        running.stop(number)
        ended = running.ended()
    assert ended.status == 130
    assert "Traceback" not in ended.said
    manifest = bundle.read(out).manifest
    assert not manifest.complete
    assert manifest.executions > 0
    assert "the capture was interrupted: the rest of the log was not read" in manifest.notes
    assert inspected(out, capsys)["executions"] == manifest.executions
    assert not (tmp_path / "w.workload.part").exists()
    until(lambda: not any(map(is_alive, workers)))


def test_what_a_killed_capture_had_read_is_there(tmp_path, capsys):
    """Saved beside its place after a second of an input without end."""
    log, out, part = (tmp_path / name for name in ("log", "w.workload", "w.workload.part"))
    with log_that_goes_on(log, every_s=0.5):
        running = Command("capture", log, "-o", out, "--jobs", 2, said=tmp_path / "said")
        until((part / "manifest.json").is_file, within_s=180)
        workers = running.children()
        running.stop(signal.SIGKILL)
        ended = running.ended()
        assert ended.status == -signal.SIGKILL
        until(lambda: not any(map(is_alive, workers)))
    assert workers
    assert re.search(r"^reading +\d+ MB, \d+ MB/s$", ended.said, re.MULTILINE)  # of a pipe: no end
    assert not out.exists()
    manifest = bundle.read(part).manifest
    assert not manifest.complete
    assert "the capture was killed: the rest of the log was not read" in manifest.notes
    assert inspected(part, capsys)["executions"] == manifest.executions > 0
    assert status(["inspect", str(out)]) == 0  # by the name that it was given
    assert "w.workload was never finished" in capsys.readouterr().err
    assert (tmp_path / "w.workload.key").is_file()
