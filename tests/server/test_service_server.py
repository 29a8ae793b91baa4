"""Requests, from a service's access log to a replay against the service on staging."""

import hashlib
import http.client
import json
import random
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow.parquet as pq
import pytest

from replay import bundle
from replay.cli import status
from replay.conduct.serving import serving

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "scenarios/incidents/ironworker"
TASKS = 30_000
FILL = f"""
INSERT INTO accounts (name, email, plan) SELECT 'a' || i, 'o' || i || '@x.test', 'free'
FROM generate_series(1, 50) i;
INSERT INTO projects (account_id, name, token) SELECT 1 + i % 50, 'p' || i, md5('t' || i)
FROM generate_series(1, 400) i;
INSERT INTO project_counters (project_id) SELECT id FROM projects;
INSERT INTO codes (project_id, name, runtime, revision) SELECT i, 'w' || i, 'ruby', 1
FROM generate_series(1, 400) i;
INSERT INTO tasks (project_id, code_id, state, priority, payload, callback_id)
SELECT p, p, 'done', 1, '{{}}', 'cb-' || md5('c' || i)
FROM (SELECT i, 1 + floor(400 * power(random(), 3))::bigint AS p FROM generate_series(1, {TASKS}) i) x;
INSERT INTO task_logs (task_id, line) SELECT 1 + floor({TASKS} * random()), 'l' || i
FROM generate_series(1, 10000) i;
"""


def service(dsn: str, *options: object):
    """The URL of a service over a database."""
    return serving(dsn, ["-m", "scenarios.incidents.ironworker.service", *map(str, options)])


def visit(url: str, count: int) -> Counter:
    """Ask a service for so many things; statuses."""
    rng = random.Random(7)
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    statuses: Counter = Counter()
    for number in range(count):
        task, project = 1 + int(TASKS * rng.random() ** 3), 1 + int(400 * rng.random() ** 3)
        method, path = rng.choice(
            [
                *[("GET", f"/tasks/{task}")] * 5,
                *[("GET", f"/projects/{project}/counters")] * 2,
                ("GET", f"/projects/{project}/tasks"),
                ("GET", f"/tasks/{task}/log"),
                ("POST", f"/projects/{project}/tasks"),
            ]
        )
        if number % 200 == 100:
            digest = hashlib.md5(f"c{task}".encode(), usedforsecurity=False).hexdigest()
            method, path = "GET", f"/callbacks/cb-{digest}"
        if number % 20 == 10:
            path = f"/tasks/{10**9 + number}"
            method = "GET"
        body = json.dumps({"priority": 1, "payload": {}}) if method == "POST" else None
        headers = {"Cookie": f"session=s{number % 9}", "Content-Type": "application/json"}
        headers["traceparent"] = f"00-{rng.getrandbits(128):032x}-{1:016x}-01"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
    connection.close()
    return statuses


@pytest.fixture(scope="module")
def replayed(server, tmp_path_factory):
    """What production's service answered, and the directory with what came of it."""
    directory = tmp_path_factory.mktemp("service")
    names = ("service_production", "service_staging")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    production, staging = map(server.dsn, names)
    with psycopg.connect(production, autocommit=True) as connection:
        for script in ("schema.sql", "", "keys.sql"):
            connection.execute(
                (GALLERY / script).read_text().replace("VACUUM ", "") if script else FILL
            )
        connection.execute("ANALYZE")
    log = directory / "access.json"
    with service(production, "--access-log", log) as url:
        statuses = visit(url, 400)
    workload = directory / "shop.workload"
    server_log = server.log_directory / "server.json"
    lines = log.read_text().splitlines(keepends=True)
    behind = json.dumps({**json.loads(lines[0]), "http_host": "127.0.0.1:2"})
    log.write_text("".join([f"{behind}\n", *lines[1:]]))
    arguments = [server_log, "--http", log, "--stats", production, "--all", "-o", workload]
    assert status(["capture", *map(str, arguments)]) == 0
    assert status(["mark-staging", staging]) == 0
    assert status(["generate", str(workload), "--target", staging]) == 0
    requests = bundle.read_requests(workload)
    assert requests is not None
    per_s = requests.log.requests / (requests.log.end - requests.log.begin).total_seconds()
    with service(staging) as url:
        options = ["--target", staging, "--service", url, "--duration", "3"]
        options += ["--rate", str(100 / per_s), "--allow-writes"]
        options += ["--openapi", str(GALLERY / "openapi.json")]
        code = status(["run", str(workload), *options, "-o", str(directory / "web.run")])
        assert code in (0, 3)  # a busy machine may make the run not valid
        options = ["--target", staging, "--service", url, "--scenario", "as_recorded"]
        options += ["--speed", "2", "--allow-writes", "-o", str(directory / "recorded.run")]
        assert status(["run", str(workload), *options]) in (0, 3)
    yield statuses, directory
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_requests_ask_for_rows_that_exist_and_fail_where_production_failed(replayed):
    statuses, directory = replayed
    attempts = pq.read_table(directory / "web.run" / "attempts.parquet").to_pylist()
    sent = [row for row in attempts if row["began_us"] >= 0]
    assert len(sent) > 200
    outcomes = Counter(row["outcome"] for row in sent)
    assert set(outcomes) <= {"ok", "http 404"}
    # Every twentieth request asked for a task that is not there.
    assert statuses[404] / statuses.total() == pytest.approx(0.05, abs=0.002)
    assert 0 < outcomes["http 404"] / len(sent) < 0.15


def test_the_books_hold_what_was_sent(replayed, capsys):
    _, directory = replayed
    assert status(["report", str(directory / "web.run"), "--json"]) in (0, 3)
    document = json.loads(capsys.readouterr().out)
    accounting = document["accounting"]
    assert accounting["planned"] == accounting["started"] + accounting["skipped"]
    shown = {row["sql"] for row in document["latency"]}
    assert {"GET /tasks/{int}", "GET /projects/{int}/tasks", "POST /projects/{int}/tasks"} <= shown


def test_a_recording_sends_every_request_in_its_session(replayed):
    """What writes is replayed by its statements: its body is not in the log, and nothing tells it."""
    statuses, directory = replayed
    attempts = pq.read_table(directory / "recorded.run" / "attempts.parquet").to_pylist()
    assert {row["outcome"] for row in attempts} <= {"ok", "http 404"}
    arrivals = {row["arrival"]: row for row in attempts}
    assert len(arrivals) == statuses.total()
    asked = [row for row in arrivals.values() if not row["pid"]]
    ran = [row for row in arrivals.values() if row["pid"]]
    assert len({row["session"] for row in asked}) == 9  # cookies
    assert {row["worker"] for row in asked} == {0}
    assert {row["worker"] for row in ran} == {1}
    texts = {one.id: one.sql for one in bundle.read(directory / "shop.workload").templates}
    inserts = [row for row in attempts if texts.get(row["template"], "").startswith("insert")]
    assert len(inserts) == len(ran) > 20


def test_answers_are_of_the_class_that_production_gave(replayed, capsys):
    _, directory = replayed
    assert status(["report", str(directory / "recorded.run"), "--json"]) in (0, 3)
    document = json.loads(capsys.readouterr().out)
    found, close = document["requests"], document["fidelity"]
    assert (close["of"], close["kinds"], found["unanswered"]) == ("requests", "routes", 0)
    assert found["mismatch"] < 0.02
    assert set(found["planned"]) == {
        "as captured",
        "by the statements that they ran, in their stead",
    }
    assert not found["left_out"]
    by_route = {one["route"]: one for one in found["routes"]}
    assert by_route["GET /tasks/{int}"]["production"]["4xx"] > 0


def test_a_service_that_is_not_proven_to_be_staging_is_refused(replayed, server, capsys):
    _, directory = replayed
    options = ["--target", server.dsn("service_staging"), "-o", str(directory / "no.run")]
    workload = str(directory / "shop.workload")
    assert status(["run", workload, "--service", "http://127.0.0.1:1", *options]) == 5
    assert "does not answer" in capsys.readouterr().err
    assert status(["run", workload, "--service", "http://127.0.0.1:2", *options]) == 4
    assert "log of requests names this host" in " ".join(capsys.readouterr().err.split())
    assert status(["run", workload, "--service", "ftp://x", *options]) == 2
    assert "write http://HOST:PORT" in " ".join(capsys.readouterr().err.split())
