"""A worker without our launcher concludes for itself: under a bare locust, or for Locust's master."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay import rundir
from replay.capacity import Capacity
from replay.errors import NotValidError
from replay.load import ramp, verdict
from replay.load.collect import collect
from replay.load.merging import Share, share_of
from replay.load.transactions import Transactions, transactions
from replay.load.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What one worker's run amounts to."""

    judged: Verdict
    done: Transactions
    attempts: Callable[[], Iterator[pa.Table]]  # a block at a time
    expected: np.ndarray  # by arrival: it failed as production's did
    capacity: Capacity | None  # of a ramp
    share: Share

    @property
    def exit_code(self) -> int:
        """The worker's, or that of a run that cannot be believed."""
        return self.share.exit_code or (0 if self.judged.valid else NotValidError.exit_code)

    def in_words(self, told: Iterable[str]) -> Iterator[str]:
        """All of it in lines, what is `told` of a migration in the middle first."""
        yield from told
        yield from verdict.in_words(self.judged)
        if self.capacity is not None:
            yield self.capacity.in_words()


@contextmanager
def directories(shards: str | None, run: str | None) -> Iterator[tuple[Path, Path]]:
    """Where the shards and the records are: as given, or a scratch directory for the while."""
    if run:
        Path(run).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="replay-") as scratch:
        yield Path(shards or scratch), Path(run or scratch)


def conclude(
    shards: Path,
    run: Path,
    workers: Sequence[int],
    *,
    origin_ns: int,
    duration_s: float,
    objective_ms: float,
    boosted: Collection[str],
    doubts: Collection[str],
    code: int,
) -> Concluded:
    """Read what a process did, complete its attempts, and judge it.

    `workers` are those that it drove, its own first. `code` is how it ended, and `doubts` are what was known against it before. Raises EnvironmentFaultError where the attempts cannot be written.
    """
    report = collect(
        shards,
        run,
        run,
        t0_ns=origin_ns,
        duration_s=duration_s,
        interrupted=False,
        workers=workers,
    )
    attempts = partial(_attempts, run, workers)
    done = transactions(attempts(), len(report.shape_of), run)
    steps = ramp.read_steps(shards)
    capacity = ramp.driven(steps, done, report.expected) if steps else None
    judged = verdict.judge(
        done,
        planned=report.planned,
        report=report,
        objective_ms=objective_ms,
        boosted=boosted,
        until_us=ramp.borne_us(steps, capacity) if capacity is not None else None,
    )
    share = share_of(judged, report, done, boosted, code)
    if doubts:
        judged = replace(judged, valid=False, why_not=(*judged.why_not, *doubts))
        share = replace(share, missing=(*share.missing, *doubts))
    return Concluded(
        judged=judged,
        done=done,
        attempts=attempts,
        expected=report.expected,
        capacity=capacity,
        share=share,
    )


def _attempts(run: Path, workers: Sequence[int]) -> Iterator[pa.Table]:
    for worker in workers:
        yield from rundir.read_blocks(run, "attempts", worker=worker)
