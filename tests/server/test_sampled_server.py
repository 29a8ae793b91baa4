"""Real servers that log a sample: the kept transactions' weights stand for all that ran."""

import math
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from made_client import Client, wait_for

from replay import embedded
from replay.capture import Filters, Options, capture
from replay.capture.source import ask
from replay.sql.fingerprint import fingerprint
from replay.workload import Workload

SETTINGS = {
    "log_destination": "'csvlog'",
    "log_min_duration_statement": "-1",
    "compute_query_id": "on",
    "fsync": "off",
}
TRANSACTIONS = {"log_transaction_sample_rate": "0.2"}
STATEMENTS = {"log_statement_sample_rate": "0.25", "log_min_duration_sample": "0"}
BOTH = {
    "log_min_duration_statement": "20ms",
    "log_statement_sample_rate": "0.25",
    "log_min_duration_sample": "0",
}
LONG = {"log_min_duration_statement": "20ms"}
ROUNDS = 1500
SLEEP = "SELECT pg_sleep(0.03)"
SIGMAS = 5.0


@pytest.fixture(scope="module", params=embedded.installations(), ids=lambda i: f"pg{i.version}")
def sampling_server(request) -> Iterator[embedded.Server]:
    with embedded.server(SETTINGS, installation=request.param) as running:
        yield running


@pytest.fixture
def database(sampling_server) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(sampling_server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        with psycopg.connect(sampling_server.dsn(name), autocommit=True) as own:
            own.execute("CREATE TABLE t (n int PRIMARY KEY, s text)")
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def ran(server: embedded.Server, database: str, settings: dict[str, str]) -> Client:
    """A client's traffic on a server that logs by these settings."""
    with_settings(server, settings)
    with closing(Client(server.dsn(database))) as client:
        for n in range(ROUNDS):
            client.run(f"SELECT s FROM t WHERE n = {n}")
            if n % 3 == 0:
                client.begin()
                client.run(f"INSERT INTO t VALUES ({n}, 'x')")
                client.run(f"UPDATE t SET s = 'y' WHERE n = {n}")
                client.end()
            if n % 150 == 0:
                client.run(SLEEP)
                client.run("SELECT * FROM nowhere")
    with_settings(server, {"log_min_duration_statement": "0"})
    last = f"SELECT 'the last of {database}'"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(last.encode())
    wait_for(last, server.log_directory / "server.csv")
    with_settings(server, settings)
    return client


def with_settings(server: embedded.Server, settings: dict[str, str]) -> None:
    """ALTER SYSTEM to these settings alone, and wait until the server has them."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for name in {*TRANSACTIONS, *BOTH}:
            value = f"'{settings[name]}'" if name in settings else SETTINGS.get(name, "DEFAULT")
            connection.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while shown(server, settings) != settings:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shown(server: embedded.Server, names: dict[str, str]) -> dict[str, str]:
    with psycopg.connect(server.dsn()) as connection:
        rows = [(name, connection.execute(f"SHOW {name}".encode()).fetchone()) for name in names]
    return {name: row[0] for name, row in rows if row}


@pytest.fixture(params=["asked", "told"])
def read(request, sampling_server, database):
    """Capture, with the settings from the server or from the command line."""

    def read(settings: dict[str, str], **options) -> Workload:
        asked = ask(sampling_server.dsn(database)) if request.param == "asked" else None
        told = {"log_min_duration_statement": "-1", **settings} if asked is None else {}
        log = sampling_server.log_directory / "server.csv"
        filters = Filters(databases=(database,))
        chosen = Options(filters=filters, settings=told, **options)
        return capture([log], asked=asked, key=b"key", options=chosen).workload

    return read


def estimates(workload: Workload) -> dict[str, float]:
    """How many calls of each template the kept transactions stand for."""
    found: Counter[str] = Counter()
    for transaction in workload.transactions:
        for statement in transaction.statements:
            found[statement.template] += transaction.weight
    return dict(found)


def is_near(estimate: float, calls: int, share: float) -> bool:
    """Within the error of a draw of `calls` units, each with this probability, and of sampling k."""
    logged = math.sqrt(calls * (1 - share) / share)
    return abs(estimate - calls) <= SIGMAS * logged + 0.02 * calls


def test_a_sample_of_transactions(sampling_server, database, read):
    client = ran(sampling_server, database, TRANSACTIONS)
    workload = read(TRANSACTIONS)
    found = estimates(workload)
    failed = fingerprint("SELECT * FROM nowhere").id
    for name, calls in client.calls.items():
        if name == failed:
            assert found[name] == pytest.approx(calls)  # errors are always logged
        elif calls > 100:
            assert is_near(found[name], calls, 0.2)
    begun = [t for t in workload.transactions if len(t.statements) > 1]
    assert begun
    assert {len(t.statements) for t in begun} == {4}
    assert any("log_transaction_sample_rate = 0.2" in note for note in workload.manifest.notes)


def test_a_sample_of_statements(sampling_server, database, read):
    client = ran(sampling_server, database, STATEMENTS)
    workload = read(STATEMENTS)
    found = estimates(workload)
    control = {fingerprint(sql).id for sql in ("BEGIN", "COMMIT")}
    for name, calls in client.calls.items():
        if calls > 100 and name not in control:
            assert is_near(found[name], calls, 0.25)
    assert not control & set(found)  # of a transaction that is not whole
    assert {len(t.statements) for t in workload.transactions} == {1}


def test_a_sample_of_statements_and_all_long_ones(sampling_server, database, read):
    client = ran(sampling_server, database, BOTH)
    found = estimates(read(BOTH))
    slow = fingerprint(SLEEP).id
    assert found[slow] == pytest.approx(client.calls[slow])
    select = fingerprint("SELECT s FROM t WHERE n = 1").id
    assert is_near(found[select], client.calls[select], 0.25)


def test_long_statements_alone(sampling_server, database, read):
    client = ran(sampling_server, database, LONG)
    workload = read(LONG)
    slow = workload.template(fingerprint(SLEEP).id)
    assert slow.calls == client.calls[slow.id]
    assert estimates(workload)[slow.id] == pytest.approx(slow.calls)
    assert any("faster ones are missing" in note for note in workload.manifest.notes)


def test_a_small_sample_of_a_sampled_log_is_not_biased(sampling_server, database, read):
    client = ran(sampling_server, database, TRANSACTIONS)
    select = fingerprint("SELECT s FROM t WHERE n = 1").id
    seeds = range(12)
    found = [estimates(read(TRANSACTIONS, per_stratum=8, seed=seed))[select] for seed in seeds]
    assert is_near(sum(found) / len(found), client.calls[select], 0.2)
