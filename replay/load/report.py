"""What the workers say of a load, and the launcher's sum of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

FINISHED = "finished"
INTERRUPTED = "interrupted"
FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """One worker's own figures, `worker-N.json` in the run directory."""

    worker: int
    state: str  # finished, interrupted, failed
    error: str = ""  # what failed
    ended_us: int | None = None  # since the origin, where it ended the load by its own judgement
    stopped_us: int | None = None  # since the origin, from when on it took up nothing more
    cpu_share: float = 0.0  # of one core, while arrivals were due
    lost_connections: int = 0
    reconnections: int = 0
    opened: int = 0  # connections to a service, over the whole load
    out_of_order: int = 0  # statements of a recording that did not wait long enough for others
    refused_settings: int = 0  # of captured sessions, that the target did not take
    # Of tally.FIGURES -> template -> HDR histogram in base64, µs: how late the generator was, what
    # the pool made it wait, from sending to the end, and from due to the end.
    times: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadReport:
    """How a load went, for the verdict and the run's manifest."""

    state: str  # finished, interrupted, failed
    t0_ns: int  # the origin, CLOCK_MONOTONIC
    duration_s: float  # planned
    planned: int  # transactions
    workers: tuple[WorkerReport, ...]  # those that left a report
    lost_workers: tuple[int, ...]  # those that did not
    missing: tuple[str, ...]  # what a stopped run lacks
    expected: (
        np.ndarray
    )  # by arrival: it failed, and production had all its errors at the same place
    shape_of: np.ndarray  # position in `shapes`, by arrival
    shapes: tuple[tuple[str, ...], ...]  # template ids in order, whether they were reached or not


def worker_file(run: Path, worker: int) -> Path:
    """Where a worker's report is."""
    return run / f"worker-{worker}.json"


def write_worker(run: Path, report: WorkerReport) -> None:
    """Write a worker's report whole or not at all."""
    file = worker_file(run, report.worker)
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(report))
    part.replace(file)


def read_worker(run: Path, worker: int) -> WorkerReport | None:
    """A worker's report; None where it left none."""
    file = worker_file(run, worker)
    if not file.is_file():
        return None
    return msgspec.json.decode(file.read_bytes(), type=WorkerReport)
