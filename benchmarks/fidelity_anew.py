"""Production's load with values drawn anew, as the baseline of lock waits.

A workload keeps some sixty transactions of a kind; replayed by the thousand as captured they would
repeat their few values, and collide far more often than production does. So the kinds that lock rows
are sent to production again, many times over, and every transaction of the load has values of its own.
"""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import psycopg
from fidelity_production import drive, unlogged

from replay import bundle, embedded
from replay.capture import Options
from replay.conduct.capturing import capture_workload
from replay.workload import Transaction

_TIMES = 8  # as many as the load sends of them
_ALL = 1_000_000


def drawn_anew(name: str, production: embedded.Server, plain: Path, out: Path, key: bytes) -> None:
    """Write to `out` the workload of `plain`, its updates in many copies with values of their own."""
    with psycopg.connect(production.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE again TEMPLATE before")
    log = production.log_directory / "server.json"
    before = log.stat().st_size
    drive(name, production.dsn("again"), times=_TIMES)
    unlogged(production.dsn())
    tail, whole = out.with_suffix(".json"), out.with_suffix(".again")
    with log.open("rb") as lines:
        lines.seek(before)
        tail.write_bytes(lines.read())
    capture_workload([tail], whole, key=key, options=Options(keep_values=True, per_stratum=_ALL))
    captured, profile = bundle.read(plain), bundle.read_profile(plain)
    mixed = _mixed(captured.transactions, bundle.read(whole).transactions)
    bundle.write(out, replace(captured, transactions=mixed), profile)


def _mixed(kept: tuple[Transaction, ...], anew: tuple[Transaction, ...]) -> tuple[Transaction, ...]:
    """Those drawn anew in the place of those of their shape, with their weight and their pauses."""
    rng = random.Random(1)
    like: dict[str, list[Transaction]] = defaultdict(list)
    for one in kept:
        like[one.shape].append(one)
    anew = tuple(one for one in anew if one.shape in like)
    copies = Counter(one.shape for one in anew)
    weights = {shape: sum(one.weight for one in like[shape]) / n for shape, n in copies.items()}
    together = [
        *(one for one in kept if one.shape not in copies),
        *(
            replace(_timed(one, rng.choice(like[one.shape])), weight=weights[one.shape])
            for one in anew
        ),
    ]
    return tuple(replace(one, id=number) for number, one in enumerate(together))


def _timed(one: Transaction, other: Transaction) -> Transaction:
    pairs = zip(one.statements, other.statements, strict=True)
    return replace(
        one,
        statements=tuple(
            replace(mine, offset_us=theirs.offset_us, duration_us=theirs.duration_us)
            for mine, theirs in pairs
        ),
    )
