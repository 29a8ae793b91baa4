"""What a hunt says at its end, and how confirmed knees come out of its trials."""

from collections.abc import Sequence
from dataclasses import dataclass

from replay.finding import Finding
from replay.hunt.amplifiers import RATE
from replay.hunt.deadlocks import Candidate
from replay.hunt.model import Prediction
from replay.hunt.notebook import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A path, or several together, under load."""

    templates: tuple[str, ...]
    dial: str  # what was made more of: rate, simultaneity …
    safe_x: float | None  # largest multiple that held; None: none did
    breaks_x: float | None  # smallest that did not; None: none was found
    predicted_x: float | None  # by the model, before; None where it says nothing
    why: str  # how it broke, or why it was not tried further
    finding: Finding | None
    run: str  # directory of the trial that broke; empty where none did


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunted:
    """The whole of it."""

    confirmed: tuple[Confirmed, ...]  # those that broke first, nearest first
    predicted: tuple[Prediction, ...]  # of all paths, nearest first; the model's word alone
    candidates: tuple[Candidate, ...]  # deadlocks that the order of locks allows
    leaks: tuple[str, ...]  # templates that leave a session's lock behind
    failing: tuple[tuple[str, str], ...]  # (template, SQLSTATE): fails alone, as it did not there
    complete: bool  # False: the budget ended it, or it was stopped
    valid: bool  # production's own mix could be judged here: so can the rest
    why_not: tuple[str, ...]  # trials that could not be believed, and why
    trials: int
    elapsed_s: float


def confirmed(
    templates: Sequence[str],
    dial: str,
    trials: Sequence[Trial],
    predicted_x: float | None,
) -> Confirmed:
    """What the trials of one subject and dial amount to."""
    held = [trial.factor for trial in trials if trial.broke is False]
    broke = sorted((trial for trial in trials if trial.broke), key=lambda trial: trial.factor)
    unjudged = [trial.why for trial in trials if trial.broke is None]
    named = [(t, f) for t in broke if (f := _of(t.findings, templates)) is not None]
    reason = broke[0].why if broke else (unjudged[0] if unjudged else "held as far as it was tried")
    return Confirmed(
        templates=tuple(templates),
        dial=dial,
        safe_x=max(held, default=None),
        breaks_x=broke[0].factor if broke else None,
        predicted_x=predicted_x,
        why=reason,
        finding=named[0][1] if named else None,
        run=(named[0][0] if named else broke[0]).run if broke else "",
    )


def _of(findings: Sequence[Finding], templates: Sequence[str]) -> Finding | None:
    """The finding that explains most of what these templates have part in; any, where none does."""
    explained = [finding for finding in findings if finding.rule]
    for finding in explained:
        if {culprit.id for culprit in finding.templates} & set(templates):
            return finding
    return next(iter(explained), None)


def in_order(found: Sequence[Confirmed]) -> tuple[Confirmed, ...]:
    """Those that broke first, by how near; then those that held."""
    return tuple(
        sorted(found, key=lambda one: (one.breaks_x is None, one.breaks_x or 0.0, one.templates))
    )


def in_words(found: Confirmed) -> str:
    """One line, such as: safe to 8x, breaks at 14x."""
    what = "" if found.dial == RATE else f"{found.dial}: "
    if found.safe_x is None and found.breaks_x is None:
        return f"{what}could not be judged here: {found.why}"
    safe = f"safe to {found.safe_x:g}x" if found.safe_x is not None else "not safe at all"
    breaks = f"breaks at {found.breaks_x:g}x" if found.breaks_x is not None else "no break found"
    named = f"; rule {found.finding.rule}, {found.finding.name}" if found.finding else ""
    return f"{what}{safe}, {breaks}{named}"
