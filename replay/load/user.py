"""The one door to Locust and gevent: command line, user, statistics, signals.

A scenario is a locustfile with a subclass of ReplayUser that says how to bake its load:
`locust -f scenarios/mix.py --headless --workload W --target DSN`. Under our launcher the shards are
baked already (`--shards`), the origin comes over the launcher's channel, and the DSN from the
environment. One user is one worker: it drives its whole shard in one long task.
"""

import argparse
import logging
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Protocol

import gevent
import numpy as np
import pyarrow as pa
from locust import User, events
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time

from replay.errors import INTERRUPTED_EXIT_CODE, NotValidError, ReplayError
from replay.load import options, verdict
from replay.load.channel import Channel
from replay.load.cluster import MasterSide, Place, WorkerSide
from replay.load.collect import collect
from replay.load.report import FINISHED, WorkerReport
from replay.load.shard import Index, read_index
from replay.load.tally import News
from replay.load.worker import Worker, WorkerTask

log = logging.getLogger(__name__)

_LEAD_NS = 100_000_000  # from the barrier to the origin, where nobody else sets it
_NAME_LENGTH = 60


class Bake(Protocol):
    """Plans a scenario's load."""

    def __call__(
        self, parsed: argparse.Namespace, shards: Path, worker: int, workers: int
    ) -> Collection[str]:
        """Write the shard of one worker of so many; returns the templates whose rate is raised."""


def _add_options(parser: argparse.ArgumentParser, **_: Any) -> None:
    options.add_to(parser)


def _take_over(environment: Any, **_: Any) -> None:
    """Let Ctrl-C end the run in order, whatever code it meets; take a place among the workers."""
    parsed, runner = environment.parsed_options, environment.runner
    if parsed.run_time:
        # Locust would count from before the sessions are open: the schedule ends by itself.
        parsed.duration, parsed.run_time = float(parsed.run_time), None
    gevent.signal_handler(signal.SIGINT, runner.quit)
    if isinstance(runner, MasterRunner):
        # Each worker drives its shard with one user.
        parsed.num_users = max(parsed.num_users or 1, parsed.expect_workers)
        parsed.spawn_rate = parsed.spawn_rate or parsed.num_users

        def end(exit_code: int) -> None:
            environment.process_exit_code = exit_code
            gevent.spawn(runner.quit if parsed.headless else runner.stop)

        events.test_start.add_listener(MasterSide(runner, end).plan)
    elif isinstance(runner, WorkerRunner):
        ReplayUser.cluster = WorkerSide(runner)


def _end_user_first(environment: Any, **_: Any) -> None:
    """Locust takes its exit code right after this: the user's must be known by then."""
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
    running: ClassVar[bool] = False  # a process drives one shard, however many users it is given

    def replay(self) -> None:
        """The whole run, then Locust's end."""
        if ReplayUser.running:
            raise StopUser
        ReplayUser.running = True
        code = INTERRUPTED_EXIT_CODE  # where the greenlet is killed nothing else is learned
        channel = Channel.inherited()
        parsed = self.environment.parsed_options
        try:
            code = self._run_launched(parsed, channel) if channel else self._run_alone(parsed)
        except Exception as error:  # noqa: BLE001 - told, and turned into the exit code
            code = _tell(error, channel)
        finally:
            ReplayUser.running = False
            self.environment.process_exit_code = code
        self._end(code)
        raise StopUser

    tasks: ClassVar[list[Callable[..., None]]] = [replay]

    def _end(self, code: int) -> None:
        if self.cluster is not None:
            self.cluster.done(code)
        elif self.environment.parsed_options.headless:
            gevent.spawn(self.environment.runner.quit)
        else:
            gevent.spawn(self.environment.runner.stop)  # the web UI stays

    def _run_launched(self, parsed: argparse.Namespace, channel: Channel) -> int:
        def barrier() -> int | None:
            channel.send({"state": "ready"})
            message = channel.receive()
            threading.Thread(target=_stop_at_hangup, args=(channel, worker), daemon=True).start()
            return None if message is None else int(message["origin_ns"])

        shards, run = Path(parsed.shards), Path(parsed.run_directory)
        worker = self._worker(parsed, shards, run, Place(worker=parsed.worker_index))
        return _exit_code(worker.run(barrier))

    def _run_alone(self, parsed: argparse.Namespace) -> int:
        origin_ns = time.monotonic_ns()
        place = self.cluster.place() if self.cluster is not None else Place()

        def barrier() -> int:
            nonlocal origin_ns
            if self.cluster is None:
                origin_ns = time.monotonic_ns() + _LEAD_NS
            else:
                origin_ns = self.cluster.barrier()
            return origin_ns

        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
            shards = Path(parsed.shards or scratch)
            run = Path(parsed.run_directory or scratch)
            boosted = self._baked(parsed, shards, place)
            parsed.duration = parsed.duration or options.DURATION_S
            code = _exit_code(self._worker(parsed, shards, run, place).run(barrier))
            blocks: list[pa.Table] = []
            report = collect(
                shards,
                run,
                blocks.append,
                t0_ns=origin_ns,
                duration_s=parsed.duration,
                interrupted=False,
                workers=(place.worker,),
            )
        judged = verdict.judge(
            pa.concat_tables(blocks).unify_dictionaries(),
            planned=report.planned,
            report=report,
            objective_ms=parsed.objective_ms,
            boosted=boosted,
        )
        for line in verdict.in_words(judged):
            print(line)
        return code or (0 if judged.valid else NotValidError.exit_code)

    def _baked(self, parsed: argparse.Namespace, shards: Path, place: Place) -> Collection[str]:
        return () if parsed.shards else self.bake(parsed, shards, place.worker, place.workers)

    def _worker(self, parsed: argparse.Namespace, shards: Path, run: Path, place: Place) -> Worker:
        index = read_index(shards)
        work = WorkerTask(
            shards=shards,
            run=run,
            worker=place.worker,
            dsn=options.target_of(parsed),
            pool=place.share(parsed.pool),
            pool_timeout_ms=parsed.pool_timeout_ms,
            statement_timeout_ms=parsed.statement_timeout_ms,
            duration_s=parsed.duration,
            drain_s=parsed.drain,
        )
        feed = _Feed(self.environment.stats, index)
        return Worker(work, index, gevent.get_hub().loop, feed.add)


class _Feed:
    """Feeds Locust's own statistics, whole batches at a time, under names that people recognise."""

    def __init__(self, stats: RequestStats, index: Index) -> None:
        self._stats = stats
        self._names = [
            _shown(template, example)
            for template, example in zip(index.templates, index.examples, strict=True)
        ]

    def add(self, news: News) -> None:
        """Add a template's new figures to its entry and to the sum."""
        method, name = self._names[news.template]
        count = len(news.latencies_ms)
        now = time.time()
        batch = StatsEntry(self._stats, name, method)
        batch.num_requests = count
        batch.num_failures = sum(news.failures.values())
        batch.total_response_time = float(news.latencies_ms.sum())
        batch.min_response_time = float(news.latencies_ms.min())
        batch.max_response_time = float(news.latencies_ms.max())
        batch.last_request_timestamp = now
        batch.num_reqs_per_sec[int(now)] = count
        batch.num_fail_per_sec[int(now)] = batch.num_failures
        whole_ms, times = np.unique(news.latencies_ms.round(), return_counts=True)
        for latency_ms, number in zip(whole_ms.tolist(), times.tolist(), strict=True):
            batch.response_times[bucket_response_time(latency_ms)] += number
        self._stats.entries[name, method].extend(batch)
        self._stats.total.extend(batch)
        for outcome, failed in news.failures.items():
            key = StatsError.create_key(method, name, outcome)
            error = self._stats.errors.setdefault(key, StatsError(method, name, outcome))
            error.occurrences += failed


def _shown(template: str, example: str) -> tuple[str, str]:
    """Locust's type and name of a template: its verb, its beginning, and its id."""
    verb, _, rest = " ".join(example.split()).partition(" ")
    if len(rest) > _NAME_LENGTH:
        rest = rest[: _NAME_LENGTH - 1] + "…"
    return verb.upper(), f"{rest} [{template[:8]}]".lstrip()


def _stop_at_hangup(channel: Channel, worker: Worker) -> None:
    while channel.receive() is not None:
        pass
    worker.stop()


def _exit_code(report: WorkerReport) -> int:
    return 0 if report.state == FINISHED else INTERRUPTED_EXIT_CODE


def _tell(error: Exception, channel: Channel | None) -> int:
    """Say what went wrong, to the launcher too; returns the exit code."""
    if isinstance(error, ReplayError):
        log.error("%s", error)
        code, message = error.exit_code, str(error)
    else:
        log.error("the worker failed", exc_info=error)
        code, message = ReplayError.exit_code, f"{type(error).__name__}: {error}"
    if channel is not None:
        try:
            channel.send({"state": "failed", "exit_code": code, "message": message})
        except OSError:
            log.warning("the launcher is gone")
    return code
