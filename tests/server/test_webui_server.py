"""Locust's own habits: its web UI with our tab, its HTML report, its CSV, under names one knows."""

import csv
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest
from made_load import SCENARIO, arrivals, make_staging, one, poll, sessions, update

from replay.load import sharding
from replay.watch.looking import Looker
from replay.watch.now import look

NAME = "UPDATE t SET n = n + 1 WHERE id = $1"


@pytest.fixture
def staging(new_database: str) -> str:
    make_staging(new_database)
    return new_database


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def rows(port: int) -> list[dict[str, Any]]:
    """Of our tab, as Locust's page asks for them; none while it is not up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests") as answer:
            (table,) = json.load(answer)["extended_stats"]
    except urllib.error.URLError:
        return []
    found: list[dict[str, Any]] = table["data"]
    return found


def test_the_web_ui_shows_who_blocks_whom(staging: str, tmp_path: Path) -> None:
    sharding.write_shards(tmp_path, arrivals(50, 5, lambda _: update(0)))
    port = free_port()
    command = [
        *(sys.executable, "-m", "locust", "-f", str(SCENARIO), "--shards", str(tmp_path)),
        *("--target", staging, "--pool", "4", "--duration", "5", "--users", "1"),
        *("--autostart", "--autoquit", "0", "--web-host", "127.0.0.1", "--web-port", str(port)),
        *("--html", "report.html", "--csv", "load"),
    ]
    with (
        psycopg.connect(staging) as blocker,
        (tmp_path / "said").open("wb") as said,
        subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said) as process,
    ):
        try:
            pid = blocker.info.backend_pid
            blocker.execute("UPDATE t SET n = 0 WHERE id = 1")
            poll(lambda: any(row["what"] == "Blocked" for row in rows(port)))
            found = rows(port)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                assert "Contention" in page.read().decode()
            blocker.rollback()
            assert process.wait(20) == 0, (tmp_path / "said").read_text()
        finally:
            process.kill()
    first, count, top, *blocked = found
    assert first["what"] == "Schedule lag"
    assert "waiting for a session" in first["told"]
    assert count["told"] == str(len({row["who"] for row in blocked}))
    assert (top["what"], top["who"]) == ("Top blocker", str(pid))
    assert {row["statement"] for row in blocked} == {NAME}
    assert NAME in (tmp_path / "report.html").read_text()
    with (tmp_path / "load_stats.csv").open() as table:
        named = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(table)}
    # Locust writes its CSV once a second; what it has counted was done.
    assert 0 < named[NAME] <= one(staging, "SELECT n FROM t WHERE id = 1")
    poll(lambda: not sessions(staging))


def test_whom_a_chain_waits_for_is_its_root(staging: str) -> None:
    with (
        psycopg.connect(staging) as root,
        psycopg.connect(staging) as middle,
        psycopg.connect(staging) as last,
        psycopg.connect(staging, autocommit=True) as watcher,
    ):
        root.execute("UPDATE t SET n = 1 WHERE id = 1")
        middle.execute("UPDATE t SET n = 1 WHERE id = 2")
        middle.pgconn.send_query(b"UPDATE t SET n = 2 WHERE id = 1")
        last.pgconn.send_query(b"UPDATE t SET n = 2 WHERE id = 2")
        looker = Looker(watcher)
        poll(lambda: len(look(looker)[1]) == 2)
        (blocker,), blocked = look(looker)
        assert (blocker.pid, blocker.blocks) == (root.info.backend_pid, 2)
        assert blocker.state == "idle in transaction"
        assert {wait.pid for wait in blocked} == {middle.info.backend_pid, last.info.backend_pid}
        root.cancel_safe()
        for waiting in (middle, last):
            waiting.cancel_safe()
            while waiting.pgconn.get_result() is not None:
                pass
