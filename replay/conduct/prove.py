"""The proof: the run fails, passes with the fix really built, and fails again without it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from replay import bundle, rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.errors import InputError
from replay.finding import BuiltFix, Proof, ProofStep
from replay.rundir import RunManifest

_INDEXES = """
SELECT i.indexrelid::int8, i.indexrelid::regclass::text, pg_relation_size(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def prove(
    workload_path: Path,
    dsn: str,
    failed: Path,
    options: RunOptions,
    *,
    say: Callable[[str], None],
) -> Proof:
    """Replay the failed run with its index fixes built, and without them again; writes the proof.

    The two runs stand beside the failed one, as `NAME-fixed.run` and `NAME-unfixed.run`. Indexes
    that were built are dropped again, also when a replay is interrupted.
    Raises InputError where the run's findings propose no index.
    """
    fixes = [
        fix.sql for f in rundir.read_findings(failed) for fix in f.fixes if fix.kind == "index"
    ]
    fixes = list(dict.fromkeys(fixes))
    if not fixes:
        raise InputError(f"{failed}: its findings propose no index, so there is nothing to prove")
    source = bundle.read_manifest(workload_path).source
    fixed, unfixed = (
        failed.with_name(f"{failed.stem}-{name}.run") for name in ("fixed", "unfixed")
    )
    with target.connect_target(dsn, source=source) as connection:
        known = _indexes(connection)
        try:
            built = [_build(connection, sql, say) for sql in fixes]
            with_fix = run(workload_path, dsn, fixed, options, say=say)
        finally:
            _drop(connection, known)
        without = run(workload_path, dsn, unfixed, options, say=say)
    proof = _verdict(
        (("as it was", failed), ("with the fix", fixed), ("without it again", unfixed)),
        (rundir.read_manifest(failed), with_fix, without),
        built,
    )
    rundir.write_proof(failed, proof)
    return proof


def _verdict(
    steps: Sequence[tuple[str, Path]], manifests: Sequence[RunManifest], built: Sequence[BuiltFix]
) -> Proof:
    before, fixed, after = (manifest.healthy for manifest in manifests)
    outcomes = (before, fixed, after)
    believed = all(manifest.valid for manifest in manifests)
    why = {
        (False, True, False): "fails, passes with the fix, fails without it",
        (False, False, False): "fails with the fix as well: it is not the cause, or not all of it",
        (False, True, True): "passes without the fix as well: the failure did not come again",
    }.get(outcomes, "the outcomes do not tell the fix from chance")
    return Proof(
        proven=believed and outcomes == (False, True, False),
        why=why if believed else f"{why}; but not every run can be believed",
        steps=tuple(
            ProofStep(
                name=name,
                run=path.name,
                healthy=manifest.healthy,
                valid=manifest.valid,
                figures=dict(manifest.objective),
            )
            for (name, path), manifest in zip(steps, manifests, strict=True)
        ),
        fixes=tuple(built),
    )


def _build(connection: psycopg.Connection, sql: str, say: Callable[[str], None]) -> BuiltFix:
    say(f"build       {sql}")
    before = _indexes(connection)
    began = time.monotonic()
    connection.execute(sql.encode())
    elapsed = time.monotonic() - began
    new = [size for oid, (_, size) in _indexes(connection).items() if oid not in before]
    return BuiltFix(sql=sql, build_s=round(elapsed, 3), bytes=sum(new))


def _drop(connection: psycopg.Connection, known: dict[int, tuple[str, int]]) -> None:
    for oid, (name, _) in _indexes(connection).items():
        if oid not in known:
            connection.execute(f"DROP INDEX IF EXISTS {name}".encode())


def _indexes(connection: psycopg.Connection) -> dict[int, tuple[str, int]]:
    """Oid -> (name as SQL, bytes) of every index of a user's table."""
    return {oid: (name, size) for oid, name, size in connection.execute(_INDEXES).fetchall()}
