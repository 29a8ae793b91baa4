"""A load is planned, read, brought in and judged a block at a time: of more statements, no more memory."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import threading
import time
from pathlib import Path
import numpy as np
from replay import rundir
from replay.load import record, shard, sharding
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.collect import collect
from replay.load.report import WorkerReport, write_worker
from replay.load.transactions import transactions
from replay.load.verdict import judge

here, count = Path(sys.argv[1]), int(sys.argv[2])
most_kb = 0

def watch():  # its own memory: pages of files are the kernel's to take back
    global most_kb
    while True:
        for line in open("/proc/self/status"):
            if line.startswith("RssAnon"):
                most_kb = max(most_kb, int(line.split()[1]))
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()

def planned():
    for n in range(count):
        statement = PlannedStatement(
            template="a" * 16, sql=f"SELECT {n}", prepared="", values=(b"%d" % n, b"x" * 40)
        )
        yield PlannedTransaction(due_us=n, statements=(statement,), session=f"s{n % 500}")

sharding.write_shards(here, planned(), workers=2)
with record.records_file(here, 0).open("wb") as stream:
    read = 0
    for arrival in shard.read_shard(here, 0):
        read += 1
        if read % 10:  # the others never had an end
            for ordinal in range(4):
                stream.write(record.RECORD.pack(
                    arrival.number, ordinal, record.FINAL if ordinal == 3 else 0,
                    b"ok", 0, 1, 2, read, read, read + 1, 0, 1))
for worker in (0, 1):
    write_worker(here, WorkerReport(worker=worker, state="finished"))
rundir.clear_attempts(here)
report = collect(here, here, here, t0_ns=0, duration_s=1.0, interrupted=False)
assert report.planned == count
done = 9 * (count // 20)
assert sum(map(rundir.rows_of, rundir.attempts_files(here))) == count + 3 * done
judged = judge(
    transactions(rundir.read_blocks(here, "attempts"), count, here),
    planned=count, report=report, objective_ms=1, boosted=())
assert (judged.accounting.ok, judged.accounting.skipped) == (done, count - done)
print(most_kb / 1024)
"""


def peak_mb(here: Path, count: int) -> float:
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(here), str(count)],
        check=True,
        capture_output=True,
        text=True,
        # Arrow's own allocator keeps what it was given back for a while.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
    )
    return float(done.stdout)


def test_memory_does_not_grow_with_the_load(tmp_path: Path) -> None:
    few, many = (peak_mb(tmp_path / str(count), count) for count in (100_000, 240_000))
    on_disk = sum(file.stat().st_size for file in (tmp_path / "240000").iterdir()) / (1 << 20)
    assert on_disk > 28
    assert many - few < 12, (few, many, on_disk)
