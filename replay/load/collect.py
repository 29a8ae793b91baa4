"""From what the workers left on disk to the run's attempts and the load's report."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from replay import ondisk
from replay.load.parts import Parts
from replay.load.record import read_records, records_file
from replay.load.report import FAILED, FINISHED, INTERRUPTED, LoadReport, WorkerReport, read_worker
from replay.load.settle import Settlement, keep_expected
from replay.load.shard import read_arrivals, read_index
from replay.load.tally import Tally


def collect(
    shards: Path,
    records: Path,
    run: Path,
    *,
    t0_ns: int,
    duration_s: float,
    interrupted: bool,
    workers: Collection[int] | None = None,
) -> LoadReport:
    """The report, also of workers that were killed; what of their attempts is not yet there is written.

    Every transaction that was planned for these workers (default: all) is then in the attempts.
    Raises EnvironmentFaultError where they cannot be written.
    """
    index = read_index(shards)
    arrivals = read_arrivals(shards)
    numbers = range(len(index.planned)) if workers is None else workers
    seen = ondisk.zeros(records, len(arrivals), np.uint8)
    reports: dict[int, WorkerReport | None] = {}
    planned = 0
    for worker in numbers:
        settlement = Settlement(arrivals, index, worker, t0_ns, seen)
        tally = Tally(len(index.templates))
        report = read_worker(records, worker)
        ended_us, stopped_us = (report.ended_us, report.stopped_us) if report else (None, None)
        parts = Parts(
            records=records, run=run, worker=worker, templates=index.templates, origin_ns=t0_ns
        )
        parts.write(
            chain(
                _noted(read_records(records_file(records, worker)), settlement, tally),
                settlement.lacking(ended_us, stopped_us),
            )
        )
        reports[worker] = report and replace(report, times=tally.histograms(index.templates))
        planned += settlement.planned(ended_us)
    present = tuple(report for report in reports.values() if report is not None)
    lost = tuple(worker for worker, report in reports.items() if report is None)
    return LoadReport(
        state=_state(present, lost, interrupted),
        t0_ns=t0_ns,
        duration_s=duration_s,
        planned=planned,
        workers=present,
        lost_workers=lost,
        missing=(*_missing(present, interrupted), *_lost(lost, index.planned)),
        expected=keep_expected(seen),
        shape_of=arrivals["shape"],
        shapes=index.shapes,
    )


def _noted(
    blocks: Iterator[np.ndarray], settlement: Settlement, tally: Tally
) -> Iterator[np.ndarray]:
    for records in blocks:
        settlement.add(records)
        tally.add(records)
        yield records


def _state(present: Collection[WorkerReport], lost: Collection[int], interrupted: bool) -> str:
    states = {report.state for report in present}
    if interrupted or (INTERRUPTED in states and FAILED not in states and not lost):
        return INTERRUPTED
    return FAILED if lost or FAILED in states else FINISHED


def _missing(present: Collection[WorkerReport], interrupted: bool) -> tuple[str, ...]:
    found = [f"worker {report.worker}: {report.error}" for report in present if report.error]
    if interrupted or any(report.state == INTERRUPTED for report in present):
        found.append("stopped before the planned end: what was not yet due is counted as skipped")
    return tuple(found)


def _lost(lost: Collection[int], planned: Collection[int]) -> tuple[str, ...]:
    shares = {worker: share / sum(planned) for worker, share in enumerate(planned)}
    return tuple(
        f"worker {worker} was lost, with {shares[worker]:.0%} of the load: what it had not yet "
        "written is missing, and counted as skipped"
        for worker in lost
    )
