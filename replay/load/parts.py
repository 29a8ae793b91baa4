"""The attempts of one worker as Parquet files of BLOCK rows, each of which follows from its records.

So it makes no difference who writes a part, or how often: whoever follows the load, whoever ends it,
or who brings in what a killed one left. The last part grows, and is written anew.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replay import rundir
from replay.load.record import BLOCK, DTYPE, read_records, records_file, to_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where the records of one worker are, and its attempts."""

    records: Path  # directory
    run: Path  # directory
    worker: int
    templates: tuple[str, ...]  # ids
    origin_ns: int

    def catch_up(self, seen: int) -> int:
        """Write what has been recorded since there were `seen` records; gives how many there are.

        Raises EnvironmentFaultError where it cannot be written.
        """
        file = records_file(self.records, self.worker)
        if not file.is_file() or file.stat().st_size // DTYPE.itemsize <= seen:
            return seen
        for number, records in enumerate(read_records(file, seen), seen // BLOCK):
            if len(records):
                self._write(number, records)
                seen = number * BLOCK + len(records)
        return seen

    def write(self, rows: Iterable[np.ndarray]) -> None:
        """Write all rows of the worker (record.DTYPE); parts that are there and full stay.

        Raises EnvironmentFaultError where they cannot be written.
        """
        for number, part in enumerate(_cut(rows)):
            file = rundir.attempts_file(self.run, self.worker, number)
            if len(part) < BLOCK or rundir.rows_of(file) < BLOCK:
                self._write(number, part)

    def _write(self, number: int, records: np.ndarray) -> None:
        rundir.write_attempts(
            rundir.attempts_file(self.run, self.worker, number),
            to_table(records, self.worker, self.templates, self.origin_ns),
            by_way_of=self.records / f"attempts-{self.worker}.part",
        )


def _cut(rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The rows in blocks, all of them full but the last."""
    part = np.zeros(0, dtype=DTYPE)
    for some in rows:
        part = np.concatenate((part, some)) if len(part) else some
        while len(part) >= BLOCK:
            yield part[:BLOCK]
            part = part[BLOCK:]
    if len(part):
        yield part
