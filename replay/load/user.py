"""The one door to Locust and gevent: command line, user, statistics, signals.

A scenario is a locustfile with a subclass of ReplayUser that says how to bake its load:
`locust -f scenarios/mix.py --headless --workload W --target DSN`. Under our launcher the shards are
baked already (`--shards`), the origin comes over the launcher's channel, and the DSN from the
environment. One user is one worker: it drives its whole shard in one long task.
"""

import argparse
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar, cast

import gevent
import numpy as np
from locust import User, events
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import (
    CSV_STATS_INTERVAL_SEC,
    RequestStats,
    StatsEntry,
    StatsError,
    bucket_response_time,
)

from replay.errors import INTERRUPTED_EXIT_CODE, ReplayError
from replay.load import options, tasks, together
from replay.load.alone import conclude, directories
from replay.load.aside import Aside
from replay.load.channel import Channel
from replay.load.cluster import Ended, MasterSide, Place, WorkerSide
from replay.load.following import Following
from replay.load.hooks import Bake, During, Load
from replay.load.launched import await_origin, tell_failed
from replay.load.merging import Share
from replay.load.naming import names
from replay.load.native import library
from replay.load.report import FINISHED, WorkerReport
from replay.load.shard import Index, read_index
from replay.load.tally import News, news
from replay.load.webui import Board, Look, Row, add_tab, trouble
from replay.load.worker import Worker, WorkerTask

_P = ParamSpec("_P")
_T = TypeVar("_T")
# Locust writes the files of --csv so often, and not at its end.
_CSV_S = CSV_STATS_INTERVAL_SEC + 0.2
_LEAD_NS = 100_000_000  # from the barrier to the origin, where nobody else sets it


def _add_options(parser: argparse.ArgumentParser, **_: Any) -> None:
    options.add_to(parser)


def _take_over(environment: Any, **_: Any) -> None:
    """Let Ctrl-C end the run in order, whatever code it meets; take a place among the workers."""
    parsed, runner = environment.parsed_options, environment.runner
    if parsed.run_time:
        # Locust would count from before the sessions are open: the schedule ends by itself.
        parsed.duration, parsed.run_time = float(parsed.run_time), None
    # Our one task has no tags: they choose among a workload's transactions, when it is baked.
    environment._tasks_filtered = True  # noqa: SLF001 - there is no other way to say so
    gevent.signal_handler(signal.SIGINT, _end_user_first, environment)
    if isinstance(runner, MasterRunner):
        _conduct(environment, parsed, runner)
    elif isinstance(runner, WorkerRunner):
        ReplayUser.cluster = WorkerSide(runner)
        events.report_to_master.add_listener(ReplayUser.board.report)
    if environment.web_ui:
        add_tab(environment.web_ui, ReplayUser.board.lags, partial(_look, environment))


def _look(environment: Any) -> Sequence[Row]:
    """The target as the scenario sees it, while a test runs."""
    chosen = [user.look for user in environment.user_classes if hasattr(user, "look")]
    if not chosen or environment.runner.state not in ("running", "spawning"):
        return ()
    try:
        dsn = options.target_of(environment.parsed_options)
    except ReplayError as error:
        return [trouble(str(error))]
    master = ReplayUser.master
    rows: Sequence[Row] = chosen[0](dsn, ReplayUser.board.names if master is None else master.names)
    return rows


def _conduct(environment: Any, parsed: argparse.Namespace, runner: MasterRunner) -> None:
    def end(ended: Ended) -> None:
        chosen = options.settled(parsed)
        environment.process_exit_code = together.conclude(
            ended,
            duration_s=chosen.duration or options.DURATION_S,
            objective_ms=chosen.objective_ms,
            run_directory=chosen.run_directory,
        )
        gevent.spawn(_leave, environment)

    side = ReplayUser.master = MasterSide(runner, end)
    events.worker_report.add_listener(ReplayUser.board.hear)
    events.test_start.add_listener(side.plan)
    events.worker_connect.add_listener(side.joined)


def _leave(environment: Any) -> None:
    """The test is over. Headless Locust ends with it; the web UI stays, or as long as asked for."""
    parsed = environment.parsed_options
    if parsed.headless:
        if parsed.csv_prefix:
            gevent.sleep(_CSV_S)
        environment.runner.quit()
        return
    environment.runner.stop()
    if parsed.autostart and parsed.autoquit >= 0:
        gevent.sleep(parsed.autoquit)
        environment.web_ui.stop()


def _end_user_first(environment: Any, **_: Any) -> None:
    """Locust takes its exit code right after this: what was done must be known by then."""
    environment.runner.quit()


# Locust imports the scenario, and with it this file, before it makes its parser.
events.init_command_line_parser.add_listener(_add_options)
events.init.add_listener(_take_over)
events.quitting.add_listener(_end_user_first)


class ReplayUser(User):
    """Drives one shard of a planned load; a scenario says how to bake it."""

    abstract = True
    bake: ClassVar[Bake]
    cluster: ClassVar[WorkerSide | None] = None
    master: ClassVar[MasterSide | None] = None
    look: ClassVar[Look]
    during: ClassVar[During]
    board: ClassVar[Board] = Board()
    running: ClassVar[bool] = False  # a process drives one shard, however many users it is given

    def replay(self) -> None:
        """The whole run, then Locust's end."""
        if ReplayUser.running:
            raise StopUser
        ReplayUser.running = True
        channel = Channel.inherited()
        parsed = options.settled(self.environment.parsed_options)
        share = Share(exit_code=INTERRUPTED_EXIT_CODE)  # where the greenlet is killed
        self.environment.process_exit_code = share.exit_code
        try:
            share = self._run_launched(parsed, channel) if channel else self._run_alone(parsed)
        except Exception as error:  # noqa: BLE001 - told, and turned into the exit code
            share = tell_failed(error, channel)
        finally:
            ReplayUser.running, self.board.mine = False, None
            self.environment.process_exit_code = share.exit_code
            if self.cluster is not None:
                self.cluster.done(share)
        self._end()
        raise StopUser

    tasks: ClassVar[list[Callable[..., None]]] = [replay]

    def _end(self) -> None:
        """One that is alone ends Locust, too; under the web UI it stays."""
        if self.cluster is None:
            gevent.spawn(_leave, self.environment)

    def _run_launched(self, parsed: argparse.Namespace, channel: Channel) -> Share:
        shards, run = Path(parsed.shards), Path(parsed.run_directory)
        worker = self._worker(
            tasks.task(parsed, shards, run, Place(worker=parsed.worker_index)), watched=False
        )
        report = worker.run(partial(await_origin, channel, worker.stop))
        return Share(exit_code=_exit_code(report))

    def _run_alone(self, parsed: argparse.Namespace) -> Share:
        _in_thread(library.ensure)
        origin_ns = time.monotonic_ns()
        cluster = self.cluster
        place = cluster.place() if cluster is not None else Place()
        beside: Aside | None = None

        def barrier() -> int:
            nonlocal origin_ns
            if beside is not None:
                beside.await_open()
            if cluster is None:
                origin_ns = time.monotonic_ns() + _LEAD_NS
            else:
                origin_ns = cluster.barrier(place.of_each(index.planned), self.board.names)
            following.begin(origin_ns)
            if beside is not None:
                beside.begin(origin_ns)
            if middle is not None:
                middle.start(origin_ns)
            return origin_ns

        with ExitStack() as stack:
            found = directories(parsed.shards, parsed.run_directory)
            shards, run = stack.enter_context(found)
            load = _in_thread(self._baked, parsed, shards, place)
            parsed.duration = parsed.duration or options.DURATION_S
            middle = stack.enter_context(self.during(parsed)) if not place.worker else None
            index = read_index(shards)
            self.board.names = {name: shown for name, (_, shown) in _names(index).items()}
            own = tasks.task(parsed, shards, run, place)
            second = tasks.aside(parsed, own, place, len(index.planned))
            drove = [one.worker for one in (own, second) if one is not None]
            if second is not None:
                beside = stack.enter_context(Aside(self._worker(second)))
            worker = self._worker(own)
            self.board.mine = worker.live
            with Following(shards, run, run, drove) as following:
                try:
                    code = _exit_code(worker.run(barrier))
                except gevent.GreenletExit:  # stopped: what was done is told all the same
                    code = INTERRUPTED_EXIT_CODE
                if beside is not None:
                    code = code or _exit_code(beside.ended(stop=bool(code)))
            if middle is not None:
                middle.stop()
            concluded = _in_thread(
                conclude,
                *(shards, run, drove),
                origin_ns=origin_ns,
                duration_s=parsed.duration,
                objective_ms=parsed.objective_ms,
                boosted=load.boosted,
                doubts=load.doubts,
                code=code,
            )
            told = load.told
            if middle is not None:
                names = self.board.names
                told = (*told, *middle.told(run, concluded, names))
            share = replace(concluded.share, told=told)
        if cluster is not None:
            return share
        for line in concluded.in_words(told):
            print(line)
        return replace(share, exit_code=concluded.exit_code)

    def _baked(self, parsed: argparse.Namespace, shards: Path, place: Place) -> Load:
        return Load() if parsed.shards else self.bake(parsed, shards, place.worker, place.workers)

    def _worker(self, task: WorkerTask, *, watched: bool = True) -> Worker:
        """`watched`: Locust's own tables are filled, for who looks at them."""
        index = read_index(task.shards)
        tell = _Feed(self.environment.stats, index).add if watched else None
        return Worker(task, index, gevent.get_hub().loop, tell)


class _Feed:
    """Feeds Locust's own statistics, whole batches at a time, under names that people recognise."""

    def __init__(self, stats: RequestStats, index: Index) -> None:
        self._stats = stats
        shown = _names(index)
        self._names = [shown[template] for template in index.templates]

    def add(self, records: np.ndarray) -> None:
        """Add what is new (record.DTYPE) to each template's entry and to the sum."""
        for found in news(records):
            self._add(found)

    def _add(self, found: News) -> None:
        method, name = self._names[found.template]
        count = len(found.latencies_ms)
        now = time.time()
        batch = StatsEntry(self._stats, name, method)
        batch.num_requests = count
        batch.num_failures = sum(found.failures.values())
        batch.total_response_time = float(found.latencies_ms.sum())
        batch.min_response_time = float(found.latencies_ms.min())
        batch.max_response_time = float(found.latencies_ms.max())
        batch.last_request_timestamp = now
        batch.num_reqs_per_sec[int(now)] = count
        batch.num_fail_per_sec[int(now)] = batch.num_failures
        whole_ms, times = np.unique(found.latencies_ms.round(), return_counts=True)
        for latency_ms, number in zip(whole_ms.tolist(), times.tolist(), strict=True):
            batch.response_times[bucket_response_time(latency_ms)] += number
        self._stats.entries[name, method].extend(batch)
        self._stats.total.extend(batch)
        for outcome, failed in found.failures.items():
            key = StatsError.create_key(method, name, outcome)
            error = self._stats.errors.setdefault(key, StatsError(method, name, outcome))
            error.occurrences += failed


def _in_thread(work: Callable[_P, _T], *arguments: _P.args, **more: _P.kwargs) -> _T:
    """Do what takes long in a thread: a worker that sends no heartbeat for three seconds is lost."""
    failed: list[Exception] = []  # gevent would print its traceback, too

    def do() -> _T | None:
        try:
            return work(*arguments, **more)
        except Exception as error:  # noqa: BLE001 - raised again below
            failed.append(error)
            return None

    done = gevent.get_hub().threadpool.apply(do)
    if failed:
        raise failed[0]
    return cast("_T", done)


def _names(index: Index) -> dict[str, tuple[str, str]]:
    return names(dict(zip(index.templates, index.examples, strict=True)))


def _exit_code(report: WorkerReport) -> int:
    return 0 if report.state == FINISHED else INTERRUPTED_EXIT_CODE
