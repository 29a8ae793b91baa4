"""The proof: the run fails, passes with the fix really built, and fails again without it.

By outcome: never by a wait that went away. A run fails where it missed its objective, or where the
rule in question fires again. Each replay has the same seed and, where databases can be made beside the
target, the same rows.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import msgspec

from replay import bundle, rundir, target
from replay.conduct.bake import binder_for
from replay.conduct.change import count
from replay.conduct.examples import Bound, examples
from replay.conduct.fixes import Chosen, applied, choose
from replay.conduct.options import RunOptions
from replay.conduct.prepare import STAGING, private_staging
from replay.conduct.run import run
from replay.conduct.same_data import Fresh, same_data
from replay.errors import InputError
from replay.finding import BuiltFix, Finding, Proof, ProofStep
from replay.rundir import RunManifest

Say = Callable[[str], None]

_STEPS = ("as it was", "with the fix", "without it again")


def prove(
    workload_path: Path,
    dsn: str | None,
    failed: Path,
    *,
    finding: int | None = None,
    restore: bool = True,
    say: Say,
) -> Proof:
    """Replay the failed run with the fixes of its findings, and without them again; writes the proof.

    `finding` is the number of one of them, from 1; without it all are taken. The two runs stand beside
    the failed one, as `NAME-fixed.run` and `NAME-unfixed.run`. What was built is dropped again, also
    when a replay is interrupted. Without `restore`, or where no database can be made beside the target,
    the replays go on with the target as it is. Without a `dsn` a private server is started and filled
    as the run's was. Raises InputError where the findings propose nothing that a program can do.
    """
    manifest = rundir.read_manifest(failed)
    options = _options(manifest)
    chosen = choose(_numbered(failed, finding), changes=not options.service)
    changed = _changed(workload_path, failed, chosen)
    if dsn is None:
        if options.identity:
            raise InputError("the run was on a restored copy: name it, or another, with --target")
        with private_staging(workload_path, seed=manifest.seed, say=say) as private:
            return prove(workload_path, private.dsn(STAGING), failed, finding=finding, say=say)
    fixed, unfixed = (
        failed.with_name(f"{failed.stem}-{name}.run") for name in ("fixed", "unfixed")
    )
    data = (
        same_data(workload_path, dsn, identity=options.identity, say=say)
        if restore
        else contextlib.nullcontext(None)
    )
    with data as fresh, _scripts(failed, chosen) as (as_it_was, safe):
        places = partial(_place, fresh, dsn)
        mended = replace(options, during=safe, changes=(*options.changes, *chosen.changes))
        built = _with_it(workload_path, places, fixed, mended, chosen, say)
        as_before = replace(options, during=as_it_was)
        _without_it(workload_path, places, unfixed, as_before, say)
        restored = fresh is not None
    built = (*built, *changed)
    proof = _verdict((failed, fixed, unfixed), chosen, built, finding, restored=restored)
    rundir.write_proof(failed, proof)
    return proof


_Places = Callable[[], contextlib.AbstractContextManager[str]]


def _with_it(
    workload_path: Path, places: _Places, out: Path, options: RunOptions, chosen: Chosen, say: Say
) -> tuple[BuiltFix, ...]:
    """The replay with the fix in force; once more where the machine was too busy for it."""
    for last in (False, True):
        with (
            places() as place,
            _in_force(workload_path, place, options, chosen, say) as built,
        ):
            manifest = run(workload_path, place, out, options, say=say)
        if last or not _is_doubtful(manifest, say):
            break
    return built


def _without_it(
    workload_path: Path, places: _Places, out: Path, options: RunOptions, say: Say
) -> None:
    """The replay as it was; once more where the machine was too busy for it."""
    for last in (False, True):
        with places() as place:
            manifest = run(workload_path, place, out, options, say=say)
        if last or not _is_doubtful(manifest, say):
            break


def _is_doubtful(manifest: RunManifest, say: Say) -> bool:
    if not manifest.valid:
        say(f"again       {'; '.join(manifest.why_not)}")
    return not manifest.valid


def _changed(workload_path: Path, failed: Path, chosen: Chosen) -> tuple[BuiltFix, ...]:
    """The changes to the load, with how much each changes; raises where nothing is left to replay."""
    if chosen.empty:
        raise InputError(
            f"{failed}: nothing that can be proven by a program; change the application, capture it "
            "again and compare the runs" + "".join(f"\n  {why}" for why in chosen.untried)
        )
    if not chosen.changes:
        return ()
    workload = bundle.read(workload_path)
    changed = tuple(
        BuiltFix(sql="", build_s=0.0, bytes=0, change=change, changed=count(workload, change))
        for change in chosen.changes
    )
    if not chosen.has_sql and not any(one.changed for one in changed):
        raise InputError(
            f"{failed}: the change that its findings ask for leaves every kept transaction as it is "
            f"({', '.join(change.kind for change in chosen.changes)}): nothing to be proven"
        )
    return changed


def _numbered(failed: Path, finding: int | None) -> Sequence[Finding]:
    found = rundir.read_findings(failed)
    if not found:
        raise InputError(f"{failed}: has no findings, so there is nothing to prove")
    if finding is None:
        return found
    if not 1 <= finding <= len(found):
        raise InputError(f"{failed}: has {len(found)} findings, and no number {finding}")
    return found[finding - 1 : finding]


def _options(manifest: RunManifest) -> RunOptions:
    """What the run was asked to do; its migration's file is made anew."""
    known = {field.name for field in fields(RunOptions)} - {"during", "log"}
    given = {name: value for name, value in manifest.options.items() if name in known}
    if not manifest.options.get("during"):
        given |= {"at_s": None, "repeat": 1}
    return msgspec.convert(given, RunOptions)


@contextlib.contextmanager
def _scripts(failed: Path, chosen: Chosen) -> Iterator[tuple[Path | None, Path | None]]:
    """The run's migration as it was, and with the fixes in the place of its statements."""
    migration = rundir.read_migration(failed)
    if migration is None:
        yield None, None
        return
    steps = sorted((s for s in migration.statements if s.round == 1), key=lambda s: s.line)
    with tempfile.TemporaryDirectory(prefix="replay-proof-") as directory:
        before, after = (Path(directory) / name for name in ("as_it_was.sql", "fixed.sql"))
        before.write_text(_script([step.sql for step in steps]), encoding="utf-8")
        changed = [chosen.migration.get(step.template, step.sql) for step in steps]
        after.write_text(_script(changed), encoding="utf-8")
        yield before, after


def _script(statements: Sequence[str]) -> str:
    return "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in statements)


def _place(fresh: Fresh | None, dsn: str) -> contextlib.AbstractContextManager[str]:
    return fresh() if fresh is not None else contextlib.nullcontext(dsn)


@contextlib.contextmanager
def _in_force(
    workload_path: Path, dsn: str, options: RunOptions, chosen: Chosen, say: Say
) -> Iterator[tuple[BuiltFix, ...]]:
    """The fixes built on a target, for the length of the block."""
    workload = bundle.read(workload_path)
    with target.connect_target(dsn, source=workload.manifest.source) as connection:
        binder = binder_for(workload_path, workload, connection, identity=options.identity)
        bound: Mapping[str, Bound] = examples(workload, binder, options.seed)
        with applied(connection, chosen, bound, say) as built:
            yield (
                *built,
                *(BuiltFix(sql=sql, build_s=0.0, bytes=0) for sql in chosen.migration.values()),
            )


def _fails(path: Path, rules: frozenset[int]) -> bool:
    again = any(finding.rule in rules for finding in rundir.read_findings(path))
    return again or not rundir.read_manifest(path).healthy


def _verdict(
    paths: Sequence[Path],
    chosen: Chosen,
    built: tuple[BuiltFix, ...],
    finding: int | None,
    *,
    restored: bool,
) -> Proof:
    manifests = [rundir.read_manifest(path) for path in paths]
    before, fixed, after = (_fails(path, chosen.rules) for path in paths)
    outcomes = (before, fixed, after)
    believed = all(manifest.valid for manifest in manifests)
    why = {
        (True, False, True): "fails, passes with the fix, fails without it",
        (True, True, True): "fails with the fix as well: it is not the cause, or not all of it",
        (True, False, False): "passes without the fix as well: the failure did not come again",
    }.get(outcomes, "the outcomes do not tell the fix from chance")
    return Proof(
        proven=believed and outcomes == (True, False, True),
        why=why if believed else f"{why}; but not every run can be believed",
        steps=tuple(
            ProofStep(
                name=name,
                run=path.name,
                healthy=not fails,
                valid=manifest.valid,
                figures=dict(manifest.objective),
            )
            for name, path, manifest, fails in zip(_STEPS, paths, manifests, outcomes, strict=True)
        ),
        fixes=built,
        finding=finding,
        restored=restored,
        untried=chosen.untried,
    )
