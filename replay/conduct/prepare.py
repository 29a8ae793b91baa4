"""From production to a filled staging: capture to a workload on disk, and generate from it."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from data_gen.errors import DataGenError
from data_gen.load import Loaded, generate
from replay import bundle
from replay.capture import Captured, capture
from replay.errors import EnvironmentFaultError, InputError
from replay.target import Generated, connect_target, connector, record_generated


def capture_workload(
    inputs: Sequence[Path],
    out: Path,
    *,
    stats_dsn: str | None = None,
    key: bytes | None = None,
    seed: int = 0,
    per_stratum: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Captured:
    """Read logs and statistics, write the workload directory; what was read is never lost.

    `key` scrubs values; without one a key is drawn and forgotten, so that no later capture gives
    the same tokens.
    """
    bundle.prepare(out)
    captured = capture(
        inputs,
        stats_dsn=stats_dsn,
        key=key or secrets.token_bytes(32),
        seed=seed,
        per_stratum=per_stratum,
        progress=progress,
    )
    try:
        bundle.write(out, captured.workload, captured.profile)
    except OSError as error:
        raise EnvironmentFaultError(f"{out}: cannot write the workload: {error}") from error
    return captured


def generate_staging(
    workload: Path,
    dsn: str,
    *,
    scale: float = 1.0,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Loaded:
    """Fill an empty, marked database with data of production's shape, from the workload alone."""
    profile = bundle.read_profile(workload)
    manifest = bundle.read_manifest(workload)
    base_time = datetime.now(UTC)
    with connect_target(dsn, source=manifest.source) as connection:
        try:
            loaded = generate(
                profile,
                connector(dsn),
                scale=scale,
                seed=seed,
                base_time=base_time,
                jobs=jobs,
                progress=progress,
            )
        except DataGenError as error:
            raise InputError(str(error)) from error
        record_generated(
            connection,
            Generated(
                workload_id=bundle.workload_id(workload),
                seed=seed,
                scale=scale,
                base_time=base_time,
            ),
        )
    return loaded
