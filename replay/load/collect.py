"""From what the workers left on disk to the run's attempts and the load's report."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay.load.record import CODE_OK, EXPECTED, read_records, records_file, to_table
from replay.load.report import FAILED, FINISHED, INTERRUPTED, LoadReport, WorkerReport, read_worker
from replay.load.settle import settle
from replay.load.shard import read_arrivals, read_index


def collect(
    shards: Path,
    run: Path,
    *,
    t0_ns: int,
    duration_s: float,
    interrupted: bool,
    workers: Collection[int] | None = None,
) -> tuple[LoadReport, pa.Table]:
    """The report and the attempts (rundir.ATTEMPTS), also of workers that were killed.

    Every transaction that was planned for these workers (default: all) is in the table.
    """
    index = read_index(shards)
    arrivals = read_arrivals(shards)
    numbers = range(len(index.planned)) if workers is None else workers
    tables, expected, reports = [], [], {}
    for worker in numbers:
        records = read_records(records_file(run, worker))
        expected.append(_expected(records))
        settled = settle(records, arrivals, index, worker, t0_ns)
        tables.append(to_table(settled, worker, index.templates, t0_ns))
        reports[worker] = read_worker(run, worker)
    present = tuple(report for report in reports.values() if report is not None)
    lost = tuple(worker for worker, report in reports.items() if report is None)
    report = LoadReport(
        state=_state(present, lost, interrupted),
        t0_ns=t0_ns,
        duration_s=duration_s,
        planned=sum(index.planned[worker] for worker in numbers),
        workers=present,
        lost_workers=lost,
        missing=_missing(present, lost, interrupted),
        expected=frozenset(np.concatenate(expected).tolist()),
        shape_of=arrivals["shape"],
        shapes=index.shapes,
    )
    return report, pa.concat_tables(tables).unify_dictionaries()


def _expected(records: np.ndarray) -> np.ndarray:
    """Arrivals that failed only as they did in production."""
    wrong = records[~np.isin(records["outcome"], [CODE_OK])]
    as_captured = wrong["flags"] & EXPECTED != 0
    return np.setdiff1d(wrong["arrival"][as_captured], wrong["arrival"][~as_captured])


def _state(present: Collection[WorkerReport], lost: Collection[int], interrupted: bool) -> str:
    states = {report.state for report in present}
    if interrupted or (INTERRUPTED in states and FAILED not in states and not lost):
        return INTERRUPTED
    return FAILED if lost or FAILED in states else FINISHED


def _missing(
    present: Collection[WorkerReport], lost: Collection[int], interrupted: bool
) -> tuple[str, ...]:
    found = [f"worker {report.worker}: {report.error}" for report in present if report.error]
    found += [f"worker {worker} was lost: its last records may be missing" for worker in lost]
    if interrupted or any(report.state == INTERRUPTED for report in present):
        found.append("stopped before the planned end: what was not yet due is counted as skipped")
    return tuple(found)
