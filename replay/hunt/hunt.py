"""The hunt itself: profile, predict, rank, confirm the worst, and a net beneath it all.

One fixed order, the most telling trials first; the budget cuts it where it must. What was measured
before it was stopped stands in the notebook and is not measured again.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replay import bundle, target
from replay.conduct.bake import RunOptions, binder_for
from replay.errors import InputError
from replay.hunt import amplifiers, deadlocks, paths, result
from replay.hunt.footprint import Footprints, RowLock
from replay.hunt.model import Path as HuntedPath
from replay.hunt.model import Prediction, Server, predict, predict_pair, shared_targets
from replay.hunt.notebook import FINISHED, Notebook, Notes, Trial
from replay.hunt.probe import Prober, Subject
from replay.hunt.result import Confirmed, Hunted
from replay.hunt.search import Search, halves
from replay.hunt.solo import Soloist
from replay.workload import Workload

Say = Callable[[str], None]

_ALL_RARE_X = 4.0
_PAIRS = 3
_CANDIDATES = 4
_DIALS = 6  # trials of other dials than the rate: paths times dials
_MOST_RATE = 3000.0  # transactions a second of one path: beyond, the generator is the limit
_MOST_X = 4096.0
_BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntOptions:
    """What a hunt is asked to do."""

    budget_s: float = 1500.0
    confirm: int = 10  # paths that are confirmed by load
    trial_s: float = 5.0  # length of one trial
    pool: int = 20
    cores: float | None = None  # of the server; None: as many as here
    objective_ms: float = 250.0
    rate_only: bool = False  # turn no other dial
    seed: int = 0


class _OverBudgetError(Exception):
    """The time is up; what was found stands."""


def hunt(workload_path: Path, dsn: str, out: Path, options: HuntOptions, *, say: Say) -> Hunted:
    """Hunt in a marked target that was generated from the workload; leaves `out` with every trial.

    An unfinished hunt of the same workload, target and options that stands there is gone on with.
    Raises what `run` raises. KeyboardInterrupt goes on to the caller; all that was measured is kept.
    """
    workload = bundle.read(workload_path)
    with target.connect_target(dsn, source=workload.manifest.source) as connection:
        here = target.identity(connection)
    cores = options.cores or _cores_here()
    fresh = Notes(
        workload_id=bundle.workload_id(workload_path),
        target=f"{here.system_identifier}/{here.database}",
        seed=options.seed,
        pool=options.pool,
        cores=cores,
        trial_s=options.trial_s,
    )
    notebook = Notebook.open(out, fresh)
    if notebook.notes.trials or notebook.notes.solos:
        say(
            f"resume      {len(notebook.notes.solos)} profiles and {len(notebook.notes.trials)} "
            f"trials are known from before"
        )
    return _Hunt(workload_path, workload, dsn, notebook, options, say).conduct()


class _Hunt:
    """One hunt under way."""

    def __init__(
        self,
        workload_path: Path,
        workload: Workload,
        dsn: str,
        notebook: Notebook,
        options: HuntOptions,
        say: Say,
    ) -> None:
        self._path, self._workload, self._dsn = workload_path, workload, dsn
        self._notebook, self._options, self._say = notebook, options, say
        self._began = time.monotonic()
        self._found: list[Confirmed] = []
        self._server = Server(cores=notebook.notes.cores, pool=options.pool)
        base = RunOptions(
            duration_s=options.trial_s,
            pool=options.pool,
            objective_ms=options.objective_ms,
            seed=options.seed,
        )
        self._prober = Prober(workload_path, dsn, notebook, base, lambda _: None)

    def conduct(self) -> Hunted:
        """All of it, or as much as the budget bears."""
        complete = False
        groups = paths.groups(self._workload)
        if not groups:
            raise InputError(
                "the workload holds no transaction to hunt with: capture a log with statements"
            )
        prints = self._footprints(groups)
        try:
            self._profile(groups)
            hunted, predictions = self._predict(groups, prints)
            suspects = deadlocks.candidates(self._locks_by_path(groups, prints))
            try:
                self._confirm(hunted, predictions, suspects)
                complete = True
            except _OverBudgetError:
                self._say("budget      used up: the rest is predicted, not confirmed")
        finally:
            spent = time.monotonic() - self._began
            self._notebook.spent(spent, state=FINISHED if complete else "running")
        trials = self._notebook.notes.trials
        return Hunted(
            confirmed=result.in_order(self._found),
            predicted=predictions,
            candidates=suspects,
            leaks=tuple(t for path in hunted if path.leaks for t in path.templates),
            failing=tuple((path.key, path.failed) for path in hunted if path.failed),
            complete=complete,
            valid=any(t.subject == _BASELINE and t.broke is not None for t in trials),
            why_not=tuple(
                f"{t.subject}, {t.dial} x {t.factor:g}: {t.why}" for t in trials if t.broke is None
            ),
            trials=len(trials),
            elapsed_s=round(self._notebook.notes.elapsed_s, 1),
        )

    def _footprints(self, groups: Sequence[paths.Group]) -> dict[int, tuple[RowLock, ...]]:
        prints = Footprints(bundle.read_profile(self._path))
        return {
            transaction.id: prints.of(transaction)
            for group in groups
            for transaction in group.transactions
        }

    def _profile(self, groups: Sequence[paths.Group]) -> None:
        """Run each path's samples alone, those that were not before."""
        wanted = list(dict.fromkeys(t.id for group in groups for t in group.samples))
        missing = [one for one in wanted if str(one) not in self._notebook.notes.solos]
        if not missing:
            return
        self._say(f"profile     {len(groups)} paths alone, {len(missing)} transactions …")
        by_id = {t.id: t for group in groups for t in group.samples}
        try:
            with target.connect_target(self._dsn) as connection:
                binder = binder_for(self._path, self._workload, connection)
                soloist = Soloist(connection, binder, self._options.seed)
                for number, one in enumerate(missing):
                    if self._left_s() <= 0:
                        self._say(f"budget      used up after {number} profiles")
                        break
                    self._notebook.add_solo(one, soloist.profile(by_id[one]))
                    if number % 20 == 19:
                        self._notebook.save()
        finally:
            self._notebook.save()

    def _predict(
        self, groups: Sequence[paths.Group], prints: dict[int, tuple[RowLock, ...]]
    ) -> tuple[tuple[HuntedPath, ...], tuple[Prediction, ...]]:
        solos = {
            int(number): solo
            for number, solo in self._notebook.notes.solos.items()
            if solo is not None
        }
        hunted = paths.profiled(groups, solos, prints)
        found = [predict(path, hunted, self._server) for path in hunted]
        ranked = tuple(sorted(found, key=lambda one: one.headroom_x))
        for one in ranked[: self._options.confirm]:
            self._say(
                f"predict     {one.templates[0]}  {one.headroom_x:,.1f}x of its peak, by "
                f"{one.limit}: {one.why}"
            )
        return hunted, ranked

    def _locks_by_path(
        self, groups: Sequence[paths.Group], prints: dict[int, tuple[RowLock, ...]]
    ) -> dict[str, list[tuple[RowLock, ...]]]:
        return {group.key: [prints[t.id] for t in group.transactions] for group in groups}

    def _confirm(
        self,
        hunted: Sequence[HuntedPath],
        predictions: Sequence[Prediction],
        suspects: Sequence[deadlocks.Candidate],
    ) -> None:
        by_key = {path.key: path for path in hunted}
        if self._breaks_as_it_is():
            return
        worst = [by_key[one.templates[0]] for one in predictions[: self._options.confirm]]
        for path, one in zip(worst, predictions, strict=False):
            self._search(Subject(key=path.key, paths=(path,)), one.headroom_x)
        for suspect in () if self._options.rate_only else suspects[:_CANDIDATES]:
            two = tuple(by_key[key] for key in suspect.paths if key in by_key)
            if two:
                self._search(
                    Subject(key="+".join(suspect.paths), paths=two, dial=amplifiers.TOGETHER), 8.0
                )
        self._all_rare([path for path in hunted if path.rare])
        for pair, one in self._pairs(hunted, predictions)[:_PAIRS]:
            self._search(Subject(key="+".join(p.key for p in pair), paths=pair), one.headroom_x)
        if not self._options.rate_only:
            self._other_dials(worst)

    def _breaks_as_it_is(self) -> bool:
        """Whether production's own mix breaks here: then nothing can be told apart."""
        subject = Subject(key=_BASELINE, paths=())
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
            search = Search.from_prediction(predicted_x, amplifiers.MOST, least=2.0)
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
            for one in self._found
        )

    def _pairs(
        self, hunted: Sequence[HuntedPath], predictions: Sequence[Prediction]
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

    def _other_dials(self, worst: Sequence[HuntedPath]) -> None:
        """What else the model says to make more of, for the paths that it ranks worst."""
        objective_s = self._options.objective_ms / 1e3
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
                raise _OverBudgetError
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
        self._found.append(found)
        self._say(f"confirmed   {_shown(subject)}  {in_words(found)}")

    def _left_s(self) -> float:
        spent = self._notebook.notes.elapsed_s + time.monotonic() - self._began
        return self._options.budget_s - spent


def _cores_here() -> float:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return float(len(os.sched_getaffinity(0)))
    return float(os.cpu_count() or 1)


def in_words(found: Confirmed) -> str:
    """One line, such as: safe to 8x, breaks at 14x."""
    what = "" if found.dial == amplifiers.RATE else f"{found.dial}: "
    safe = f"safe to {found.safe_x:g}x" if found.safe_x is not None else "not safe at all"
    breaks = f"breaks at {found.breaks_x:g}x" if found.breaks_x is not None else "no break found"
    named = f"; rule {found.finding.rule}, {found.finding.name}" if found.finding else ""
    return f"{what}{safe}, {breaks}{named}"


def _shown(subject: Subject) -> str:
    keys = [path.key for path in subject.paths]
    shown = " + ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return shown or subject.key
