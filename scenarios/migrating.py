"""A release's migration in the middle of a scenario's load: what `replay run --during` does.

It runs in the process of the load, or of the first worker, and so does what watches the server
meanwhile. Under our launcher both stand apart from the load, and nothing of this is imported.
"""

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from replay import rundir
from replay.errors import InputError
from replay.load import options
from replay.load.alone import Concluded


@contextmanager
def migrating(parsed: argparse.Namespace) -> Iterator["Migrating | None"]:
    """The migration that the options ask for, connected and ready to start; None where none is."""
    if not parsed.during:
        if parsed.at is not None or parsed.repeat != 1:
            raise InputError("--at and --repeat go with --during FILE")
        yield None
        return
    migration = Migrating(parsed)
    try:
        yield migration
    finally:
        migration.stop()


class Migrating:
    """Runs the file on a connection of its own, and watches who waits for whom meanwhile."""

    def __init__(self, parsed: argparse.Namespace) -> None:
        from replay.conduct.during import During, read_script  # noqa: PLC0415 - see the module
        from replay.watch import Watch  # noqa: PLC0415 - the same

        self._script = read_script(Path(parsed.during))
        self._repeat: int = parsed.repeat
        self._duration_s: float = parsed.duration
        self._objective_ms: float = parsed.objective_ms
        self._at_s: float = self._duration_s / 3 if parsed.at is None else parsed.at
        if self._at_s >= self._duration_s:
            raise InputError(
                f"--at {self._at_s:g} is not before the load's end: give a longer --duration"
            )
        dsn = options.target_of(parsed)
        self._origin_ns = 0
        self._during = During(self._script, dsn, at_s=self._at_s, repeat=self._repeat)
        self._watch = Watch(dsn)
        self._watch.start()

    def start(self, origin_ns: int) -> None:
        """Wait for its time, from the load's origin."""
        self._origin_ns = origin_ns
        self._during.start(origin_ns)

    def stop(self) -> None:
        """End it with the load, cancelling what is under way."""
        self._ran = self._during.stop()
        self._watched = self._watch.stop(self._origin_ns)

    def told(self, run: Path, concluded: Concluded, names: Mapping[str, str]) -> Iterator[str]:
        """What each statement took, waited for and blocked, and how the load bore it.

        The same is left in the run directory. `names` is template id -> a statement's name.
        """
        from replay.conduct.impact import measure  # noqa: PLC0415 - see the module
        from replay.report.migration import in_words  # noqa: PLC0415 - the same

        found = measure(
            self._script,
            self._ran,
            t0_ns=self._origin_ns,
            at_s=self._at_s,
            repeat=self._repeat,
            blocking=self._watched.blocking,
            attempts=concluded.attempts,
            done=concluded.done,
            expected=concluded.expected,
            objective_ms=self._objective_ms,
            duration_s=self._duration_s,
        )
        rundir.write_migration(run, found)
        return in_words(found, names)
