"""Confirmation by load, in one fixed order: the most telling trials first, until the budget is up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replay.hunt import amplifiers, deadlocks, result
from replay.hunt.model import Path as HuntedPath
from replay.hunt.model import Prediction, Server, predict_pair, shared_targets
from replay.hunt.notebook import Notebook, Trial
from replay.hunt.probe import Prober, Subject
from replay.hunt.result import Confirmed, in_words
from replay.hunt.search import Search, halves

Say = Callable[[str], None]

BASELINE = "baseline"  # key of production's own mix
_ALL_RARE_X = 4.0
_PAIRS = 3
_CANDIDATES = 4
_DIALS = 6  # of paths times dials, the nearest to breaking
_TOGETHER_X = 8.0  # where a deadlock candidate is begun with
_MOST_RATE = 3000.0  # transactions a second of one path: beyond, the generator is the limit
_MOST_X = 4096.0


class OverBudgetError(Exception):
    """The time is up; what was found stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be confirmed."""

    paths: Sequence[HuntedPath]
    predictions: Sequence[Prediction]  # of all paths, the nearest first
    suspects: Sequence[deadlocks.Candidate]
    worst: int  # so many of them
    objective_s: float
    rate_only: bool


class Confirmation:
    """The trials of one hunt; `found` has what they amount to, also where the budget ended them."""

    def __init__(
        self,
        prober: Prober,
        notebook: Notebook,
        server: Server,
        *,
        left_s: Callable[[], float],
        say: Say,
    ) -> None:
        self.found: list[Confirmed] = []
        self._prober, self._notebook, self._server = prober, notebook, server
        self._left_s, self._say = left_s, say

    def conduct(self, plan: Plan) -> None:
        """All of it; raises OverBudgetError where the time is up before."""
        if self._breaks_as_it_is():
            return
        by_key = {path.key: path for path in plan.paths}
        predictions = plan.predictions[: plan.worst]
        worst = [by_key[one.templates[0]] for one in predictions]
        for path, one in zip(worst, predictions, strict=True):
            self._search(Subject(key=path.key, paths=(path,)), one.headroom_x)
        if not plan.rate_only:
            self._deadlocks(plan.suspects, by_key)
        self._all_rare([path for path in plan.paths if path.rare])
        for pair, one in _pairs(plan.paths, plan.predictions)[:_PAIRS]:
            self._search(Subject(key="+".join(p.key for p in pair), paths=pair), one.headroom_x)
        if not plan.rate_only:
            self._other_dials(worst, plan.objective_s)

    def _deadlocks(
        self, suspects: Sequence[deadlocks.Candidate], by_key: dict[str, HuntedPath]
    ) -> None:
        """What could deadlock, on one tick."""
        for suspect in suspects[:_CANDIDATES]:
            some = tuple(by_key[key] for key in suspect.paths if key in by_key)
            key = "+".join(suspect.paths)
            if some:
                self._search(Subject(key=key, paths=some, dial=amplifiers.TOGETHER), _TOGETHER_X)

    def _breaks_as_it_is(self) -> bool:
        """Whether production's own mix breaks here: then nothing can be told apart."""
        subject = Subject(key=BASELINE, paths=())
        trial = self._trial(subject, 1.0)
        if trial.broke:
            named = trial.findings[0].templates if trial.findings else ()
            templates = tuple(culprit.id for culprit in named)
            self._note(templates, subject, [trial], None)
        return bool(trial.broke)

    def _search(self, subject: Subject, predicted_x: float) -> None:
        """The knee of one subject by its dial."""
        if subject.dial == amplifiers.RATE:
            peak = sum(path.peak for path in subject.paths)
            search = Search.from_prediction(
                predicted_x, min(_MOST_X, max(_MOST_RATE / max(peak, 1e-6), 2.0))
            )
        else:
            search = Search.from_prediction(
                predicted_x,
                amplifiers.MOST,
                least=2.0,
                whole=subject.dial in amplifiers.WHOLE,
            )
        trials: list[Trial] = []
        try:
            while (factor := search.factor) is not None:
                trials.append(self._trial(subject, factor))
                search.tell(factor, broke=trials[-1].broke)
            trials += self._naming(subject, trials)
        finally:
            if trials:
                self._note(subject.templates, subject, trials, predicted_x)

    def _naming(self, subject: Subject, trials: Sequence[Trial]) -> list[Trial]:
        """Where it broke without a finding, once more beyond: what grows slowly has no name yet."""
        broke = [trial for trial in trials if trial.broke]
        if not broke or any(trial.findings for trial in broke):
            return []
        return [self._trial(subject, max(trial.factor for trial in broke) * 2)]

    def _all_rare(self, rare: Sequence[HuntedPath]) -> None:
        """All rare paths at four times their peak at once; on failure, which of them it takes."""
        asked = [tuple(rare)] if len(rare) > 1 else []
        while asked:
            some = asked.pop(0)
            subject = Subject(key="rare:" + "+".join(path.key for path in some), paths=some)
            trial = self._trial(subject, _ALL_RARE_X)
            if not trial.broke:
                if len(some) == len(rare):
                    self._note(subject.templates, subject, [trial], None)
                continue
            parts = halves(tuple(path.key for path in some))
            by_key = {path.key: path for path in some}
            tried = [tuple(by_key[key] for key in part) for part in parts]
            if not tried or self._known_to_break(some):
                self._note(subject.templates, subject, [trial], None)
            else:
                asked += tried

    def _known_to_break(self, some: Sequence[HuntedPath]) -> bool:
        """Whether one of them alone was found to break at that factor or below."""
        keys = {path.key for path in some}
        return any(
            one.breaks_x is not None and one.breaks_x <= _ALL_RARE_X and one.templates[0] in keys
            for one in self.found
        )

    def _other_dials(self, worst: Sequence[HuntedPath], objective_s: float) -> None:
        """What else the model says to make more of, for the paths that it ranks worst."""
        offered = [
            (dial, path)
            for path in worst
            for dial in amplifiers.dials(path, self._server, objective_s)
        ]
        offered.sort(key=lambda pair: pair[0].bears_x)
        for dial, path in offered[:_DIALS]:
            subject = Subject(key=path.key, paths=(path,), dial=dial.name)
            if dial.name in amplifiers.ON_OR_OFF:
                self._once(subject, 1.0)
            else:
                self._search(subject, dial.bears_x)
        self._once(Subject(key="all", paths=(), dial=amplifiers.STATISTICS), 1.0)
        self._once(Subject(key="all", paths=(), dial=amplifiers.SESSIONS), 4.0)

    def _once(self, subject: Subject, factor: float) -> None:
        self._note(subject.templates, subject, [self._trial(subject, factor)], None)

    def _trial(self, subject: Subject, factor: float) -> Trial:
        known = self._notebook.trial(subject.key, subject.dial, factor)
        if known is None:
            if self._left_s() <= 0:
                raise OverBudgetError
            self._say(f"try         {_shown(subject)}  {subject.dial} x {factor:g} …")
        trial = self._prober.trial(subject, factor)
        outcome = {True: "BROKE", False: "held", None: "not to be believed"}[trial.broke]
        self._say(f"            {outcome}: {trial.why}")
        return trial

    def _note(
        self,
        templates: Sequence[str],
        subject: Subject,
        trials: Sequence[Trial],
        predicted_x: float | None,
    ) -> None:
        found = result.confirmed(templates, subject.dial, trials, predicted_x)
        self.found.append(found)
        self._say(f"confirmed   {_shown(subject)}  {in_words(found)}")


def _pairs(
    hunted: Sequence[HuntedPath], predictions: Sequence[Prediction]
) -> list[tuple[tuple[HuntedPath, HuntedPath], Prediction]]:
    """Pairs of which the model says that they break well before either alone."""
    alone = {one.templates[0]: one.headroom_x for one in predictions}
    found = []
    for number, one in enumerate(hunted):
        for other in hunted[number + 1 :]:
            if not any(shared_targets(one, other)):
                continue
            together = predict_pair(one, other, hunted)
            if together.headroom_x < 0.7 * min(alone[one.key], alone[other.key]):
                found.append(((one, other), together))
    return sorted(found, key=lambda pair: pair[1].headroom_x)


def _shown(subject: Subject) -> str:
    keys = [path.key for path in subject.paths]
    shown = " + ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return shown or subject.key
