"""Lock waits under the same replay: on a copy of production as captured, and on what was generated."""

from collections import Counter
from pathlib import Path

import psycopg
import pyarrow.compute as pc
from fidelity_figures import Figure

from replay import bundle, embedded, rundir, target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run

_SECONDS = 10.0
_RATE_PER_S = 1200.0  # transactions
_POOL = 40


def lock_share(
    workloads: tuple[Path, Path], production: embedded.Server, made: str, scratch: Path
) -> list[Figure]:
    """Share of the busy samples that wait for a lock, and who holds what they wait for."""
    scrubbed, plain = workloads
    found = bundle.read(plain)
    own_rate = sum(t.weight for t in found.transactions) / found.window_s
    rate = _RATE_PER_S / own_rate
    copy = production.dsn("before")
    target.mark_staging(copy)
    with psycopg.connect(copy, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    results = []
    for path, dsn, identity in ((plain, copy, True), (scrubbed, made, False)):
        out = scratch / f"{path.stem}.run"
        options = RunOptions(
            rate=rate, duration_s=_SECONDS, pool=_POOL, identity=identity, objective_ms=5000
        )
        run(path, dsn, out, options)
        results.append((_waiting(out), _roots(out)))
    (there, their_roots), (here, our_roots) = results
    error = abs(here - there) / max(there, 1e-9)
    return [
        Figure(
            "lock-wait share of busy samples: production's copy, made",
            f"{there:.3f}, {here:.3f}",
            "within 15 %",
            error <= 0.15,
        ),
        Figure(
            "root templates (those that hold 80 % of waits)",
            f"{len(their_roots & our_roots)} of {len(their_roots)}",
            "the same",
            their_roots == our_roots,
        ),
    ]


def _waiting(out: Path) -> float:
    samples = rundir.read_table(out, "samples")
    busy = samples.filter(pc.equal(pc.cast(samples["state"], "string"), "active"))
    waits = Counter(busy["wait_type"].to_pylist())
    return waits["Lock"] / max(busy.num_rows, 1)


def _roots(out: Path) -> set[str]:
    blocking = rundir.read_table(out, "blocking")
    held = Counter(blocking["blocker_template"].to_pylist())
    chosen: set[str] = set()
    for template, _ in held.most_common():
        if sum(held[one] for one in chosen) >= 0.8 * held.total():
            break
        chosen.add(template)
    return chosen
