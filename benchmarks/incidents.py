"""All incidents of the gallery: found and rightly named, wrongly named, missed; false alarms when mended.

`python benchmarks/incidents.py [NAME...] [--hunt] [--prove] [--keep DIR]`: each incident from its production
to its fix, a line for each, and the sum. The bar: all named by rule and template, no false alarm, each
under three minutes on 2 cores. `--hunt` also hunts in each capture, and sets the predicted headroom of
the path that is to blame beside its measured knee: within a factor of 4. `--prove` proves the first finding
of each, SQL or a change in the application, as `replay prove --finding 1` does: all eleven.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from replay.conduct.prove import prove
from replay.errors import InputError
from replay.gallery.incident import Incident
from replay.gallery.play import Played, in_words, play
from replay.gallery.read import find, gallery
from replay.hunt.amplifiers import RATE
from replay.hunt.hunt import HuntOptions, hunt
from replay.hunt.result import Confirmed
from replay.report.proof import built

_LIMIT_S = 180.0
_APART = 4.0
_HUNT_S = 240.0
_CONFIRMED = 3  # paths a hunt


def main() -> int:
    """Play, print, sum up; 1 where the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--hunt", action="store_true")
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    options = parser.parse_args()
    chosen = [find(name) for name in options.names] or list(gallery())
    played: list[Played] = []
    knees: list[Confirmed] = []
    unproven: list[str] = []
    with tempfile.TemporaryDirectory(prefix="replay-incidents-") as scratch:
        for incident in chosen:
            directory = (options.keep or Path(scratch)) / incident.name
            played.append(play(incident, directory, say=say))
            print(line(played[-1]), flush=True)
            if options.hunt:
                knees += hunted(incident, directory)
            if options.prove and not proven(incident, directory):
                unproven.append(incident.name)
    if options.prove:
        print(f"{len(played) - len(unproven)} of {len(played)} proven; not: {unproven}")
    return report(played, knees) or int(bool(unproven))


def line(one: Played) -> str:
    """An incident's row of the table."""
    return (
        f"{one.incident.name:<18} rule {one.incident.expects.rule:>2}  {one.seconds:>5.0f} s  "
        f"production p95 {one.production.get('p95_ms', 0):>6.1f} ms  "
        f"{'passed' if one.passed else 'FAILED'}  {in_words(one)}"
    )


def hunted(incident: Incident, directory: Path) -> list[Confirmed]:
    """The confirmed knees of the paths that are to blame, beside what was predicted."""
    workload = directory / "broken.workload"
    began = time.monotonic()
    options = HuntOptions(budget_s=_HUNT_S, confirm=_CONFIRMED, rate_only=True)
    found = hunt(workload, None, directory / "h.run", options, say=say)
    blamed = {*incident.expects.templates, *incident.expects.one_of}
    knees = [
        one
        for one in found.confirmed
        if one.dial == RATE and one.breaks_x and one.predicted_x and blamed & set(one.templates)
    ]
    for one in knees:
        print(
            f"{incident.name:<18} hunted in {time.monotonic() - began:.0f} s: predicted "
            f"{one.predicted_x:.1f}x, safe to {one.safe_x or 0:g}x, breaks at {one.breaks_x:g}x, "
            f"{found.trials} trials",
            flush=True,
        )
    return knees


def proven(incident: Incident, directory: Path) -> bool:
    """Whether the first finding's own fix is proven, on a private server."""
    began = time.monotonic()
    try:
        proof = prove(
            directory / "broken.workload", None, directory / "broken.run", finding=1, say=say
        )
    except InputError as error:
        print(f"{incident.name:<18} NOT proven: {error}", flush=True)
        return False
    made = "; ".join(built(fix) for fix in proof.fixes)
    print(
        f"{incident.name:<18} {'proven' if proof.proven else 'NOT proven'} in "
        f"{time.monotonic() - began:.0f} s: {proof.why}: {made}",
        flush=True,
    )
    return proof.proven


def report(played: list[Played], knees: list[Confirmed]) -> int:
    """The sums, and whether the bar is met."""
    verdicts = Counter(one.verdict for one in played)
    alarms = sum(len(one.false_alarms) for one in played)
    slowest = max(one.seconds for one in played)
    print(
        f"{len(played)} incidents: {', '.join(f'{n} {v}' for v, n in verdicts.items())}; "
        f"{alarms} false alarms with the fix; the slowest took {slowest:.0f} s"
    )
    apart = [factor(one) for one in knees]
    if apart:
        print(
            f"predicted and measured knee: at most {max(apart):.1f}x apart, in {len(apart)} hunts"
        )
    met = all(one.passed for one in played) and slowest <= _LIMIT_S
    return 0 if met and max(apart, default=1.0) <= _APART else 1


def factor(one: Confirmed) -> float:
    """How far the prediction is from the bracket that was measured; 1 inside of it."""
    assert one.predicted_x
    assert one.breaks_x
    low, high = one.safe_x or one.breaks_x, one.breaks_x
    return max(low / one.predicted_x, one.predicted_x / high, 1.0)


def say(told: str) -> None:
    print(told, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
