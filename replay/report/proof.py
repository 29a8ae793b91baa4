"""A proof for people, in lines."""

from collections.abc import Iterator

from replay import finding
from replay.finding import BuiltFix, Change, Proof
from replay.report import wording


def lines(proof: Proof) -> Iterator[str]:
    """The verdict, each replay's outcome, and what each fix cost."""
    yield f"{'proven' if proof.proven else 'NOT proven'}: {proof.why}"
    for step in proof.steps:
        outcome = "passes" if step.healthy else "fails"
        yield (
            f"  {step.name:<18} {outcome:<7} p95 {wording.ms(step.figures.get('p95_ms'))}, "
            f"{wording.share(step.figures.get('not_ok_share', 0.0))} not served"
            f"{'' if step.valid else ' (not to be believed)'}"
        )
    for fix in proof.fixes:
        yield f"  {built(fix)}"
    for reason in proof.untried:
        yield f"  not tried: {reason}"
    if not proof.restored:
        yield "  the replays went on with the target's data as the ones before left it"


def built(fix: BuiltFix) -> str:
    """A fix, its size, and what it does to writes; or what was changed in the load."""
    if fix.change is not None:
        return f"{changed(fix.change)}: changes {fix.changed:,} kept transactions"
    size = f": {wording.seconds(fix.build_s)}, {wording.size(fix.bytes)}" if fix.bytes else ""
    used = ""
    if fix.used is not None:
        asked = "would use" if fix.planned == "hypothetical" else "uses"
        used = f"; the planner {asked} it" if fix.used else "; no named statement's plan uses it"
    writes = "".join(
        f"; {cost.template} {wording.ms(cost.before_ms)} to {wording.ms(cost.after_ms)} a write"
        for cost in fix.writes
    )
    return f"{fix.sql}{size}{used}{writes}"


def changed(change: Change) -> str:
    """What a replay did in the application's place."""
    return _CHANGES[change.kind].format(", ".join(change.templates))


_CHANGES = {
    finding.LAST: "{} last in their transaction",
    finding.FIRST: "{} first in their transaction",
    finding.IN_ORDER: "{} in the order of their tables and keys",
    finding.SHORTER: (
        "transactions with {} without the client's pauses, or statement by statement where they only "
        "read"
    ),
    finding.TRANSACTION_LOCK: "{} with a lock that ends with its transaction",
    finding.SKIP_LOCKED: "{} with SKIP LOCKED",
    finding.NO_SAVEPOINTS: "transactions with {} without savepoints, and what failed behind them",
    finding.WITHOUT: "without {}",
}
