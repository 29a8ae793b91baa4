"""A small workload hunted: the slow rare write is ranked worst, found, named, and not hunted twice."""

import json
import threading
import time

import psycopg
import pytest

from replay.cli import status
from replay.conduct.capturing import capture_workload
from replay.conduct.prepare import generate_staging
from replay.sql.fingerprint import fingerprint
from replay.target import mark_staging

SLOW = "UPDATE hot SET n = n + 1 WHERE id = %s"
WORK = "SELECT pg_sleep(0.05), count(*) FROM item WHERE id < %s"
READ = "SELECT name FROM item WHERE id = %s"
SCHEMA = """
CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE hot (id bigint PRIMARY KEY, n bigint NOT NULL);
INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 2000) AS i;
INSERT INTO hot VALUES (1, 0), (2, 0);
ANALYZE;
"""


def client(dsn, number):
    """For about two seconds: reads all the time, and now and then the slow write."""
    until = time.monotonic() + 2.0
    with psycopg.connect(dsn, autocommit=True, application_name="hunted") as connection:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            connection.execute(READ, (1 + (turn * 37 + number) % 2000,))
            if turn % 40 == 7 * number:
                with connection.transaction():
                    connection.execute(SLOW, (1,))
                    connection.execute(WORK, (turn,))
            time.sleep(0.01)


@pytest.fixture(scope="module")
def hunted(server, tmp_path_factory):
    """Workload, staging's DSN, and a directory to hunt into."""
    directory = tmp_path_factory.mktemp("hunt")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in ("hunt_production", "hunt_staging"):
            connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
    source, staging = server.dsn("hunt_production"), server.dsn("hunt_staging")
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(SCHEMA)
    threads = [threading.Thread(target=client, args=(source, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workload = directory / "w.workload"
    capture_workload([server.log_directory / "server.json"], workload, stats_dsn=source)
    mark_staging(staging)
    generate_staging(workload, staging)
    yield workload, staging, directory / "h.run"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in ("hunt_production", "hunt_staging"):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def hunt(hunted, capsys, budget):
    workload, staging, out = hunted
    arguments = ["--target", staging, "-o", str(out), "--confirm", "1", "--trial", "3"]
    arguments += ["--rate-only", "--budget", budget, "--json"]
    code = status(["hunt", str(workload), *arguments])
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert code == (0 if document["valid"] else 3), told.err
    return document, told.err


def test_the_slow_write_is_predicted_confirmed_and_the_hunt_resumed(hunted, capsys):
    slow = fingerprint(SLOW.replace("%s", "$1")).id
    cut, _ = hunt(hunted, capsys, "3s")
    assert not cut["complete"]
    assert cut["predicted"]
    found, said = hunt(hunted, capsys, "3m")
    assert found["complete"]
    assert found["valid"]
    assert "resume" in said
    worst = found["predicted"][0]
    assert slow in {template["id"] for template in worst["templates"]}
    assert worst["limit"] == "row of public.hot by id"
    confirmed = found["confirmed"][0]
    assert slow in {template["id"] for template in confirmed["templates"]}
    assert confirmed["breaks_x"] is not None
    assert confirmed["predicted_x"] / 4 <= confirmed["breaks_x"] <= confirmed["predicted_x"] * 4
    assert confirmed["finding"]["relations"] == ["public.hot"]
