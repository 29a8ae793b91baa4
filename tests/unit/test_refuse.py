"""What is never sent to a target, and why."""

import pytest

from replay.load import refuse

REFUSED = [
    ("COPY t (a) FROM STDIN", "copy"),
    ("copy t to program $1", "copy"),
    ("(COPY t TO STDOUT)", "copy"),
    ("LISTEN jobs", "listen"),
    ("UNLISTEN *", "listen"),
    ("DO $1", "code"),
    ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $1", "code"),
    ("PREPARE TRANSACTION $1", "two_phase"),
    ("COMMIT PREPARED $1", "two_phase"),
    ("PREPARE q AS SELECT 1", "session_prepare"),
    ("EXECUTE q($1)", "session_prepare"),
    ("DISCARD ALL", "session_reset"),
    ("DEALLOCATE ALL", "session_reset"),
    ("ALTER SYSTEM SET work_mem = $1", "server_administration"),
    ("CREATE ROLE r", "server_administration"),
    ("drop  database x", "server_administration"),
    ("CREATE SUBSCRIPTION s CONNECTION $1 PUBLICATION p", "server_administration"),
    ("SELECT 1; ALTER SYSTEM RESET ALL", "server_administration"),
    ("CHECKPOINT", "server_administration"),
    ("SELECT pg_terminate_backend($1)", "server_function"),
    ("SELECT pg_catalog.pg_cancel_backend (pid) FROM pg_stat_activity", "server_function"),
    ("SELECT pg_reload_conf()", "server_function"),
    ("SELECT pg_read_file($1)", "outside"),
    ('SELECT * FROM "dblink"($1, $2) AS t(a int)', "outside"),
    ("SELECT dblink_exec($1)", "outside"),
    ("SELECT net.http_post($1)", "outside"),
]
ALLOWED = [
    "SELECT * FROM copy_log WHERE id = $1",
    "UPDATE listeners SET dblink = $1",
    "SELECT pg_advisory_xact_lock($1)",
    "SELECT pg_sleep($1)",
    "NOTIFY jobs",
    "INSERT INTO roles (name) VALUES ($1)",
    "COMMIT",
    "CREATE TABLE server (id int)",
    "ALTER TABLE t ADD COLUMN database text",
    "CREATE INDEX user_name ON t (a)",
]


@pytest.mark.parametrize(("sql", "why"), REFUSED)
def test_it_is_refused_for_its_reason(sql: str, why: str) -> None:
    assert refuse.reason(sql) == why


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_word_alone_refuses_nothing(sql: str) -> None:
    assert refuse.reason(sql) == ""
