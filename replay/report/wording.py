"""How figures and verdicts are told to people, the same on the terminal and in the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replay.outcome import LEFT_OUT_ASKED

if TYPE_CHECKING:  # who writes a workload's figures needs no runs
    from replay.finding import Finding
    from replay.report.fidelity import Fidelity
    from replay.report.requests import RequestFigures
    from replay.rundir import RunManifest

_KNOWN_FIGURES = {
    "lag_p50_us": "schedule lag, median",
    "lag_p99_us": "schedule lag, p99",
    "lag_max_us": "schedule lag, longest",
    "cpu_share": "generator's CPU",
    "late_share": "sent over 100 ms late",
    "expected_errors": "errors that production had too",
    "lost_connections": "connections lost",
    "connections_opened": "connections opened to the service",
    "retried": "begun again after a deadlock or a serialization failure",
    "out_of_order": "statements not in production's order of commits",
    "refused_settings": "settings of captured sessions that the target did not take",
    "samples_missed": "samples missed",
}
STRANGER = "a session that is not the replay's"
_THOUSAND = 1000.0
_APART = 0.05  # of a route's answers, that are of another class than production's
_ROUTES_APART = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run says, as a badge and a sentence."""

    level: str  # good, bad, doubtful: by which it is coloured
    badge: str
    sentence: str
    cause: str  # what the first finding says; empty where there is none


def verdict(manifest: "RunManifest", findings: "Sequence[Finding]") -> Verdict:
    """Judge a run by its manifest; a run that cannot be believed is neither good nor bad."""
    figures = _outcome(manifest)
    cause = findings[0].summary if findings and not manifest.healthy else ""
    if manifest.state != "finished" or not manifest.objective:
        # What a stopped run lacks is also among the reasons not to believe it.
        reasons = "; ".join(dict.fromkeys((*manifest.missing, *manifest.why_not)))
        missing = reasons or "it did not come to its end"
        return Verdict(
            level="doubtful",
            badge=manifest.state,
            sentence=f"This run is not complete: {missing}.",
            cause=cause,
        )
    if not manifest.valid:
        reasons = "; ".join(manifest.why_not) or "no reason was recorded"
        return Verdict(
            level="doubtful",
            badge="not valid",
            sentence=f"This run cannot be believed: {reasons}. It measured {figures}.",
            cause=cause,
        )
    if manifest.healthy:
        return Verdict(
            level="good", badge="healthy", sentence=f"Staging holds: {figures}.", cause=""
        )
    return Verdict(
        level="bad",
        badge="broken",
        sentence=f"Staging breaks under this load: {figures}.",
        cause=cause,
    )


def objective_ms(manifest: "RunManifest") -> float | None:
    """The p95 from due that the service promises; None where the run had none."""
    value = manifest.objective.get("objective_ms", manifest.options.get("objective_ms"))
    return float(value) if isinstance(value, int | float) else None


def load(manifest: "RunManifest") -> str:
    """Scenario and strength of a run in a few words: "storm, rare × 64"."""
    boosts = manifest.options.get("boosts")
    words = [manifest.scenario]
    rate = manifest.options.get("rate", 1.0)
    if isinstance(rate, int | float) and rate != 1.0:
        words.append(f"rate × {rate:g}")
    if isinstance(boosts, Mapping):
        words += [f"{name} × {factor:g}" for name, factor in boosts.items()]
    return ", ".join(words)


def pool(manifest: "RunManifest") -> str:
    """The connections that transactions waited for: "pool of 20"; a recording has none."""
    return f"pool of {manifest.pool}" if manifest.pool else "recorded sessions"


def ms(value: float | None) -> str:
    """Milliseconds with as many digits as they are worth; a dash for None."""
    if value is None:
        return "–"
    if value >= 10 * _THOUSAND:
        return f"{value / _THOUSAND:,.1f} s"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} ms"


def seconds(value: float) -> str:
    """Seconds, short."""
    return f"{value:,.0f} s" if value >= 100 else f"{value:,.1f} s"


def share(value: float) -> str:
    """A share of 1 as per cent; small ones keep two digits that say something."""
    return f"{percent(value)} %"


def percent(value: float) -> str:
    """The figure of `share`, for a column of them."""
    hundredth = value * 100
    if 0 < hundredth < 0.0005:
        return "<0.001"
    digits = 1 if hundredth >= 1 or hundredth == 0 else 2 if hundredth >= 0.1 else 3
    return f"{hundredth:.{digits}f}"


def figure(value: float) -> str:
    """A rate or a mean count: three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def size(value: int) -> str:
    """Bytes in the unit that fits."""
    power = min((max(value, 1).bit_length() - 1) // 10, 4)
    amount = value / 1024**power
    digits = 1 if power and amount < 10 else 0
    return f"{amount:,.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def generator_facts(manifest: "RunManifest") -> tuple[tuple[str, str], ...]:
    """The generator's own figures as label and value; an unknown one is told by its name."""
    return tuple(
        (_KNOWN_FIGURES.get(name, name.replace("_", " ")), _figure(name, value))
        for name, value in manifest.generator.items()
    )


def fidelity_facts(found: "Fidelity") -> Iterator[tuple[str, str]]:
    """How close a run was to production, as label and figures."""
    if found.expected_per_s:
        ratio, wanted = found.replayed_per_s / found.expected_per_s, figure(found.expected_per_s)
        rate = f"{figure(found.replayed_per_s)} of {wanted} asked for ({share(ratio)})"
        yield f"{found.of} a second", rate
    yield f"{found.kinds}' shares in common", share(found.mix_overlap)
    if found.shape_overlap is not None:
        yield "transactions' shapes in common", share(found.shape_overlap)
    there = f"{figure(found.production_concurrency)}, at most {found.production_peak}"
    if not found.production_peak:
        there = "not told by its log"
    here = f"{figure(found.replayed_concurrency)}, at most {found.replayed_peak}"
    yield f"{found.of} in flight", f"{here} (production {there})"
    for state in dict.fromkeys([*found.production_errors, *found.replayed_errors]):
        now, then = (of.get(state, 0.0) for of in (found.replayed_errors, found.production_errors))
        yield f"{state} in a thousand", f"{now:g} (production {then:g})"


def request_facts(found: "RequestFigures") -> Iterator[tuple[str, str]]:
    """How requests were planned, and how like production's their answers were, as label and figures."""
    total = sum(found.planned.values()) + sum(found.left_out.values()) or 1
    for how, count in found.planned.items():
        yield how, f"{count:,} ({share(count / total)})"
    for reason, count in found.left_out.items():
        yield f"left out: {reason}", f"{count:,} ({share(count / total)})"
    if found.mismatch is not None:
        yield "answers of another class than production's", share(found.mismatch)
    if found.unanswered:
        yield "let go by the service without an answer, not sent again", f"{found.unanswered:,}"
    for one in found.routes[:_ROUTES_APART]:
        if one.mismatch >= _APART:
            yield one.route, f"{_classes(one.replayed)} (production {_classes(one.production)})"


def _classes(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share(part)} {name}" for name, part in shares.items())


def _figure(name: str, value: float) -> str:
    if name.endswith("_us"):
        return ms(value / _THOUSAND)
    if name.endswith("_ms"):
        return ms(value)
    if name.endswith("_share"):
        return share(value)
    return f"{value:,.6g}"


def _outcome(manifest: "RunManifest") -> str:
    figures = manifest.objective
    promised = objective_ms(manifest)
    against = f" (objective {ms(promised)})" if promised is not None else ""
    return (
        f"p95 from due is {ms(figures.get('p95_ms'))}{against}, "
        f"{share(figures.get('not_ok_share', 0.0))} of transactions were not served"
        f"{_without(manifest)}"
    )


def _without(manifest: "RunManifest") -> str:
    """What of production the user left out; nothing where he left out nothing."""
    requests, left_out = (manifest.options.get(name) for name in ("requests", "left_out"))
    if not (isinstance(requests, Mapping) and isinstance(left_out, Mapping)):
        return ""
    asked = left_out.get(LEFT_OUT_ASKED, 0)
    total = sum(requests.values()) + sum(left_out.values())
    return (
        f", without {share(asked / total)} of production's requests (--leave-out)" if asked else ""
    )
