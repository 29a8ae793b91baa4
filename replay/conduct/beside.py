"""Where a load is baked: a hidden directory beside the run, on its disk, gone with its command.

A command that is killed cannot remove its own. So each holds a lock for as long as it lives, and
whoever next writes or reads a run of that name removes what nobody holds any more.
"""

import contextlib
import fcntl
import glob
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from replay.errors import EnvironmentFaultError

_HELD = ".replay-baking"  # the file that a living command holds a lock on
_LOAD = "load"


@contextlib.contextmanager
def beside(out: Path) -> Iterator[Path]:
    """Where to bake, on the run's own disk: a load can be larger than the system's scratch space.

    Raises EnvironmentFaultError where nothing can be written there.
    """
    with contextlib.ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            sweep(out)
            scratch = tempfile.TemporaryDirectory(prefix=_prefix(out), dir=out.parent)
            directory = Path(stack.enter_context(scratch))
            # Who sweeps looks for the name, which is there only once the lock is held.
            part = directory / f"{_HELD}.part"
            held = stack.enter_context(part.open("wb"))
            fcntl.flock(held, fcntl.LOCK_EX)
            part.rename(directory / _HELD)
        except OSError as error:
            raise EnvironmentFaultError(f"{out}: cannot write a run here: {error}") from error
        yield directory / _LOAD


def sweep(out: Path) -> None:
    """Remove what commands that are gone had baked for this run, as far as it is ours to remove."""
    for held in out.parent.glob(f"{glob.escape(_prefix(out))}*/{_HELD}"):
        with contextlib.suppress(OSError), held.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(held.parent / _LOAD, ignore_errors=True)  # or a sweep cut off is the last
            shutil.rmtree(held.parent)


def _prefix(out: Path) -> str:
    return f".{out.name}-"
