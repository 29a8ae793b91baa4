"""Private servers: started for a block, gone afterwards, whatever happens inside."""

import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from replay import embedded
from replay.errors import EnvironmentFaultError


def alive(pid: int) -> bool:
    # A container's first process may not reap: a zombie has ended.
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def postmaster(running: embedded.Server) -> int:
    return int((running.data / "postmaster.pid").read_text().split()[0])


@pytest.mark.parametrize("installation", embedded.installations(), ids=lambda i: f"pg{i.version}")
def test_a_server_lives_for_its_block(installation):
    with embedded.server({"work_mem": "'7MB'"}, installation=installation) as running:
        pid = postmaster(running)
        with psycopg.connect(running.dsn()) as connection:
            assert connection.info.server_version // 10000 == installation.version
            assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert running.home.stat().st_mode & 0o077 == 0
    assert not alive(pid)
    assert not running.home.exists()


def test_a_server_is_stopped_when_the_block_fails():
    started = []

    def interrupted() -> None:
        with embedded.server() as running:
            started.append((postmaster(running), running.home))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    ((pid, home),) = started
    assert not alive(pid)
    assert not home.exists()


@pytest.fixture
def temporary(monkeypatch):
    """A directory for what is temporary, which the server's user can enter.

    It is none of pytest's: each pytest that starts closes the one that holds all of them.
    """
    with tempfile.TemporaryDirectory(prefix="replay-test-") as directory:
        Path(directory).chmod(0o755)
        monkeypatch.setattr("tempfile.tempdir", directory)
        yield Path(directory)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(temporary):
    with (
        pytest.raises(EnvironmentFaultError, match="no_such_setting"),
        embedded.server({"no_such_setting": "1"}),
    ):
        pass
    assert not list(temporary.glob("replay-pg-*"))
