"""Where compiled code is kept from one run to the next: a place of its own for each state of its source.

So what other versions left is of no use to this one: of each kind the few that were used last stay,
and older ones go when something new is kept. What a running process holds stays, and so does what was
used in the last day.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

FOLDER = "staging-replay"
ADVICE = "set XDG_CACHE_HOME to a directory that can be written"
"""What to do where nothing can be kept."""
_KEPT = 4  # of each kind
_UNUSED_S = 86_400.0  # before one may go
_LOCK = "in-use"  # a file of a directory, locked by all processes that use it


def home() -> Path:
    """The directory of all that is kept; raises RuntimeError where the user has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / FOLDER


def name_of(*sources: Path) -> str:
    """What source files are known by, 16 hex digits: another state of one is another name."""
    code = hashlib.blake2b(digest_size=8)
    for file in sources:
        code.update(file.read_bytes())
    return code.hexdigest()


def write(file: Path, content: bytes) -> None:
    """Write a file whole, or leave the earlier one; raises OSError."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(file)


def make(directory: Path) -> None:
    """Make a directory where it is missing; raises OSError where nothing can be written in it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=directory):
        pass


def hold(directory: Path) -> None:
    """Make a directory, and keep it for as long as this process and its children run; raises OSError."""
    make(directory.parent)
    while True:
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            make(directory)
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            if _is_locked(lock, fcntl.LOCK_SH) and not _stands(lock, directory):
                os.close(lock)
                continue
            os.utime(lock)
            return


def used(file: Path) -> bool:
    """Whether there is such a file; if so it counts as used now."""
    with contextlib.suppress(OSError):  # it may be another user's, in an image of a container
        os.utime(file)
    return file.is_file()


def sweep(pattern: str) -> None:
    """Remove what was used least recently of all that is so called in the cache's home."""
    found = sorted(map(_last_used, home().glob(pattern)), reverse=True)
    for at, path in found[_KEPT:]:
        if at < time.time() - _UNUSED_S:
            with contextlib.suppress(OSError):  # it is gone already, or not ours to remove
                _remove(path)


def _last_used(path: Path) -> tuple[float, Path]:
    times: Iterable[float] = ()
    with contextlib.suppress(OSError):
        times = [one.stat().st_mtime for one in (path, path / _LOCK) if one.exists()]
    return max(times, default=0.0), path


def _remove(path: Path) -> None:
    """Remove a file, or a directory that no process holds; raises OSError."""
    if not path.is_dir():
        path.unlink()
        return
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _is_locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            # Whoever waits for the lock finds another directory in this place, and makes it anew.
            gone = path.with_name(f"{path.name}.{os.getpid()}")
            path.rename(gone)
            shutil.rmtree(gone)
    finally:
        os.close(lock)


def _is_locked(lock: int, how: int) -> bool:
    """Lock a file; not where another holds it, nor on a file system without locks."""
    try:
        fcntl.flock(lock, how)
    except OSError:
        return False
    return True


def _stands(lock: int, directory: Path) -> bool:
    """Whether a file that is open is still the one of that directory."""
    try:
        return os.path.samestat(os.fstat(lock), (directory / _LOCK).stat())
    except FileNotFoundError:
        return False
