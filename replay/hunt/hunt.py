"""The hunt itself: profile every path alone, predict and rank, and have the worst confirmed.

What was measured before a hunt was stopped stands in its notebook and is not measured again.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replay import bundle, target
from replay.conduct.bake import binder_for
from replay.conduct.options import RunOptions
from replay.conduct.prepare import STAGING, private_staging
from replay.errors import InputError
from replay.hunt import deadlocks, paths, result
from replay.hunt.confirm import BASELINE, Confirmation, OverBudgetError, Plan
from replay.hunt.footprint import Footprints, RowLock
from replay.hunt.model import Path as HuntedPath
from replay.hunt.model import Prediction, Server, predict
from replay.hunt.notebook import FINISHED, RUNNING, Notebook, Notes, standing
from replay.hunt.probe import Prober
from replay.hunt.result import Hunted
from replay.hunt.solo import Soloist
from replay.workload import Workload

Say = Callable[[str], None]


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


def hunt(
    workload_path: Path, dsn: str | None, out: Path, options: HuntOptions, *, say: Say
) -> Hunted:
    """Hunt in a marked target that was generated from the workload; leaves `out` with every trial.

    Without a `dsn` a private server is started, filled from the workload, and stopped afterwards.
    An unfinished hunt of the same workload, target and options that stands there is gone on with.
    Raises what `run` raises. KeyboardInterrupt goes on to the caller; all that was measured is kept.
    """
    standing(out)  # refused before anything is filled
    if dsn is None:
        with private_staging(workload_path, seed=options.seed, say=say) as private:
            # Made from the same seed, one private server is as good as another.
            return _hunt(workload_path, private.dsn(STAGING), "private", out, options, say)
    with target.connect_target(
        dsn, source=bundle.read_manifest(workload_path).source
    ) as connection:
        here = target.identity(connection)
    name = f"{here.system_identifier}/{here.database}"
    return _hunt(workload_path, dsn, name, out, options, say)


def _hunt(
    workload_path: Path, dsn: str, name: str, out: Path, options: HuntOptions, say: Say
) -> Hunted:
    fresh = Notes(
        workload_id=bundle.workload_id(workload_path),
        target=name,
        seed=options.seed,
        pool=options.pool,
        cores=options.cores or _cores_here(),
        trial_s=options.trial_s,
        objective_ms=options.objective_ms,
    )
    notebook = Notebook.open(out, fresh)
    if notebook.notes.trials or notebook.notes.solos:
        say(
            f"resume      {len(notebook.notes.solos)} profiles and {len(notebook.notes.trials)} "
            f"trials are known from before"
        )
    workload = bundle.read(workload_path)
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
        self._server = Server(cores=notebook.notes.cores, pool=options.pool)
        base = RunOptions(
            duration_s=options.trial_s,
            pool=options.pool,
            objective_ms=options.objective_ms,
            seed=options.seed,
        )
        self._confirmation = Confirmation(
            Prober(workload_path, dsn, notebook, base, lambda _: None),
            notebook,
            self._server,
            left_s=self._left_s,
            say=say,
        )

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
                self._confirmation.conduct(self._plan(hunted, predictions, suspects))
                complete = True
            except OverBudgetError:
                self._say("budget      used up: the rest is predicted, not confirmed")
        finally:
            spent = time.monotonic() - self._began
            self._notebook.spent(spent, state=FINISHED if complete else RUNNING)
        trials = self._notebook.notes.trials
        return Hunted(
            confirmed=result.in_order(self._confirmation.found),
            predicted=predictions,
            candidates=suspects,
            leaks=tuple(t for path in hunted if path.leaks for t in path.templates),
            failing=tuple((path.key, path.failed) for path in hunted if path.failed),
            complete=complete,
            valid=any(t.subject == BASELINE and t.broke is not None for t in trials),
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

    def _plan(
        self,
        hunted: Sequence[HuntedPath],
        predictions: Sequence[Prediction],
        suspects: Sequence[deadlocks.Candidate],
    ) -> Plan:
        return Plan(
            paths=hunted,
            predictions=predictions,
            suspects=suspects,
            worst=self._options.confirm,
            objective_s=self._options.objective_ms / 1e3,
            rate_only=self._options.rate_only,
        )

    def _left_s(self) -> float:
        spent = self._notebook.notes.elapsed_s + time.monotonic() - self._began
        return self._options.budget_s - spent


def _cores_here() -> float:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return float(len(os.sched_getaffinity(0)))
    return float(os.cpu_count() or 1)
