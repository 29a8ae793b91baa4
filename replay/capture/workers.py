"""Blocks digested by several processes, and their digests in the blocks' order.

A worker is given one block after the other, always the next of all; its results are taken in turn, so
that what comes out does not depend on how many there are. A worker ends when its pipe does: with
this process, whatever ends that.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from replay.capture.blocks import Block
from replay.capture.digest import Digest, Digester, Filters
from replay.capture.formats.columns import Format
from replay.capture.stopping import unstoppable
from replay.errors import EnvironmentFaultError

Digested = tuple[int, Block, Digest]
"""Which worker digested it, the block, and the digest."""


def digested(blocks: Iterator[Block], filters: Filters, jobs: int) -> Iterator[Digested]:
    """The digest of every block, by this process or by `jobs` others."""
    if jobs == 1:
        digester = Digester(filters=filters)
        for block in blocks:
            yield 0, block, digester.digest(block.input.format, block.data)
        return
    with _workers(filters, jobs) as workers:
        at_work: deque[tuple[int, Block]] = deque()
        for number, block in enumerate(blocks):
            worker = number % jobs
            done = _result(*at_work.popleft(), workers) if len(at_work) == jobs else None
            workers[worker].give(block)
            at_work.append((worker, block))
            if done is not None:
                yield done
        while at_work:
            yield _result(*at_work.popleft(), workers)


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection

    def give(self, block: Block) -> None:
        try:
            self.pipe.send(block.input.format)
            self.pipe.send_bytes(block.data)
        except OSError as error:
            raise self._lost() from error

    def take(self) -> Digest:
        try:
            digest: Digest = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        return digest

    def _lost(self) -> EnvironmentFaultError:
        self.process.join(1)
        return EnvironmentFaultError(
            f"a process that reads the log ended (exit code {self.process.exitcode}), for want of "
            "memory perhaps; capture again with --jobs 1"
        )


def _result(worker: int, block: Block, workers: list[_Worker]) -> Digested:
    return worker, block, workers[worker].take()


@contextmanager
def _workers(filters: Filters, jobs: int) -> Iterator[list[_Worker]]:
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    resource_tracker.ensure_running()  # it would unblock signals while it starts
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, filters), daemon=True)
            with unstoppable():
                process.start()
            theirs.close()
            workers.append(_Worker(process, ours))
        yield workers
    finally:
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()


def _work(pipe: Connection, filters: Filters) -> None:
    digester = Digester(filters=filters)
    while True:
        try:
            log_format: Format = pipe.recv()
            block = pipe.recv_bytes()
            pipe.send(digester.digest(log_format, memoryview(block)))
        except (EOFError, OSError):
            return
