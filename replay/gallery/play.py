"""Play an incident: its own production, captured from its log, replayed until it shows, and mended.

Nothing on the way knows what is expected; the verdict compares at the end. The fix is what a team
would ship: SQL on staging (fix.sql), a release done right (migration_fixed.sql), or an application
that behaves otherwise (`[fix]`), which is a production of its own, captured and replayed like the first.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from replay import bundle, embedded, rundir, target
from replay.conduct.options import RunOptions
from replay.conduct.prepare import PRIVATE_SETTINGS, copy_staging, new_staging
from replay.conduct.production import capture, drive, fill, run_script
from replay.conduct.run import run
from replay.errors import InputError
from replay.finding import Finding
from replay.gallery import health
from replay.gallery.incident import Expectation, Incident
from replay.rundir import RunManifest

Say = Callable[[str], None]

_SCHEMA = ("schema.sql", "fill.sql", "keys.sql")
_BROKEN, _FIXED = "broken", "fixed"  # databases of the private staging server
NAMED, WRONGLY, MISSED = "named", "wrongly named", "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of one incident."""

    incident: Incident
    production: dict[str, float]  # what its clients say: requests, failed, p95_ms
    verdict: str  # NAMED, WRONGLY or MISSED
    findings: tuple[Finding, ...]  # of the replay without the fix
    broken: RunManifest
    fixed: RunManifest
    false_alarms: tuple[Finding, ...]  # of the replay with the fix
    directory: Path  # holds workload and runs
    seconds: float

    @property
    def production_healthy(self) -> bool:
        """Whether production itself did not suffer: what the replay shows, it did not."""
        return health.is_healthy(self.production)

    @property
    def believed(self) -> bool:
        """Whether both replays say something of the server, and not of the machine's other work."""
        return self.broken.valid and self.fixed.valid

    @property
    def passed(self) -> bool:
        """Found and rightly named, and neither broken nor accused with the fix."""
        return (
            self.verdict == NAMED
            and self.production_healthy
            and self.fixed.healthy
            and not self.false_alarms
        )


def play(incident: Incident, directory: Path, *, seed: int = 0, say: Say) -> Played:
    """Play an incident into `directory`; the servers that it needs are started and stopped."""
    began = time.monotonic()
    if not (incident.traffic.program or incident.script("schema.sql")):
        raise InputError(
            f"{incident.folder}: holds no schema.sql with production's tables and rows"
        )
    directory.mkdir(parents=True, exist_ok=True)
    say(f"incident    {incident.name}: {incident.title}")
    told = _produce(incident, directory, seed, say)
    broken, fixed = _replay(incident, directory, seed, say)
    findings = rundir.read_findings(directory / f"{_BROKEN}.run")
    played = Played(
        incident=incident,
        production=told,
        verdict=judge(findings, incident.expects),
        findings=findings,
        broken=broken,
        fixed=fixed,
        false_alarms=rundir.read_findings(directory / f"{_FIXED}.run"),
        directory=directory,
        seconds=round(time.monotonic() - began, 1),
    )
    say(f"verdict     {'passed' if played.passed else 'NOT passed'}: {in_words(played)}")
    return played


def judge(findings: tuple[Finding, ...], expects: Expectation) -> str:
    """Whether the finding that comes first has the rule and names the templates expected."""
    named = [finding for finding in findings if finding.rule]
    if not named:
        return MISSED
    culprits = {culprit.id for culprit in named[0].templates}
    right = (
        named[0].rule == expects.rule
        and culprits.issuperset(expects.templates)
        and not (expects.one_of and culprits.isdisjoint(expects.one_of))
    )
    return NAMED if right else WRONGLY


def in_words(played: Played) -> str:
    """The verdict in one line."""
    first = next((f for f in played.findings if f.rule), None)
    parts = [f"{played.verdict} (rule {first.rule}, {first.name})" if first else played.verdict]
    if not played.production_healthy:
        told = played.production
        parts.append(
            f"production was not healthy, p95 {told['p95_ms']:,.0f} ms, {told['failed']:.0f} failed"
        )
    for manifest in (played.broken, played.fixed):
        parts += [f"not to be believed: {reason}" for reason in manifest.why_not]
    if not played.fixed.healthy:
        parts.append("broken with the fix as well")
    parts += [f"false alarm with the fix: rule {f.rule}, {f.name}" for f in played.false_alarms]
    return "; ".join(parts)


def _produce(incident: Incident, directory: Path, seed: int, say: Say) -> dict[str, float]:
    """Production, and where the application is mended, production with it: a workload of each."""
    with embedded.server(PRIVATE_SETTINGS) as production:
        fill(production, [s for name in _SCHEMA if (s := incident.script(name))], say)
        told = _drive(incident, production, directory / f"{_BROKEN}.workload", seed, say)
        if incident.fixed_traffic is not None:
            fill(production, [incident.script("fix.sql")], say)
            _drive(incident, production, directory / f"{_FIXED}.workload", seed, say, fixed=True)
    return told


def _drive(
    incident: Incident,
    production: embedded.Server,
    workload: Path,
    seed: int,
    say: Say,
    *,
    fixed: bool = False,
) -> dict[str, float]:
    traffic = (incident.fixed_traffic if fixed else None) or incident.traffic
    say(f"traffic     {'with the fix, ' if fixed else ''}{traffic.seconds:g} s …")
    if traffic.program:
        program = [str(incident.folder / traffic.program), "--seconds", str(traffic.seconds)]
        application = ""
    else:
        application = workload.stem
        program = ["-m", "replay.gallery.drive", str(incident.folder), "--application", application]
        program += ["--fixed"] if fixed else []
    told = drive(production, program)
    if told:
        say(
            f"            {told['requests']:,} requests, p95 {told['p95_ms']:,.1f} ms, "
            f"{told['failed']} failed"
        )
        if told["failed"] >= told["requests"]:
            raise InputError(
                f"{incident.folder}: each request of its traffic failed in production; the first errors "
                "stand above"
            )
    captured = capture(production, workload, seed=seed, say=say, application=application)
    return told or health.of_log(captured)


def _replay(
    incident: Incident, directory: Path, seed: int, say: Say
) -> tuple[RunManifest, RunManifest]:
    """The replay that must break, and with the fix the one that must not."""
    workload = directory / f"{_BROKEN}.workload"
    with embedded.server(PRIVATE_SETTINGS) as staging:
        dsn = new_staging(staging, _BROKEN, workload, seed=seed, say=say)
        if incident.fixed_traffic is not None:
            mended = directory / f"{_FIXED}.workload"
            mended_dsn = new_staging(staging, _FIXED, mended, seed=seed, say=say)
        else:
            mended, mended_dsn = workload, copy_staging(staging, _FIXED, _BROKEN)
            with target.connect_target(mended_dsn) as connection:
                run_script(connection, incident.script("fix.sql"))
        broken = _run(incident, workload, dsn, directory / f"{_BROKEN}.run", seed, say)
        fixed = _run(incident, mended, mended_dsn, directory / f"{_FIXED}.run", seed, say)
    return broken, fixed


def _run(
    incident: Incident, workload: Path, dsn: str, out: Path, seed: int, say: Say
) -> RunManifest:
    options = _options(incident, workload, out, seed)
    manifest = run(workload, dsn, out, options)
    if not manifest.valid:
        say(f"again       {out.name}: {'; '.join(manifest.why_not)}")
        manifest = run(workload, dsn, out, replace(options, seed=seed + 1))
    figures = manifest.objective
    say(
        f"run         {out.stem:<10} {'healthy' if manifest.healthy else 'BROKEN ':<8} "
        f"p95 {figures.get('p95_ms', 0):,.0f} ms, {figures.get('not_ok_share', 0):.1%} not served"
    )
    for finding in rundir.read_findings(out):
        say(f"finding     rule {finding.rule}, {finding.name}: {finding.summary}")
        for culprit in finding.templates:
            say(f"              {culprit.id}  {culprit.sql[:90]}")
    return manifest


def _options(incident: Incident, workload: Path, out: Path, seed: int) -> RunOptions:
    asked = incident.replay
    during = incident.migration(fixed=out.stem == _FIXED)
    known = {template.id for template in bundle.read(workload).templates}
    boosts = {
        template: factor
        for name, factor in asked.boost.items()
        for template in (("rare",) if name == "rare" else incident.names[name])
        if template == "rare" or template in known
    }
    return RunOptions(
        scenario="storm" if boosts else "mix",
        rate=asked.rate,
        boosts=boosts,
        duration_s=asked.duration_s,
        pool=asked.pool,
        seed=seed,
        during=during,
        at_s=asked.during_at_s if during else None,
        repeat=asked.during_repeat if during else 1,
    )
