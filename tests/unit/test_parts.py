"""Attempts become Parquet while they are recorded: whole parts at any time, the same whoever writes them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay import rundir
from replay.errors import EnvironmentFaultError
from replay.load import sharding
from replay.load.following import Following
from replay.load.parts import Parts
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.record import BLOCK, CODE_OK, DTYPE, FINAL, records_file

TEMPLATE = "a" * 16
DEADLINE_S = 20
DYING = """
import os, sys
from pathlib import Path
from replay.load.following import Following
here = Path(sys.argv[1])
Following(here, here, here, [0]).begin(0)
os._exit(1)
"""


def recorded(first: int, count: int) -> bytes:
    records = np.zeros(count, dtype=DTYPE)
    records["arrival"] = np.arange(first, first + count)
    records["flags"], records["outcome"] = FINAL, CODE_OK
    records["due"] = records["began"] = records["arrival"] * 1000
    records["ended"] = records["began"] + 5000
    return records.tobytes()


def add(here: Path, content: bytes) -> None:
    with records_file(here, 0).open("ab") as file:
        file.write(content)


def parts(here: Path) -> Parts:
    return Parts(records=here, run=here, worker=0, templates=(TEMPLATE,), origin_ns=0)


def arrivals(here: Path) -> list[int]:
    """As any reader of Parquet has them."""
    found: list[int] = pq.read_table(here / "attempts")["arrival"].to_pylist()
    return found


@pytest.fixture
def here(tmp_path: Path) -> Path:
    rundir.clear_attempts(tmp_path)
    return tmp_path


def test_parts_follow_the_records_and_the_last_one_grows(here: Path) -> None:
    follower, seen = parts(here), 0
    assert follower.catch_up(seen) == 0
    for first, count in ((0, 10), (10, BLOCK), (BLOCK + 10, BLOCK - 10), (2 * BLOCK, 7)):
        content = recorded(first, count)
        add(here, content[:-1])  # the last one is not yet written whole
        assert follower.catch_up(seen) == first + count - 1
        seen = first + count - 1
        assert arrivals(here) == list(range(seen))
        add(here, content[-1:])
    sizes = [rundir.rows_of(file) for file in rundir.attempts_files(here)]
    assert sizes == [BLOCK, BLOCK, 6]
    assert not list(here.glob("*.part"))


def test_what_is_whole_is_not_written_again(here: Path) -> None:
    add(here, recorded(0, 2 * BLOCK + 3))
    parts(here).catch_up(0)
    before = [file.stat().st_ino for file in rundir.attempts_files(here)]
    rows = np.frombuffer(recorded(0, 2 * BLOCK + 9), dtype=DTYPE)
    parts(here).write(rows[begin : begin + 50_000] for begin in range(0, len(rows), 50_000))
    after = [file.stat().st_ino for file in rundir.attempts_files(here)]
    assert after[:2] == before[:2]
    assert after[2:] != before[2:]
    assert arrivals(here) == list(range(2 * BLOCK + 9))


def test_a_part_that_a_lost_machine_left_without_its_end_is_written_again(here: Path) -> None:
    content = recorded(0, BLOCK)
    add(here, content)
    parts(here).catch_up(0)
    (file,) = rundir.attempts_files(here)
    os.truncate(file, 100)
    parts(here).write([np.frombuffer(content, dtype=DTYPE)])
    assert arrivals(here) == list(range(BLOCK))


def test_a_part_that_cannot_be_written_leaves_nothing(here: Path) -> None:
    add(here, recorded(0, 10))
    (here / "attempts").rmdir()
    with pytest.raises(EnvironmentFaultError, match="cannot write the attempts"):
        parts(here).catch_up(0)
    assert not list(here.glob("*.part"))


def test_attempts_of_one_file_are_read_too(here: Path) -> None:
    add(here, recorded(0, 10))
    parts(here).catch_up(0)
    table = rundir.read_table(here, "attempts")
    (here / "earlier").mkdir()
    rundir.write_table(here / "earlier", "attempts", table)
    assert rundir.read_table(here / "earlier", "attempts").equals(table)
    assert pa.concat_tables(rundir.read_blocks(here / "earlier", "attempts")).equals(table)


@pytest.fixture
def shards(here: Path) -> Path:
    statement = PlannedStatement(template=TEMPLATE, sql="SELECT 1", prepared=None, values=())
    sharding.write_shards(here, [PlannedTransaction(due_us=0, statements=(statement,))])
    return here


def until_there(here: Path, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while sum(map(rundir.rows_of, rundir.attempts_files(here))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert arrivals(here) == list(range(count))


def test_a_process_follows_what_is_recorded(shards: Path) -> None:
    add(shards, recorded(0, 10))
    with Following(shards, shards, shards, [0, 1]) as following:
        following.begin(0)
        until_there(shards, 10)


def test_where_the_starter_dies_what_was_recorded_is_written(shards: Path) -> None:
    add(shards, recorded(0, 10))
    subprocess.run([sys.executable, "-c", DYING, str(shards)], check=False)
    until_there(shards, 10)
