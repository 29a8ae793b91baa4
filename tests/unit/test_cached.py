"""The cache of compiled code: what is used stays, what nobody used for long goes, no home is no fault."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from replay import cached
from replay.load.native import library

OF_LOOPS = """
import sys
from replay.capture import kernels
print(kernels.CACHE, kernels.UNKEPT)
"""
LONG_AGO = time.time() - 10 * 86_400


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached.home().mkdir()
    return cached.home()


def left(path: Path, *, days_ago: int, directory: bool = True) -> Path:
    """What an earlier version left."""
    if directory:
        path.mkdir()
        (path / "a.o").write_bytes(b"code")
    else:
        path.write_bytes(b"code")
    os.utime(path, (time.time() - days_ago * 86_400,) * 2)
    return path


@pytest.mark.parametrize("directory", [True, False])
def test_the_latest_stay_and_what_was_used_in_the_last_day(home: Path, directory: bool) -> None:
    made = [left(home / f"a{n}", days_ago=n, directory=directory) for n in (9, 7, 5, 3, 2, 8)]
    other = left(home / "loop-1", days_ago=30, directory=False)
    cached.sweep("a*")
    assert {path.name for path in made if path.exists()} == {"a2", "a3", "a5", "a7"}
    assert other.exists()
    for number in range(9):
        left(home / f"b{number}", days_ago=0, directory=directory)
    cached.sweep("b*")
    assert len(list(home.glob("b*"))) == 9


def test_what_a_process_holds_stays(home: Path) -> None:
    held, free = left(home / "a8", days_ago=8), left(home / "a9", days_ago=9)
    for number in range(4):
        left(home / f"a{number}", days_ago=number)
    cached.hold(held)
    for path in (held / cached._LOCK, held):
        os.utime(path, (LONG_AGO, LONG_AGO))
    cached.sweep("a*")
    assert (held / "a.o").exists()
    assert not free.exists()


def test_who_comes_while_it_is_removed_has_it_made_anew(home: Path) -> None:
    directory = home / "a1"
    directory.mkdir()
    lock = os.open(directory / cached._LOCK, os.O_RDWR | os.O_CREAT)
    assert cached._is_locked(lock, cached.fcntl.LOCK_EX)
    comer = threading.Thread(target=cached.hold, args=(directory,))
    comer.start()
    directory.rename(home / "gone")
    os.close(lock)
    comer.join(10)
    found = os.open(directory / cached._LOCK, os.O_RDWR)
    assert not cached._is_locked(found, cached.fcntl.LOCK_EX | cached.fcntl.LOCK_NB)
    os.close(found)


def test_without_a_home_statements_go_by_python_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not library.is_wanted():
        pytest.skip("no compiled loop on this system")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        library.ensure()
    (told,) = (record.getMessage() for record in caplog.records)
    assert "by Python alone" in told
    assert "set XDG_CACHE_HOME" in told


def test_without_a_home_loops_are_compiled_where_this_process_looks_for_them(
    tmp_path: Path,
) -> None:
    def of(cache: Path) -> tuple[Path, str]:
        done = subprocess.run(
            [sys.executable, "-c", OF_LOOPS],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "XDG_CACHE_HOME": str(cache)},
            capture_output=True,
            text=True,
            check=True,
        )
        place, _, why = done.stdout.partition(" ")
        return Path(place), why.strip()

    (tmp_path / "file").touch()
    scratch, why = of(tmp_path / "file")
    assert "file" in why
    assert not scratch.exists()
    kept, why = of(tmp_path)
    assert not why
    assert (kept.parent.name, kept.name) == (scratch.parent.name, scratch.name)
