"""A run's figures, computed once: every report output writes what stands here, and nothing else."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replay import bundle, replayed, rundir
from replay.capacity import Capacity
from replay.errors import InputError
from replay.finding import Finding, Proof
from replay.migration import Migration
from replay.report import blocking, columns, failures, latency, requests, waits, wording
from replay.report.activity import Beside, beside
from replay.report.attempts import Attempts
from replay.report.coverage import Coverage, coverage
from replay.report.failures import Failure
from replay.report.fidelity import Fidelity, fidelity
from replay.report.latency import Series, TemplateLatency
from replay.report.requests import RequestFigures
from replay.rundir import RunManifest
from replay.sql.comment import route_of, spelling
from replay.sql.fingerprint import fingerprint
from replay.verification import Verification
from replay.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One run in a comparison: its outcome in a row."""

    name: str
    manifest: RunManifest
    verdict: wording.Verdict
    blocked_s: float  # seconds that sessions waited on locks, all trees together
    causes: tuple[str, ...]  # names of the rules that fired


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a report tells about one run, and the runs set beside it."""

    name: str
    manifest: RunManifest
    verdict: wording.Verdict
    findings: tuple[Finding, ...]
    proof: Proof | None
    capacity: Capacity | None  # what a ramp found
    verification: Verification | None  # how like production the data was
    migration: Migration | None  # that ran in the middle of the load
    grid: columns.Grid
    templates: tuple[TemplateLatency, ...]  # by time in the server
    failures: tuple[Failure, ...]  # what the server refused
    ordinary_ms: tuple[Series, ...]  # from due, transactions without a boosted template
    pool_wait_ms: tuple[Series, ...]
    waits: tuple[waits.Band, ...]
    activity: tuple[Beside, ...]  # beside production's, where that was captured
    trees: tuple[blocking.Node, ...]
    blocked_s: float
    coverage: Coverage | None  # None: no workload at hand
    fidelity: Fidelity | None  # the same
    texts: dict[str, str]  # template -> canonical SQL
    routes: dict[
        str, str
    ]  # template -> the route that ran it, as seen, or as the capture linked it
    requests: RequestFigures | None  # of a run through a service
    runs: tuple[Line, ...]  # this run first


def summarise(runs: Sequence[Path], workload: Path | None = None) -> Summary:
    """Read the first run whole and the others' outcomes; raises InputError where one is no run.

    Without `workload` the one beside the run is taken, where it is the one that was replayed.
    """
    run = runs[0]
    manifest = rundir.read_manifest(run)
    source = find_workload(run, manifest, workload)
    attempts = Attempts(run)
    grid = columns.grid(manifest, attempts.last_us)
    boosted = set(manifest.boosted)
    findings = rundir.read_findings(run)
    texts = _texts(run, findings, source)
    seen, routes = _seen(run, manifest, source)
    routes = _linked(source) | routes
    whole = latency.Whole(attempts, boosted)
    trees = blocking.trees(run)
    templates = latency.by_template(
        attempts, {t.id: t for t in source.templates} if source else {}, texts, boosted
    )
    lines = (_line(run, trees), *(_line(path, blocking.trees(path)) for path in runs[1:]))
    return Summary(
        name=run.name,
        manifest=manifest,
        verdict=lines[0].verdict,
        findings=findings,
        proof=rundir.read_proof(run),
        capacity=rundir.read_capacity(run),
        verification=rundir.read_verification(run),
        migration=rundir.read_migration(run),
        grid=grid,
        templates=templates,
        failures=failures.by_sqlstate(templates, source),
        ordinary_ms=latency.over_time(
            whole, grid, lambda some: (some.from_due_ms[some.ordinary], some.due_us[some.ordinary])
        ),
        pool_wait_ms=latency.over_time(whole, grid, lambda some: (some.pool_wait_ms, some.due_us)),
        waits=waits.by_event(run, grid),
        activity=beside(run, manifest, source),
        trees=trees,
        blocked_s=lines[0].blocked_s,
        coverage=coverage(source, attempts, boosted) if source else None,
        fidelity=fidelity(source, attempts, manifest) if source else None,
        texts=seen | texts,
        routes=routes,
        requests=requests.figures(run, manifest, _place(run, manifest, workload)),
        runs=lines,
    )


def find_workload(run: Path, manifest: RunManifest, given: Path | None) -> Workload | None:
    """The workload that was replayed; raises InputError where `given` is another one."""
    place = _place(run, manifest, given)
    return None if place is None else _replayed(place, manifest)


def _place(run: Path, manifest: RunManifest, given: Path | None) -> Path | None:
    if given is None:
        beside = run.resolve().parent / manifest.workload
        if not beside.is_dir() or bundle.workload_id(beside) != manifest.workload_id:
            return None
        return beside
    if bundle.workload_id(given) != manifest.workload_id:
        raise InputError(
            f"{given}: is not the workload that {run} replayed ({manifest.workload}); "
            "name that one with --workload, or leave the option out"
        )
    return given


def _replayed(workload: Path, manifest: RunManifest) -> Workload:
    service = bool(manifest.options.get("service"))
    return replayed.read(workload, service=service, statements=False)


def _line(run: Path, trees: Sequence[blocking.Node]) -> Line:
    manifest = rundir.read_manifest(run)
    findings = rundir.read_findings(run)
    return Line(
        name=run.name,
        manifest=manifest,
        verdict=wording.verdict(manifest, findings),
        blocked_s=round(sum(tree.blocked_s for tree in trees), 3),
        causes=tuple(dict.fromkeys(finding.name for finding in findings)),
    )


def _texts(run: Path, findings: Sequence[Finding], workload: Workload | None) -> dict[str, str]:
    """SQL by template, from the workload, or from what the run itself remembers."""
    texts = {name: str(plan.get("sql", "")) for name, plan in rundir.read_plans(run).items()}
    texts |= {culprit.id: culprit.sql for finding in findings for culprit in finding.templates}
    if (migration := rundir.read_migration(run)) is not None:
        texts |= {statement.template: statement.sql for statement in migration.statements}
    if workload is not None:
        texts |= {template.id: template.sql for template in workload.templates}
    return texts


def _linked(workload: Workload | None) -> dict[str, str]:
    """Template -> the route of the captured requests that ran it most, and how many others there are."""
    templates = workload.templates if workload is not None else ()
    return {
        one.id: one.routes[0][0] + (f" and {len(one.routes) - 1} more" if one.routes[1:] else "")
        for one in templates
        if one.routes
    }


def _seen(
    run: Path, manifest: RunManifest, workload: Workload | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Of a run through a service: template -> its text, and -> the route that ran it most."""
    if not manifest.options.get("service"):
        return {}, {}
    shown = spelling(one.sql for one in (workload.templates if workload else ()))
    texts: dict[str, str] = {}
    kinds: dict[str, str] = {}
    routes: dict[str, Counter[str]] = defaultdict(Counter)
    samples = rundir.read_table(run, "samples").select(["template", "text"])
    for row in samples.to_pylist():
        template, text = row["template"], row["text"] or ""
        if template and template not in texts:
            made = fingerprint(text)
            texts[template], kinds[template] = made.sql, made.kind
        if template and (route := route_of(text.encode())):
            routes[template][shown(route, kinds[template])] += 1
    return texts, {name: counts.most_common(1)[0][0] for name, counts in routes.items()}
