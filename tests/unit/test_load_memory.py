"""A load is planned, read and brought in a block at a time: ten times the statements, no more memory."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from replay import rundir
from replay.load import record, shard, sharding
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.collect import collect
from replay.load.report import WorkerReport, write_worker

here, count = Path(sys.argv[1]), int(sys.argv[2])

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
            stream.write(record.RECORD.pack(
                arrival.number, 0, record.FINAL, b"ok", 0, 1, 2, read, read, read + 1, 0, 1))
for worker in (0, 1):
    write_worker(here, WorkerReport(worker=worker, state="finished"))
rundir.clear_attempts(here)
report = collect(here, here, here, t0_ns=0, duration_s=1.0, interrupted=False)
assert report.planned == count
assert sum(map(rundir.rows_of, rundir.attempts_files(here))) == count
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) / 1024)
"""


def peak_mb(here: Path, count: int) -> float:
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(here), str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def test_memory_does_not_grow_with_the_load(tmp_path: Path) -> None:
    few, many = (peak_mb(tmp_path / str(count), count) for count in (80_000, 280_000))
    on_disk = sum(file.stat().st_size for file in (tmp_path / "280000").iterdir()) / (1 << 20)
    assert on_disk > 28
    assert many - few < 20, (few, many, on_disk)
