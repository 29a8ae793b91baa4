"""The whole loop on private servers: the IronWorker outage, from production's log to its proof.

The same code that users run: nothing here knows a template, a column or a result beforehand. What
is special is only that production is ours: its schema, rows and traffic come from the incident.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psycopg

from replay import bundle, embedded, rundir
from replay.capture import Options
from replay.conduct.bake import RunOptions
from replay.conduct.capturing import capture_workload
from replay.conduct.prepare import PRIVATE_SETTINGS, STAGING, private_staging
from replay.conduct.prove import prove
from replay.conduct.run import run
from replay.finding import Finding, Proof
from replay.report import html
from replay.rundir import RunManifest
from replay.tag import APPLICATION_NAME
from replay.workload import Workload

Say = Callable[[str], None]

_INCIDENT = "scenarios.incidents.ironworker"  # by name: imports run the other way
_TRAFFIC_S = 20.0
_RUN_S = 10.0
_BOOSTS = (16.0, 128.0, 1024.0)  # of the rare templates' own rate, until it breaks, and clearly


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo leaves and what it showed."""

    directory: Path
    workload: Path
    report: Path
    runs: tuple[Path, ...]  # base, storms, fixed, unfixed
    broke_at: float | None  # boost of the storm that broke; None where none did
    findings: tuple[Finding, ...]
    proof: Proof | None
    seconds: float
    servers: tuple[str, ...]  # DSNs of servers that were kept
    stop_commands: tuple[str, ...]


def run_demo(directory: Path, *, keep: bool = False, seed: int = 0, say: Say) -> DemoResult:
    """Run the whole loop into `directory`; every server is stopped at the end unless kept."""
    began = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    workload = directory / "ironworker.workload"
    with embedded.server(PRIVATE_SETTINGS, keep=keep) as production:
        _fill_production(production, say)
        _drive_production(production, say)
        _capture(production, workload, seed, say)
    try:
        with private_staging(workload, seed=seed, say=say, keep=keep) as staging:
            runs, broke_at, proof = _replay(workload, staging.dsn(STAGING), directory, seed, say)
    except BaseException:
        if keep:
            embedded.stop(production)
        raise
    servers = (production.dsn(), staging.dsn(STAGING))
    subject = next((path for path in runs if rundir.read_proof(path)), runs[-1])
    report = directory / "report.html"
    others = [path for path in runs if path != subject]
    report.write_text(html.page([subject, *others], workload), encoding="utf-8")
    return DemoResult(
        directory=directory,
        workload=workload,
        report=report,
        runs=tuple(runs),
        broke_at=broke_at,
        findings=rundir.read_findings(subject),
        proof=proof,
        seconds=round(time.monotonic() - began, 1),
        servers=servers if keep else (),
        stop_commands=(production.stop_command, staging.stop_command) if keep else (),
    )


def _fill_production(production: embedded.Server, say: Say) -> None:
    began = time.monotonic()
    with psycopg.connect(
        production.dsn(), autocommit=True, application_name=APPLICATION_NAME
    ) as connection:
        for name in ("schema.sql", "fill.sql", "keys.sql"):
            script = files(_INCIDENT).joinpath(name).read_text(encoding="utf-8")
            for statement in script.split(";\n"):
                connection.execute(statement.encode())
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        connection.execute("SELECT pg_reload_conf()")
        row = connection.execute("SELECT count(*) FROM tasks").fetchone()
    assert row is not None
    say(
        f"production  PostgreSQL {production.installation.version}, {row[0]:,} tasks, "
        f"filled in {time.monotonic() - began:.1f} s"
    )


def _drive_production(production: embedded.Server, say: Say) -> None:
    say(f"traffic     the API's clients for {_TRAFFIC_S:.0f} s …")
    subprocess.run(
        [sys.executable, "-m", f"{_INCIDENT}.traffic", "--seconds", str(_TRAFFIC_S)],
        env={**os.environ, "REPLAY_TRAFFIC_DSN": production.dsn()},
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _capture(production: embedded.Server, workload: Path, seed: int, say: Say) -> None:
    log = production.log_directory / "server.json"
    captured = capture_workload(
        [log], workload, stats_dsn=production.dsn(), options=Options(seed=seed)
    ).workload
    manifest = captured.manifest
    say(
        f"capture     {manifest.executions:,} executions of {len(captured.templates)} templates in "
        f"{manifest.transactions:,} transactions, {manifest.sessions} sessions; rare paths:"
    )
    for template in captured.templates:
        if template.rare:
            share = template.calls / manifest.executions
            mean = template.total_ms / max(template.calls - template.errors, 1)
            say(
                f"              {template.id}  {template.calls} calls ({share:.3%}), "
                f"{mean:.0f} ms each: {template.sql[:90]}"
            )


def _replay(
    workload: Path, dsn: str, directory: Path, seed: int, say: Say
) -> tuple[list[Path], float | None, Proof | None]:
    """All runs on staging: their directories, the boost that broke it, the proof."""
    runs, broke_at = _run_until_broken(workload, dsn, directory, seed, say)
    if broke_at is None:
        return runs, None, None
    broken = runs[-1]
    _tell_findings(broken, say)
    proof = _prove(workload, dsn, broken, broke_at, seed, say)
    if proof is not None:
        runs += [broken.with_name(step.run) for step in proof.steps[1:]]
    return runs, broke_at, proof


def _run_until_broken(
    workload: Path, dsn: str, directory: Path, seed: int, say: Say
) -> tuple[list[Path], float | None]:
    base = directory / "base.run"
    _tell_run("mix at 1x", run(workload, dsn, base, _options(seed)), say)
    runs = [base]
    for boost in _BOOSTS:
        storm = directory / f"storm-{boost:.0f}.run"
        manifest = run(workload, dsn, storm, _options(seed, boost))
        _tell_run(f"rare x {boost:.0f}", manifest, say)
        runs.append(storm)
        if not manifest.healthy:
            return runs, boost
    return runs, None


def _options(seed: int, boost: float = 1.0) -> RunOptions:
    if boost == 1.0:
        return RunOptions(scenario="mix", duration_s=_RUN_S, seed=seed)
    return RunOptions(scenario="storm", boosts={"rare": boost}, duration_s=_RUN_S, seed=seed)


def _prove(
    workload: Path, dsn: str, broken: Path, boost: float, seed: int, say: Say
) -> Proof | None:
    if not any(fix.kind == "index" for f in rundir.read_findings(broken) for fix in f.fixes):
        say("proof       the findings propose no index: nothing to prove")
        return None
    proof = prove(
        workload,
        dsn,
        broken,
        _options(seed, boost),
        say=lambda line: say(f"              {line}"),
    )
    for step in proof.steps[1:]:
        manifest = rundir.read_manifest(broken.with_name(step.run))
        _tell_run(step.name, manifest, say)
    say(f"proof       {'proven' if proof.proven else 'NOT proven'}: {proof.why}")
    return proof


def _tell_run(name: str, manifest: RunManifest, say: Say) -> None:
    figures = manifest.objective
    verdict = "healthy" if manifest.healthy else "BROKEN"
    believed = "" if manifest.valid else f"; not to be believed: {'; '.join(manifest.why_not)}"
    say(
        f"run         {name:<18} {verdict:<8} p95 {figures.get('p95_ms', 0):,.0f} ms, "
        f"pool wait p95 {figures.get('pool_wait_p95_ms', 0):,.0f} ms, "
        f"{figures.get('not_ok_share', 0):.1%} not served{believed}"
    )


def _tell_findings(broken: Path, say: Say) -> None:
    for finding in rundir.read_findings(broken):
        say(f"finding     rule {finding.rule}, {finding.name}: {finding.summary}")
        for culprit in finding.templates:
            say(f"              {culprit.id}  {culprit.share:.3%} of calls: {culprit.sql[:90]}")
        for fix in finding.fixes:
            say(f"              {fix.sql or fix.why}")


def workload_of(result: DemoResult) -> Workload:
    """The demo's workload, for the document that `--json` prints."""
    return bundle.read(result.workload)
