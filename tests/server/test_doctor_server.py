"""The doctor at real servers: what it says is what they are, and they take the SQL it prints."""

import json
import re

import psycopg
import pytest

from replay import embedded
from replay.capture import capture
from replay.capture.doctor import advise, examine
from replay.capture.source import ask
from replay.cli import status

BARE = {"log_destination": "'stderr'", "log_min_duration_statement": "-1"}


def run(dsn, line):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(re.sub(r"--.*", "", line).encode())


@pytest.mark.parametrize(
    "installation", embedded.installations(), ids=lambda found: f"pg{found.version}"
)
def test_its_own_advice_makes_a_bare_server_one_to_capture(installation):
    with embedded.server(BARE, installation=installation) as running:
        before = advise(examine(running.dsn()), ["jsonlog"])
        assert (before.works, before.logs) == (False, "nothing")
        later = [line for line in before.changes if line.startswith("CREATE EXTENSION")]
        for line in before.changes:
            if line not in later and not line.startswith("--"):
                run(running.dsn(), line)
        embedded.control(running, "restart", "-w", "-l", str(running.home / "start.log"))
        for line in later:
            run(running.dsn(), line)
        after = advise(examine(running.dsn()), ["jsonlog"])
        assert (after.works, after.logs, after.share) == (True, "transactions", 0.05)
        assert not [line for line in after.changes if "SET" in line]
        assert after.facts.statements is not None
        run(running.dsn(), "ALTER SYSTEM SET log_transaction_sample_rate = 1")
        run(running.dsn(), "SELECT pg_reload_conf()")
        assert advise(examine(running.dsn()), ["jsonlog"]).logs == "everything"


def test_it_sees_what_its_user_may_not(any_database, any_server, capsys):
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE secret (id int, name text)")
        connection.execute("INSERT INTO secret SELECT n, n::text FROM generate_series(1, 99) n")
        connection.execute("ANALYZE secret")
        connection.execute("DROP ROLE IF EXISTS poor_reader")
        connection.execute("CREATE ROLE poor_reader LOGIN PASSWORD 'qq77swordfish'")
    dsn = f"{any_database} user=poor_reader password=qq77swordfish"
    assert status(["doctor", dsn, "--json"]) == 0
    out, _ = capsys.readouterr()
    found = json.loads(out)
    assert (found["version"], found["works"], found["logs"]) == (1, True, "everything")
    assert 'GRANT pg_read_all_stats TO "poor_reader";' in found["changes"]
    assert (found["facts"]["columns"], found["facts"]["columns_readable"]) == (2, 0)
    assert abs(found["facts"]["clock_ahead_s"]) < 1
    assert "swordfish" not in out
    for line in found["changes"]:
        run(any_database, line)
    after = examine(dsn)
    assert (after.reads_all_stats, after.columns_readable, after.columns_analyzed) == (True, 2, 2)
    assert advise(after, ["jsonlog"]).changes == ()
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("DROP ROLE poor_reader")


def test_it_says_so_in_words(any_database, capsys):
    assert status(["doctor", any_database]) == 0
    out, _ = capsys.readouterr()
    assert "a capture from the log would work" in out
    assert "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;" in out
    assert "5 % of transactions logged" in out


def test_what_it_asks_is_not_taken_for_productions(any_database, any_server):
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT 'of production'")
    examine(any_database)
    log = any_server.log_directory / "server.json"
    templates = capture([log], asked=ask(any_database), key=b"k" * 32).workload.templates
    assert not [t.sql for t in templates if "replay_doctor" in t.sql]


def test_an_unreachable_server_is_the_environments_fault(capsys):
    assert status(["doctor", "host=127.0.0.1 port=1 dbname=x password=qq77"]) == 5
    assert "qq77" not in capsys.readouterr().err
