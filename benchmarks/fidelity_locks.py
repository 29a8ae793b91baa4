"""Lock waits under the same load: on a copy of production, and on what was generated.

Production's values are drawn anew for the load, as fidelity_anew tells, so that both sides collide as
often as their hot rows make them, and not as often as a small sample repeats itself. The two take
turns, for a machine is not equally fast all the time, and what remains of chance is told: the error of
the ratio, from how far the seconds of one side differ, or the rounds, whichever is more. Sessions
that are idle in a transaction count, for how many are busy beside those that wait is a matter of the
machine.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psycopg
from fidelity_anew import Client
from fidelity_figures import Figure

from replay import bundle, embedded, rundir, target
from replay.conduct import drive
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.watch.sampler import Watch

_LOOKS_HZ = 30.0  # most waits are shorter than the usual tenth of a second
_SECONDS = 15.0
_BLOCK_US = 1_500_000  # seconds apart know nothing of one another: a wait is over by then
_RATE_PER_S = 150.0  # transactions, which leaves the machine room; of those that lock rows so many times more:
_BOOST = {"bank": 7.0}  # its branches are few
_USUAL_BOOST = 14.0
_POOL = 80
_ROOT = 0.1  # of all waits, where a template counts as a root


class _Waits:
    """What the samples of some runs saw."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []  # samples of sessions with a transaction; waiting
        self.rounds: list[float] = []  # the share in each
        self.roots: Counter[str] = Counter()

    def add(self, out: Path) -> None:
        samples = rundir.read_table(out, "samples")
        block = samples["at_us"].to_numpy() // _BLOCK_US
        waits = np.array([wait == "Lock" for wait in samples["wait_type"].to_pylist()])
        self.blocks += [(int((block == n).sum()), int(waits[block == n].sum())) for n in set(block)]
        self.rounds.append(float(waits.mean()))
        self.roots.update(rundir.read_table(out, "blocking")["blocker_template"].to_pylist())

    @property
    def waiting(self) -> int:
        return sum(waiting for _, waiting in self.blocks)

    @property
    def share(self) -> float:
        return self.waiting / max(sum(seen for seen, _ in self.blocks), 1)

    @property
    def error(self) -> float:
        """The relative standard error of the share: that of a ratio of sums over blocks."""
        seen, waiting = np.array(self.blocks, float).T
        rest = waiting - self.share * seen
        return float(np.sqrt((rest**2).sum()) / max(waiting.sum(), 1))

    def held_by(self, template: str) -> float:
        return self.roots[template] / max(self.roots.total(), 1)


def lock_share(
    name: str,
    workloads: tuple[Path, Path],
    production: embedded.Server,
    made: str,
    scratch: Path,
    rounds: int,
) -> list[Figure]:
    """Share of the sessions in a transaction that wait for a lock, and who holds what they wait for."""
    scrubbed, plain = workloads
    copy = production.dsn("before")
    target.mark_staging(copy)
    for dsn in (copy, made):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    with psycopg.connect(copy) as connection:
        client = Client(name, connection)
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
    for turn in range(rounds):
        pair = (plain, copy, there), (scrubbed, made, here)
        for path, dsn, waits in pair if turn % 2 else reversed(pair):
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
            looks = patch.object(drive, "Watch", partial(Watch, hz=_LOOKS_HZ))
            with looks, client.draws() if waits is there else nullcontext():
                run(path, dsn, out, options)
            waits.add(out)
    return _figures(there, here, {one.id: one.sql for one in found.templates})


def _between_rounds(there: _Waits, here: _Waits) -> float:
    """The relative standard error of the ratio, from how far it differs between rounds."""
    for name, waits in (("copy", there), ("made", here)):
        print(f"  {name} waits {', '.join(f'{share:.3f}' for share in waits.rounds)}")
    ratios = np.log(np.maximum(here.rounds, 1e-9)) - np.log(np.maximum(there.rounds, 1e-9))
    return float(ratios.std(ddof=1) / np.sqrt(ratios.size)) if ratios.size > 1 else 0.0


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
    noise = max(float(np.hypot(there.error, here.error)), _between_rounds(there, here))
    return [
        Figure(
            "lock-wait share of sessions in a transaction: copy, made",
            f"{there.share:.3f}, {here.share:.3f} ({error:.0%} ± {noise:.0%})",
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
