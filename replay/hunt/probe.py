"""One trial of a hunt: a short run over the background with one dial turned, and whether it broke.

Broken is more than the objective: latency that grows while the load stands still (see knee), and what
diagnose holds against a run that was healthy on the whole (a deadlock that production did not have, a
stall of a second), are what the objective only shows later.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import conninfo, sql

from replay import rundir, target
from replay.conduct.amplify import Amplify
from replay.conduct.options import RunOptions
from replay.conduct.run import run
from replay.finding import Finding
from replay.hunt import amplifiers, knee
from replay.hunt.model import Path as HuntedPath
from replay.hunt.notebook import Notebook, Trial
from replay.load.transactions import OK, transactions
from replay.rundir import RunManifest

_LONGEST_S = 20.0  # a trial of long pauses
_LATE_S = 1.0  # a service this late is broken, whatever part of it was the generator's own lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a trial turns a dial on: one path, two, all rare ones, or none."""

    key: str
    paths: tuple[HuntedPath, ...]
    dial: str = amplifiers.RATE

    @property
    def templates(self) -> tuple[str, ...]:
        """Those of all its paths."""
        return tuple(dict.fromkeys(name for path in self.paths for name in path.templates))


class Prober:
    """Makes trials, each once: what the notebook knows is not tried again."""

    def __init__(
        self,
        workload: Path,
        dsn: str,
        notebook: Notebook,
        options: RunOptions,
        say: Callable[[str], None],
    ) -> None:
        self._workload = workload
        self._dsn = dsn
        self._notebook = notebook
        self._options = options
        self._say = say

    def trial(self, subject: Subject, factor: float) -> Trial:
        """Try one factor of the subject's dial."""
        known = self._notebook.trial(subject.key, subject.dial, factor)
        if known is not None:
            return known
        number = len(self._notebook.notes.trials)
        out = self._notebook.directory / f"trial-{number:03}.run"
        options = options_of(subject, factor, self._options)
        broke: bool | None = None
        why = ""
        for seed in (options.seed, options.seed + 1):
            manifest = self._run(subject, out, replace(options, seed=seed))
            broke, why = judge(out, manifest, subject.templates)
            # What cannot be believed, or broke and nobody knows why, has a second chance.
            if broke is False or (broke and _explained(out)):
                break
        found = Trial(
            subject=subject.key,
            dial=subject.dial,
            factor=factor,
            broke=broke,
            why=why,
            run=out.name,
            findings=rundir.read_findings(out) if broke else (),
        )
        self._notebook.add_trial(found)
        return found

    def _run(self, subject: Subject, out: Path, options: RunOptions) -> RunManifest:
        dsn = self._dsn
        if subject.dial == amplifiers.PLANS:
            dsn = _with_setting(dsn, "plan_cache_mode=force_generic_plan")
        if subject.dial == amplifiers.STATISTICS:
            with target.connect_target(dsn) as connection:
                _analyze(connection)
        return run(self._workload, dsn, out, options, say=self._say)


def options_of(subject: Subject, factor: float, base: RunOptions) -> RunOptions:
    """The run that turns the subject's dial to `factor`, at production's peak where not the rate."""
    times = factor if subject.dial == amplifiers.RATE else 1.0
    rates = {path: times * path.peak for path in subject.paths}
    if subject.dial == amplifiers.TOGETHER:
        rates = {path: max(path.peak, factor / len(subject.paths)) for path in subject.paths}
    boosts = {
        path.key: max(rate / path.rate, 1e-3) for path, rate in rates.items() if path.rate > 0
    }
    options = replace(base, scenario="storm" if boosts else base.scenario, boosts=boosts)
    whole = max(round(factor), 1)
    changed: Mapping[str, Amplify] = {
        amplifiers.TOGETHER: Amplify(templates=subject.templates, simultaneous=whole),
        amplifiers.IDLE: Amplify(templates=subject.templates, pauses=factor),
        amplifiers.LISTS: Amplify(templates=subject.templates, lists=whole),
    }
    if subject.dial in changed:
        options = replace(options, amplify=changed[subject.dial])
    if subject.dial == amplifiers.IDLE:
        paused_s = factor * max((path.gap_s for path in subject.paths), default=0.0)
        options = replace(options, duration_s=min(base.duration_s + paused_s, _LONGEST_S))
    if subject.dial == amplifiers.SESSIONS:
        options = replace(options, pool=base.connections * whole)
    return options


def judge(out: Path, manifest: RunManifest, templates: Sequence[str]) -> tuple[bool | None, str]:
    """Whether a run broke, and by what it shows; None where it cannot be believed."""
    objective = manifest.objective
    if objective.get("pool_wait_p95_ms", 0.0) >= _LATE_S * 1e3:
        return True, f"p95 of the wait for the pool {objective['pool_wait_p95_ms']:,.0f} ms"
    if not manifest.valid:
        return None, "; ".join(manifest.why_not)
    if not manifest.healthy:
        return True, (
            f"p95 {objective['p95_ms']:,.0f} ms, {objective['not_ok_share']:.1%} not served"
        )
    found = _explained(out)
    if found is not None:
        return True, f"rule {found.rule}, {found.name}"
    done = transactions(rundir.read_blocks(out, "attempts"), directory=out).due(-np.inf, np.inf)
    chosen = np.isin(done.arrival, _holding(out, templates))
    for who, mask in (("its own", chosen), ("the others'", ~chosen)):
        served = mask & (done.outcome == OK)
        if knee.grows(done.due_us[served] / 1e6, done.latency_ms[served], manifest.duration_s):
            return True, f"{who} latency grows through the trial"
    return False, f"p95 {objective['p95_ms']:,.0f} ms"


def _holding(out: Path, templates: Sequence[str]) -> np.ndarray:
    """Arrivals that have a statement of one of the templates."""
    wanted = pa.array(templates, pa.string())
    parts = [np.zeros(0, np.int64)]
    for block in rundir.read_blocks(out, "attempts"):
        held = pc.is_in(block["template"].cast("string"), value_set=wanted).to_numpy()
        parts.append(np.unique(block["arrival"].to_numpy()[held]))
    return np.concatenate(parts)


def _explained(out: Path) -> Finding | None:
    """The run's first finding of a rule."""
    return next((finding for finding in rundir.read_findings(out) if finding.rule), None)


def _with_setting(dsn: str, setting: str) -> str:
    given = str(conninfo.conninfo_to_dict(dsn).get("options") or "")
    return conninfo.make_conninfo(dsn, options=f"{given} -c {setting}".strip())


def _analyze(connection: psycopg.Connection) -> None:
    """Draw the statistics of every user table again."""
    tables = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'"
        " AND n.nspname NOT IN ('information_schema', 'replay')"
    ).fetchall()
    for names in tables:
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*names)))
