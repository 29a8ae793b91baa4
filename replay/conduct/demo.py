"""The whole loop on private servers: the IronWorker outage, from production's logs to its proof.

Production is an API before a database. Its requests and statements are captured; the statements alone are
replayed until they break, then the same storm goes through the API, as its clients felt it.

The same code that users run: nothing here knows a template, a column or a result beforehand. What
is special is only that production is ours: its schema, rows and traffic come from the incident.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from replay import bundle, embedded, rundir
from replay.conduct.bake import RunOptions
from replay.conduct.prepare import PRIVATE_SETTINGS, STAGING, private_staging
from replay.conduct.production import capture, drive, fill
from replay.conduct.prove import prove
from replay.conduct.run import run
from replay.conduct.serving import serving
from replay.finding import Finding, Proof
from replay.report import html
from replay.rundir import RunManifest
from replay.workload import Workload

Say = Callable[[str], None]

_INCIDENT = "scenarios.incidents.ironworker"  # by name: imports run the other way
_TRAFFIC_S = 20.0
_RUN_S = 10.0
_API_POOL = 8  # connections of the API to its database …
_API_PATIENCE_S = 2.0  # … and how long a request waits for one
_CLIENTS = 200  # connections to the API
_API_RATE = (
    0.5  # of all traffic: the API shares its cores with the database, as production's does not
)
_API_RUN_S = 8.0
_BOOSTS = (128.0, 1024.0)  # of the rare templates' own rate, until it breaks, and clearly


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
        scripts = [
            files(_INCIDENT).joinpath(name).read_text(encoding="utf-8")
            for name in ("schema.sql", "fill.sql", "keys.sql")
        ]
        fill(production, scripts, say)
        say(f"traffic     the API and its clients for {_TRAFFIC_S:.0f} s …")
        access_log = production.log_directory / "access.json"
        arguments = ["--seconds", str(_TRAFFIC_S), "--access-log", str(access_log)]
        drive(production, ["-m", f"{_INCIDENT}.traffic", *arguments])
        capture(
            *(production, workload), seed=seed, say=say, access_log=access_log, routes=(_openapi(),)
        )
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


def _replay(
    workload: Path, dsn: str, directory: Path, seed: int, say: Say
) -> tuple[list[Path], float | None, Proof | None]:
    """All runs on staging: their directories, the boost that broke it, the proof."""
    runs, broke_at = _run_until_broken(workload, dsn, directory, seed, say)
    if broke_at is None:
        return runs, None, None
    _tell_findings(runs[-1], say)
    with serving(dsn, _api()) as url:
        outage = directory / "outage.run"
        options = _through(url, seed, broke_at)
        _tell_run("through the API", run(workload, dsn, outage, options), say)
        runs.append(outage)
        _tell_outage(outage, say)
        _tell_findings(outage, say)
        proof = _prove(workload, dsn, outage, say)
    if proof is not None:
        runs += [outage.with_name(step.run) for step in proof.steps[1:]]
    return runs, broke_at, proof


def _api() -> list[str]:
    pool = ["--pool", str(_API_POOL), "--pool-timeout", str(_API_PATIENCE_S)]
    return ["-m", f"{_INCIDENT}.service", *pool]


def _openapi() -> Path:
    """What the API says of itself: its routes, and what they take."""
    return Path(str(files(_INCIDENT).joinpath("openapi.json")))


def _through(url: str, seed: int, boost: float) -> RunOptions:
    """The storm, sent to the API as its clients would."""
    return RunOptions(
        scenario="storm",
        rate=_API_RATE,
        boosts={"rare": boost / _API_RATE},
        duration_s=_API_RUN_S,
        seed=seed,
        service=url,
        allow_writes=True,
        openapi=str(_openapi()),
        pool=_CLIENTS,
    )


def _tell_outage(outage: Path, say: Say) -> None:
    """What the clients felt, beside what monitoring of the database would have shown."""
    attempts = rundir.read_table(outage, "attempts")
    outcomes = Counter(attempts["outcome"].cast("string").to_pylist())
    busy = Counter(rundir.read_table(outage, "samples")["at_us"].to_pylist())
    counters = rundir.read_table(outage, "counters").to_pylist()
    counted = {
        row["figure"]: row["after"] - row["before"] for row in counters if row["kind"] == "database"
    }
    hits, read = counted.get("blks_hit", 0), counted.get("blks_read", 0)
    say(
        f"              clients: {outcomes['http 503']} of {len(attempts)} turned away with 503; "
        f"the database: at most {max(busy.values(), default=0)} connections busy, "
        f"{hits / max(hits + read, 1):.1%} cache hits, {counted.get('deadlocks', 0):.0f} deadlocks, "
        f"{counted.get('xact_rollback', 0):.0f} rollbacks"
    )


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


def _prove(workload: Path, dsn: str, broken: Path, say: Say) -> Proof | None:
    if not any(fix.kind == "index" for f in rundir.read_findings(broken) for fix in f.fixes):
        say("proof       the findings propose no index: nothing to prove")
        return None
    proof = prove(
        workload,
        dsn,
        broken,
        restore=False,
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
        for route in finding.routes:
            say(f"              {route}")
        for fix in finding.fixes:
            say(f"              {fix.sql or fix.why}")


def workload_of(result: DemoResult) -> Workload:
    """The demo's workload, for the document that `--json` prints."""
    return bundle.read(result.workload)
