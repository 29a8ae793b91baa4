"""A server that speaks another language: what it logs is read as what an English one logs."""

import os
import subprocess
import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from made_client import wait_for

from replay import embedded
from replay.capture import Options, capture

# Of all that are known, these have most that is odd: other signs ahead of the SQL, no letters of
# latin-1, numbers and names in another order, a decimal comma.
LANGUAGES = ("de", "fr", "ru", "ja")
FORMATS = ("csv", "json", "log")
PREFIX = "%m [%p] %q%u@%d %c %l %e "
SETTINGS = {
    "log_destination": "'csvlog,jsonlog,stderr'",
    "log_min_duration_statement": "0",
    "log_parameter_max_length_on_error": "-1",
    "log_line_prefix": f"'{PREFIX}'",
    "log_lock_waits": "on",
    "deadlock_timeout": "'50ms'",
    "lc_messages": "'C.UTF-8'",  # what LANGUAGE means something beside
    "fsync": "off",
}
SILENT = "-c log_min_duration_statement=-1"
TRANSLATED = [
    one
    for one in embedded.installations()
    if all(
        Path(f"/usr/share/locale/{code}/LC_MESSAGES/postgres-{one.version}.mo").is_file()
        for code in LANGUAGES
    )
]
pytestmark = pytest.mark.skipif(not TRANSLATED, reason="no server with translated messages")


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """A directory of logs of the same run, `de.csv` for example; `en` is English."""
    kept = tmp_path_factory.mktemp("logs")
    with embedded.server(SETTINGS, installation=TRANSLATED[0]) as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (n int PRIMARY KEY, v int)")
            connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
        for code in ("en", *LANGUAGES):
            with psycopg.connect(running.dsn(), autocommit=True, options=SILENT) as connection:
                connection.execute(f"ALTER SYSTEM SET log_filename = '{code}.log'")
            restart(running, code)
            ran(running.dsn(), running.log_directory / f"{code}.csv")
        embedded.control(running, "stop", "-w")
        for file in running.log_directory.iterdir():
            (kept / file.name).write_bytes(file.read_bytes())
    return kept


def restart(running: embedded.Server, code: str) -> None:
    uid, gid = running.user or (None, None)
    program = running.installation.program("pg_ctl")
    subprocess.run(
        [program, "restart", "-w", "-s", "-D", running.data, "-l", running.home / "start.log"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=running.home,
        user=uid,
        group=gid,
        extra_groups=[] if uid is not None else None,
        start_new_session=True,
        env={"PATH": os.environ["PATH"], "LANGUAGE": code, "LC_ALL": "C.UTF-8"},
    )


def ran(dsn: str, log: Path) -> None:
    """Every line shape: both protocols, log_statement, a failure, a wait, a deadlock."""
    one, other = (psycopg.connect(dsn, autocommit=True) for _ in range(2))
    with one, other:
        one.execute("SELECT v FROM t WHERE n = 17")
        one.execute("SELECT v FROM t WHERE n = %s", (18,), prepare=True)
        one.execute("SELECT n FROM t WHERE n > %s AND 'it''s' <> %s", (19, "a\nb"))
        with pytest.raises(psycopg.errors.DivisionByZero):
            one.execute("SELECT %s::int / 0", (20,))
        one.execute("SET log_min_duration_statement = -1")
        one.execute("SET log_statement = 'all'")
        one.execute("SET log_duration = on")
        one.execute("SELECT n FROM t")
        one.execute("SELECT n, v FROM t WHERE v = %s", (21,))
        one.execute("RESET log_statement")
        one.execute("RESET log_duration")
        one.execute("RESET log_min_duration_statement")
        for connection, n in ((one, 1), (other, 2)):
            connection.execute("BEGIN")
            connection.execute(f"UPDATE t SET v = v + 1 WHERE n = {n}")
        waits = threading.Thread(target=other.execute, args=("UPDATE t SET v = v + 2 WHERE n = 1",))
        waits.start()
        wait_for("ShareLock", log)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            one.execute("UPDATE t SET v = v + 3 WHERE n = 2")
        waits.join()
        one.execute("ROLLBACK")
        other.execute("COMMIT")
        one.execute("BEGIN")
        one.execute("LOCK TABLE t")
        other.execute("SET lock_timeout = '20ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("SELECT v FROM t")
        one.execute("ROLLBACK")


def taken(file: Path) -> dict[str, object]:
    """What a capture of a log has, times and processes left out."""
    workload = capture([file], asked=None, key=b"k", options=Options(jobs=1)).workload
    statements = [s for unit in workload.transactions for s in unit.statements]
    return {
        "notes": workload.manifest.notes,
        "templates": {t.sql: (t.calls, t.errors) for t in workload.templates},
        "values": Counter((s.sql, s.values, bool(s.prepared), s.error) for s in statements),
        "conflicts": Counter(
            (c.kind, c.template, c.lock, c.on, c.relation, c.peers, c.count)
            for c in workload.conflicts
        ),
    }


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_log_in_another_language_is_read_as_one_in_english(logs, code, kind):
    english, found = (taken(logs / f"{one}.{kind}") for one in ("en", code))
    message = (logs / f"{code}.json").read_text()
    assert "duration: " not in message
    assert found == english


def test_the_english_log_has_what_the_others_are_held_against(logs):
    found = taken(logs / "en.json")
    assert {"waiting", "acquired", "deadlock", "timeout"} <= {one[0] for one in found["conflicts"]}
    assert "transaction" in {one[3] for one in found["conflicts"]}
    assert any(values == ("18",) for _, values, prepared, _ in found["values"] if prepared)
    assert any(error == "22012" and values[0] == "20" for _, values, _, error in found["values"])
