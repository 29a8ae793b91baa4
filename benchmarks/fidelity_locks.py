"""Lock waits under the same load: on a copy of production, and on what was generated.

Production's values are drawn anew for the load, as fidelity_anew tells, so that both sides collide as
often as their hot rows make them, and not as often as a small sample repeats itself. The two take
turns, for a machine is not equally fast all the time. Sessions that are idle in a transaction count, for how
many are busy beside those that wait is a matter of the machine.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import psycopg
from fidelity_anew import drawn_anew
from fidelity_figures import Figure

from replay import bundle, embedded, rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run

_ROUNDS = 2
_SECONDS = 8.0
_RATE_PER_S = 250.0  # transactions; of those that lock rows so many times more:
_BOOST = {"bank": 8.0}  # its branches are few
_USUAL_BOOST = 40.0
_POOL = 80
_ROOT = 0.1  # of all waits, where a template counts as a root


class _Waits:
    """What the samples of some runs saw."""

    def __init__(self) -> None:
        self.seen = self.waiting = 0  # samples of sessions with a transaction
        self.roots: Counter[str] = Counter()

    def add(self, out: Path) -> None:
        samples = rundir.read_table(out, "samples")
        self.seen += samples.num_rows
        self.waiting += Counter(samples["wait_type"].to_pylist())["Lock"]
        self.roots.update(rundir.read_table(out, "blocking")["blocker_template"].to_pylist())

    @property
    def share(self) -> float:
        return self.waiting / max(self.seen, 1)

    def held_by(self, template: str) -> float:
        return self.roots[template] / max(self.roots.total(), 1)


def lock_share(
    name: str,
    workloads: tuple[Path, Path],
    production: embedded.Server,
    made: str,
    scratch: Path,
    key: bytes,
) -> list[Figure]:
    """Share of the sessions in a transaction that wait for a lock, and who holds what they wait for."""
    scrubbed, plain = workloads
    anew = scratch / "anew.workload"
    drawn_anew(name, production, plain, anew, key)
    copy = production.dsn("before")
    target.mark_staging(copy)
    for dsn in (copy, made):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    found = bundle.read(plain)
    locking = {
        template.id: _BOOST.get(name, _USUAL_BOOST)
        for template in found.templates
        if template.kind == "update"
        and any(
            len(one.statements) > 1 and any(s.template == template.id for s in one.statements)
            for one in found.transactions
        )
    }
    rate = _RATE_PER_S / (sum(t.weight for t in found.transactions) / found.window_s)
    there, here = _Waits(), _Waits()
    for turn in range(_ROUNDS):
        for path, dsn, waits in ((anew, copy, there), (scrubbed, made, here)):
            out = scratch / f"{path.stem}-{turn}.run"
            options = RunOptions(
                scenario="storm",
                boosts=locking,
                rate=rate,
                duration_s=_SECONDS,
                pool=_POOL,
                identity=waits is there,
                objective_ms=5000,
                seed=turn,
            )
            run(path, dsn, out, options)
            waits.add(out)
    return _figures(there, here, {one.id: one.sql for one in found.templates})


def _figures(there: _Waits, here: _Waits, sql: Mapping[str, str]) -> list[Figure]:
    """The shares, and whether who holds much of the waits on one side holds half as much on the other."""
    roots = {
        template
        for waits in (there, here)
        for template in waits.roots
        if waits.held_by(template) >= _ROOT
    }
    same = sum(
        min(there.held_by(one), here.held_by(one)) >= max(there.held_by(one), here.held_by(one)) / 2
        for one in roots
    )
    for template in sorted(roots):
        text = sql.get(template, template)[:90]
        print(f"  root      {there.held_by(template):.0%}, {here.held_by(template):.0%}  {text}")
    error = abs(here.share / there.share - 1) if there.share else 1.0
    return [
        Figure(
            "lock-wait share of sessions in a transaction: copy, made",
            f"{there.share:.3f}, {here.share:.3f} ({error:.0%} of {there.waiting})",
            "within 15 %",
            error <= 0.15,
        ),
        Figure(
            "root templates (a tenth of the waits on a side; half as much on the other)",
            f"{same} of {len(roots)}",
            "all",
            same == len(roots) > 0,
        ),
    ]
