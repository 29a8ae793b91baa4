"""The packed records of a worker, `attempts-N.bin`, and how they become the run's attempts.

One record per statement of a started transaction, one per skipped transaction. Times are
CLOCK_MONOTONIC ns, so that recording costs no arithmetic; the table has µs since the origin.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from replay.outcome import (
    CANCELLED,
    LOST,
    OK,
    RETRIED_AFTER,
    SKIPPED_END,
    SKIPPED_POOL,
    SKIPPED_REFUSED,
    UNANSWERED,
    error_name,
)
from replay.runtables import ATTEMPTS

RECORD = struct.Struct("<qhB5siiiqqqqq")
DTYPE = np.dtype(
    [
        ("arrival", "<i8"),
        ("ordinal", "<i2"),
        ("flags", "u1"),
        ("outcome", "S5"),
        ("template", "<i4"),
        ("session", "<i4"),
        ("pid", "<i4"),
        ("due", "<i8"),
        ("began", "<i8"),  # -1: never sent
        ("ended", "<i8"),
        ("lag", "<i8"),
        ("rows", "<i8"),
    ]
)
assert RECORD.size == DTYPE.itemsize
BLOCK = 1 << 16  # records that are turned into a table together

FINAL = 1  # flag: with this record the transaction is over
EXPECTED = 2  # flag: production had the same error here
RETRIED = 4  # flag: the transaction began again after this

# Outcomes as they stand in a record: five bytes, a SQLSTATE where the server refused.
CODE_OK = b"ok"
CODE_CANCELLED = b"cancl"
CODE_LOST = b"lost"
CODE_UNANSWERED = b"unans"
CODE_POOL = b"pool"
CODE_END = b"end"
CODE_REFUSED = b"refus"
_NAMES = {
    CODE_OK: OK,
    CODE_CANCELLED: CANCELLED,
    CODE_LOST: LOST,
    CODE_UNANSWERED: UNANSWERED,
    CODE_POOL: SKIPPED_POOL,
    CODE_END: SKIPPED_END,
    CODE_REFUSED: SKIPPED_REFUSED,
}


def outcome_name(code: bytes) -> str:
    """The outcome (see outcome.py) behind a record's five bytes."""
    return _NAMES.get(code) or error_name(code.decode())


def records_file(run: Path, worker: int) -> Path:
    """Where a worker writes its records."""
    return run / f"attempts-{worker}.bin"


def read_records(file: Path, since: int = 0) -> Iterator[np.ndarray]:
    """All whole records of a file, a block at a time; one that a crash cut off is left out.

    It begins with the block that the record number `since` is in.
    """
    if not file.is_file():
        return
    with file.open("rb") as stream:
        stream.seek(since // BLOCK * BLOCK * DTYPE.itemsize)
        whole = BLOCK * DTYPE.itemsize
        while True:
            content = stream.read(whole)
            yield np.frombuffer(content, dtype=DTYPE, count=len(content) // DTYPE.itemsize)
            if len(content) < whole:  # what is added after the end was met is not for now
                return


def to_table(
    records: np.ndarray, worker: int, templates: Iterable[str], origin_ns: int
) -> pa.Table:
    """The records as attempts of the run (runtables.ATTEMPTS)."""

    def since_origin(name: str) -> np.ndarray:
        return np.where(records[name] < 0, -1, (records[name] - origin_ns) // 1000)

    outcomes, outcome = np.unique(records["outcome"], return_inverse=True)
    names = [outcome_name(code) for code in outcomes.tolist()]
    outcome = np.where(records["flags"] & RETRIED != 0, outcome + len(names), outcome)
    names += [f"{RETRIED_AFTER}{name}" for name in names]
    columns = {
        "arrival": records["arrival"],
        "ordinal": records["ordinal"],
        "template": _named(records["template"], list(templates)),
        "session": records["session"],
        "worker": np.full(len(records), worker),
        "pid": records["pid"],
        "due_us": (records["due"] - origin_ns) // 1000,
        "began_us": since_origin("began"),
        "ended_us": since_origin("ended"),
        "lag_us": records["lag"] // 1000,
        "outcome": _named(outcome, names),
        "rows": records["rows"],
    }
    return pa.table(columns).cast(ATTEMPTS)


def _named(positions: np.ndarray, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(positions.astype(np.int32)), pa.array(names, type=pa.string())
    )
