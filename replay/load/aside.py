"""A second worker of one process: it sends statements to the database beside the one that asks the service.

Under Locust's own command each process is one worker; under our launcher these statements have a process of
their own. Both begin at one origin, on one event loop: the second leaves the compiled loop alone, which would
not let the first have its turn.
"""

import threading
from typing import Self

from replay.load.report import WorkerReport
from replay.load.worker import Worker


class Aside:
    """Runs a worker in the background, over a `with` block whose end stops it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._open, self._go = threading.Event(), threading.Event()
        self._origin_ns: int | None = None
        self._report: WorkerReport | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join()

    def await_open(self) -> None:
        """Wait until its sessions are open; raises what kept them from it."""
        self._open.wait()
        if self._error is not None:
            raise self._error

    def begin(self, origin_ns: int) -> None:
        """The load begins at this time (CLOCK_MONOTONIC)."""
        self._origin_ns = origin_ns
        self._go.set()

    def ended(self, *, stop: bool) -> WorkerReport:
        """Wait for its end, which comes at once where it is told to stop; raises what it failed of."""
        if stop:
            self._stop()
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report

    def _stop(self) -> None:
        self._worker.stop()
        self._go.set()

    def _run(self) -> None:
        try:
            self._report = self._worker.run(self._barrier)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self._open.set()

    def _barrier(self) -> int | None:
        self._open.set()
        self._go.wait()
        return self._origin_ns
