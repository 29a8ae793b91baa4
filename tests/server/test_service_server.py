"""Requests, from a service's access log to a replay against the service on staging."""

import email
import hashlib
import http.client
import json
import random
import re
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow.parquet as pq
import pytest
from made_nginx import NGINX, nginx
from made_service import serving as asked_of

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


@contextmanager
def production_service(dsn: str, home: Path, log: Path):
    """The URL of production's: behind nginx, which writes the log, where there is one."""
    if NGINX is None:
        with service(dsn, "--access-log", log) as url:
            yield url
        return
    with service(dsn) as url, nginx(home, url, access_log=log) as before:
        yield before


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
    with production_service(production, directory, log) as url:
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
    attempts = pq.read_table(directory / "web.run" / "attempts").to_pylist()
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
    attempts = pq.read_table(directory / "recorded.run" / "attempts").to_pylist()
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
    requests = bundle.read_requests(directory / "shop.workload")
    assert requests is not None
    assert close["production_peak"] == requests.log.peak_concurrency
    assert close["replayed_per_s"] == pytest.approx(close["expected_per_s"], rel=0.02)
    assert close["replayed_errors"] == {
        "http 404": pytest.approx(close["production_errors"]["http 404"], rel=0.05)
    }
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
    storm = ["--scenario", "storm", "--boost", "GET /nowhere=9"]
    assert status(["run", workload, "--service", "http://127.0.0.1:1", *options]) == 5
    assert "does not answer" in capsys.readouterr().err
    assert status(["run", workload, "--service", "http://127.0.0.1:2", *options]) == 4
    assert "log of requests names this host" in " ".join(capsys.readouterr().err.split())
    assert status(["run", workload, "--service", "ftp://x", *options]) == 2
    assert "write http://HOST:PORT" in " ".join(capsys.readouterr().err.split())
    assert status(["run", workload, "--service", "http://anna:qmarker@127.0.0.1:1", *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "a user's name or a password" in said
    assert "qmarker" not in said
    for more in (storm, ["--leave-out", "/nowhere"]):
        assert status(["run", workload, "--service", "http://127.0.0.1:1", *more, *options]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "no such route in the workload; replay inspect --routes" in said


def locust(*options: object) -> subprocess.CompletedProcess[str]:
    """Locust's own command, with the scenario of requests."""
    scenario = [sys.executable, "-m", "locust", "-f", str(ROOT / "scenarios/http.py"), "--headless"]
    given = [*scenario, "--only-summary", *map(str, options)]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=90)


def test_locusts_own_command_sends_requests(replayed, server):
    """Under its names, with statements in the stead of what writes; a file called as a module of Python's does no harm."""
    _, directory = replayed
    given = ["--workload", directory / "shop.workload", "--target", server.dsn("service_staging")]
    storm = ["--scenario", "storm", "--boost", "GET /callbacks/{id}=20", "--duration", "2"]
    storm += ["--allow-writes", "--leave-out", "GET /tasks/{int}/log"]
    with (
        psycopg.connect(server.dsn("service_staging"), autocommit=True) as staging,
        service(server.dsn("service_staging")) as url,
    ):
        (before,) = staging.execute("SELECT count(*) FROM tasks").fetchone()
        done = locust(*given, *storm, "--service", url)
        (after,) = staging.execute("SELECT count(*) FROM tasks").fetchone()
    assert done.returncode in (0, 3), done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "GET /tasks/{int}" in said
    assert "GET /callbacks/{id}" in said
    assert "GET GET" not in said
    assert "requests planned as captured: " in said
    in_stead = re.search(r"by the statements that they ran, in their stead: (\d+)", said)
    assert int(in_stead[1]) == after - before > 0
    assert "insert into tasks" in said.lower()
    assert "left out: requests of routes that --leave-out names: " in said
    assert "healthy: p95" in said
    refused = locust(*given)
    assert refused.returncode == 2
    assert "no service: give --service http://HOST:PORT" in " ".join(refused.stderr.split())


FORM = (
    '--b7\r\nContent-Disposition: form-data; name="title"\r\n\r\nAnna\'s invoice\r\n'
    '--b7\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n'
    '{{"of": {number}, "note": "secret words"}}\r\n'
    '--b7\r\nContent-Disposition: form-data; name="scan"; filename="anna.pdf"\r\n'
    "Content-Type: application/pdf\r\n\r\n%PDF-1.7 Anna's bank account\r\n--b7--\r\n"
)


def recording(count: int) -> str:
    """A HAR file of a client that sends as many forms with a file in each."""
    entries = [
        {
            "startedDateTime": f"2026-03-01T12:00:00.{100 + 20 * number}Z",
            "time": 5.0,
            "request": {
                "method": "POST",
                "url": f"http://shop.test/invoices/{number + 7}/scans",
                "headers": [
                    {"name": "Cookie", "value": "session=s1"},
                    {"name": "Accept", "value": "application/json"},
                    {"name": "X-Api-Key", "value": "anna"},
                ],
                "postData": {
                    "mimeType": "multipart/form-data; boundary=b7",
                    "text": FORM.format(number=number),
                },
            },
            "response": {"status": 201, "bodySize": 2},
        }
        for number in range(count)
    ]
    return json.dumps({"log": {"version": "1.2", "entries": entries}})


def test_a_form_with_a_file_reaches_the_service_as_a_form(server, tmp_path, caplog):
    """Its fields and kinds are as they were, its boundary is its own, and nobody's words are in it.

    The service has no database, which is said.
    """
    har, workload = tmp_path / "a.har", tmp_path / "forms.workload"
    har.write_text(recording(6))
    assert status(["capture", "--http", str(har), "--all", "-o", str(workload)]) == 0
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE forms_staging")
    staging = server.dsn("forms_staging")
    try:
        assert status(["mark-staging", staging]) == 0
        with asked_of() as made:
            options = ["--target", staging, "--service", made.url, "--scenario", "as_recorded"]
            options += ["--bind", "identity", "--allow-writes", "-o", str(tmp_path / "forms.run")]
            assert status(["run", str(workload), *options]) in (0, 3)
        assert "it uses another database" in caplog.text
    finally:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("DROP DATABASE forms_staging WITH (FORCE)")
    sent = [one for one in made.asked if one.method == "POST"]
    assert len(sent) == 6
    for one in sent:
        head = f"Content-Type: {one.headers['content-type']}\r\n\r\n".encode()
        title, meta, scan = email.message_from_bytes(head + one.body).get_payload()
        names = [
            part.get_param("name", header="content-disposition") for part in (title, meta, scan)
        ]
        assert names == ["title", "meta", "scan"]
        assert set(json.loads(meta.get_payload())) == {"of", "note"}
        assert meta.get_content_type() == "application/json"
        assert (scan.get_content_type(), scan.get_filename()[-4:]) == ("application/pdf", ".pdf")
        assert one.headers["accept"] == "application/json"
        assert "x-api-key" not in one.headers
        assert scan.get_payload() == "x" * len("%PDF-1.7 Anna's bank account")
        assert not re.search(rb"(?i)anna|secret|bank", one.body)
