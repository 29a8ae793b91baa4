"""The run directory, `NAME.run/`: the only file that knows its names and its version.

All times in its tables are µs since the run's origin T0 (`RunManifest.origin`), except where the
name says otherwise. manifest.json is written first (state "running") and again at the end, so that
a run that was stopped is readable and says so. A table is a file, `NAME.parquet`; attempts, which
are written while the load runs, are a directory of parts, each of which is whole at any time.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from replay import documents
from replay.capacity import Capacity
from replay.documents import MANIFEST, Kind
from replay.errors import EnvironmentFaultError, InputError
from replay.finding import Finding, Proof
from replay.migration import Migration
from replay.outcome import Accounting
from replay.runtables import TABLES
from replay.verification import Verification

_KIND = Kind(name="run", version=1, made_by="replay run")
PLANS = "plans.json"
FINDINGS = "findings.json"
PROOF = "proof.json"
VERIFICATION = "verification.json"
_LOAD = "load"  # what is planned and what was recorded, while it runs
_RESERVE = "reserve"  # room that the last manifest has where the disk is full
_RESERVE_BYTES = 1 << 17
DURING = "during.json"
CAPACITY = "capacity.json"

_ATTEMPTS = "attempts"
_BLOCK = 1 << 16  # rows that are read together


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """What the run was, and whether it can be believed."""

    tool_version: str
    workload: str  # base name of the workload
    workload_id: str
    scenario: str
    options: Mapping[str, object]
    seed: int
    origin: datetime  # T0, aware
    duration_s: float  # planned length
    workers: int
    pool: int  # connections; 0: of a recording, each of whose sessions has its own
    server_version: str = ""
    server_settings: Mapping[str, str] = field(default_factory=dict)
    boosted: tuple[str, ...] = ()  # templates whose rate was raised
    state: str = "running"  # running, finished, interrupted, failed
    missing: tuple[str, ...] = ()  # what a stopped run lacks
    accounting: Accounting | None = None
    valid: bool = False
    why_not: tuple[str, ...] = ()  # reasons why the run cannot be believed
    healthy: bool = False  # the service objective held
    objective: Mapping[str, float] = field(default_factory=dict)  # objective and measured figures
    # lag_p50_us, lag_p99_us, cpu_share …
    generator: Mapping[str, float] = field(default_factory=dict)


def require_writable(path: Path) -> None:
    """Refuse a path at which something else stands, before any work is done."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name a directory for the run")
    if path.is_dir() and any(path.iterdir()):
        try:
            _KIND.read_manifest(path)
        except InputError:
            raise InputError(f"{path}: exists and is no run; name another directory") from None


def create(path: Path, manifest: RunManifest) -> None:
    """Make the directory and write its first manifest; an earlier run there is replaced."""
    require_writable(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in (
            MANIFEST,
            PLANS,
            FINDINGS,
            PROOF,
            VERIFICATION,
            DURING,
            CAPACITY,
            *(f"{table}.parquet" for table in TABLES),
        ):
            (path / name).unlink(missing_ok=True)
        shutil.rmtree(load_directory(path), ignore_errors=True)
        clear_attempts(path)
        write_manifest(path, manifest)
        (path / _RESERVE).write_bytes(os.urandom(_RESERVE_BYTES))
    except OSError as error:
        raise EnvironmentFaultError(f"{path}: cannot write a run here: {error}") from error


def load_directory(path: Path) -> Path:
    """Where a load stands while it runs: shards, records, the workers' reports.

    It is left where a run was killed, or its attempts could not be written, so that what was done
    can still be read.
    """
    return path / _LOAD


def write_manifest(path: Path, manifest: RunManifest) -> None:
    """Write the manifest whole, or leave the earlier one."""
    if manifest.state != "running":
        (path / _RESERVE).unlink(missing_ok=True)
    _KIND.write_manifest(path, manifest)


def read_manifest(path: Path) -> RunManifest:
    """The run's manifest; raises InputError where the directory is no run."""
    document = _KIND.read_manifest(path)
    try:
        return msgspec.convert(document["manifest"], RunManifest)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; run again") from error


def write_table(path: Path, name: str, table: pa.Table) -> None:
    """Write one of TABLES; `table` must have its schema."""
    pq.write_table(table.cast(TABLES[name]), path / f"{name}.parquet", compression="zstd")


def clear_attempts(path: Path) -> None:
    """Make room for the attempts of a new load; those of an earlier one are removed."""
    (path / _ATTEMPTS).mkdir(parents=True, exist_ok=True)
    for file in attempts_files(path):
        file.unlink(missing_ok=True)


def attempts_files(path: Path, worker: int | None = None) -> Sequence[Path]:
    """The parts of all attempts, or of one worker's, in their order."""
    whose = "*" if worker is None else f"{worker:03}"
    return sorted((path / _ATTEMPTS).glob(f"worker-{whose}-*.parquet"))


def attempts_file(path: Path, worker: int, number: int) -> Path:
    """Where a part of a worker's attempts is."""
    return path / _ATTEMPTS / f"worker-{worker:03}-{number:05}.parquet"


def write_attempts(file: Path, part: pa.Table, by_way_of: Path) -> None:
    """Write a part whole, in the place of what is there, or not at all.

    `by_way_of` is a file on the same disk that nobody reads. Raises EnvironmentFaultError where
    the disk is full or the directory gone.
    """
    try:
        pq.write_table(part.cast(TABLES[_ATTEMPTS]), by_way_of, compression="zstd")
        by_way_of.replace(file)
    except OSError as error:
        by_way_of.unlink(missing_ok=True)
        raise EnvironmentFaultError(f"{file}: cannot write the attempts: {error}") from error


def rows_of(file: Path) -> int:
    """How many rows a part has; 0 where it is not there, or a lost machine left it without its end."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (FileNotFoundError, pa.ArrowInvalid):
        return 0


def read_table(path: Path, name: str, *, worker: int | None = None) -> pa.Table:
    """Read one of TABLES, or a worker's attempts; an empty table where the run has none."""
    files = _files(path, name, worker)
    if not files:
        return TABLES[name].empty_table()
    return pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])


def read_blocks(path: Path, name: str, *, worker: int | None = None) -> Iterator[pa.Table]:
    """The same a block of rows at a time, for what may be larger than memory."""
    for file in _files(path, name, worker):
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=_BLOCK):
                yield pa.Table.from_batches([batch])


def _files(path: Path, name: str, worker: int | None) -> Sequence[Path]:
    file = path / f"{name}.parquet"
    if file.is_file():
        return (file,)
    return attempts_files(path, worker) if name == _ATTEMPTS else ()


def write_plans(path: Path, plans: Mapping[str, Any]) -> None:
    """Write plans by template id: EXPLAIN's JSON document and how it was taken."""
    documents.write(path / PLANS, plans)


def read_plans(path: Path) -> dict[str, Any]:
    """Plans by template id; empty where none were taken."""
    file = path / PLANS
    return documents.read(file) if file.is_file() else {}


def write_findings(path: Path, findings: tuple[Finding, ...]) -> None:
    """Write what diagnose found."""
    documents.write(path / FINDINGS, {"version": _KIND.version, "findings": findings})


def read_findings(path: Path) -> tuple[Finding, ...]:
    """What diagnose found; empty where it never ran."""
    file = path / FINDINGS
    if not file.is_file():
        return ()
    document = documents.read(file)
    return msgspec.convert(document["findings"], tuple[Finding, ...])


def write_proof(path: Path, proof: Proof) -> None:
    """Write the proof of the run's findings."""
    documents.write(path / PROOF, proof)


def read_proof(path: Path) -> Proof | None:
    """The proof of the run's findings; None where none was tried."""
    file = path / PROOF
    return msgspec.json.decode(file.read_bytes(), type=Proof) if file.is_file() else None


def write_verification(path: Path, verification: Verification) -> None:
    """Write how like production the data was; raises InputError where `path` is no run."""
    read_manifest(path)
    documents.write(path / VERIFICATION, verification)


def read_verification(path: Path) -> Verification | None:
    """How like production the data was; None where nobody looked."""
    file = path / VERIFICATION
    return msgspec.json.decode(file.read_bytes(), type=Verification) if file.is_file() else None


def write_capacity(path: Path, capacity: Capacity) -> None:
    """Write what a ramp found."""
    documents.write(path / CAPACITY, capacity)


def read_capacity(path: Path) -> Capacity | None:
    """What a ramp found; None where the run was none."""
    file = path / CAPACITY
    return msgspec.json.decode(file.read_bytes(), type=Capacity) if file.is_file() else None


def write_migration(path: Path, migration: Migration) -> None:
    """Write what a migration did in the middle of the load."""
    documents.write(path / DURING, migration)


def read_migration(path: Path) -> Migration | None:
    """What a migration did in the middle of the load; None where there was none."""
    file = path / DURING
    return msgspec.json.decode(file.read_bytes(), type=Migration) if file.is_file() else None
