"""The doctor's advice: from a server's facts, by hand, to what it says and the SQL it prints."""

from dataclasses import replace

import pytest

from replay.capture.doctor import Counters, Facts, advise

SET = {
    "log_destination": "jsonlog",
    "logging_collector": "on",
    "log_min_duration_statement": "0",
    "log_transaction_sample_rate": "0",
    "log_min_duration_sample": "-1",
    "log_statement_sample_rate": "1",
    "log_parameter_max_length": "-1",
    "log_lock_waits": "on",
    "lc_messages": "C",
    "compute_query_id": "auto",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "all",
}
COUNTS = Counters(calls_per_s=100.0, text_bytes=94.0, hidden=0, evictions=0, counted_for_s=3600.0)
WELL = Facts(
    place="database 'shop' on db:5432",
    username="reader",
    database="shop",
    version=180_004,
    clock_ahead_s=0.01,
    clock_known_to_s=0.02,
    reads_all_stats=True,
    knows_identity=True,
    managed_by="",
    settings=SET,
    waiting_for_restart=(),
    columns=9,
    columns_readable=9,
    columns_analyzed=9,
    xacts_per_s=40.0,
    statements_installed=True,
    statements=COUNTS,
)


def checked(**changed):
    settings = {**SET, **changed.pop("settings", {})}
    settings = {name: value for name, value in settings.items() if value is not None}
    return advise(replace(WELL, settings=settings, **changed), ["jsonlog"])


def test_a_server_that_is_set_well_needs_no_change():
    checkup = checked()
    assert (checkup.works, checkup.logs, checkup.share, checkup.changes) == (
        True,
        "everything",
        1.0,
        (),
    )
    assert {finding.level for finding in checkup.findings} == {"good"}
    # 100 statements/s, two records each, of 370 + 36 + 94 bytes.
    assert checkup.log_bytes_per_h == 100 * 3600 * 2 * 500
    assert checkup.sampled_bytes_per_h == checkup.log_bytes_per_h * 0.05


@pytest.mark.parametrize(
    ("settings", "logs", "share", "works"),
    [
        ({"log_min_duration_statement": "-1"}, "nothing", 0.0, False),
        ({"log_min_duration_statement": "250ms"}, "slow", 0.0, True),
        (
            {"log_min_duration_statement": "-1", "log_transaction_sample_rate": "0.05"},
            "transactions",
            0.05,
            True,
        ),
        (
            {
                "log_min_duration_statement": "-1",
                "log_min_duration_sample": "0",
                "log_statement_sample_rate": "0.1",
            },
            "statements",
            0.1,
            True,
        ),
        (
            {
                "log_min_duration_statement": "-1",
                "log_min_duration_sample": "100ms",
                "log_statement_sample_rate": "0.1",
            },
            "slow",
            0.0,
            True,
        ),
        (
            {
                "log_min_duration_statement": "-1",
                "log_statement": "all",
                "log_duration": "on",
            },
            "everything",
            1.0,
            True,
        ),
    ],
)
def test_what_the_log_would_hold(settings, logs, share, works):
    checkup = checked(settings=settings)
    assert (checkup.logs, checkup.share, checkup.works) == (logs, share, works)
    assert ("ALTER SYSTEM SET log_transaction_sample_rate = 0.05;" in checkup.changes) == (
        logs in {"nothing", "slow", "statements"}
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"log_destination": "csvlog"}, "ALTER SYSTEM SET log_destination = 'jsonlog';"),
        (
            {"log_destination": "stderr"},
            "ALTER SYSTEM SET log_destination = 'stderr,jsonlog';",
        ),
        (
            {"logging_collector": "off"},
            "ALTER SYSTEM SET logging_collector = on;  -- needs a restart",
        ),
        (
            {"log_parameter_max_length": "128B"},
            "ALTER SYSTEM SET log_parameter_max_length = -1;",
        ),
        ({"lc_messages": "pl_PL.UTF-8"}, "ALTER SYSTEM SET lc_messages = 'C';"),
        (
            {"pg_stat_statements.track": "none"},
            "ALTER SYSTEM SET pg_stat_statements.track = 'top';",
        ),
        (
            {"shared_preload_libraries": "auto_explain, x", "pg_stat_statements.track": None},
            (
                "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'x', 'pg_stat_statements';"
                "  -- needs a restart"
            ),
        ),
        (
            {"shared_preload_libraries": None, "pg_stat_statements.track": None},
            "-- add pg_stat_statements to shared_preload_libraries, which this user may not read",
        ),
    ],
)
def test_a_setting_that_is_wrong_has_its_exact_line(settings, line):
    changes = checked(settings=settings).changes
    assert line in changes
    assert ("SELECT pg_reload_conf();" in changes) == any("ALTER SYSTEM" in c for c in changes)
    assert any("restart the server" in c for c in changes) == (
        "restart" in line or "-- add" in line
    )


@pytest.mark.parametrize(
    ("changed", "works", "line"),
    [
        ({"reads_all_stats": False}, True, 'GRANT pg_read_all_stats TO "reader";'),
        (
            {"columns_readable": 2, "columns_analyzed": 2},
            True,
            'GRANT pg_read_all_data TO "reader";',
        ),
        (
            {"knows_identity": False},
            False,
            'GRANT EXECUTE ON FUNCTION pg_control_system() TO "reader";',
        ),
        ({"columns_analyzed": 8}, True, "ANALYZE;"),
        (
            {"statements": None, "statements_installed": False},
            True,
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
        ),
        (
            {"statements": replace(COUNTS, evictions=3)},
            True,
            "ALTER SYSTEM SET pg_stat_statements.max = 10000;  -- needs a restart",
        ),
    ],
)
def test_what_the_user_or_the_database_lacks(changed, works, line):
    checkup = checked(**changed)
    assert checkup.works == works
    assert line in checkup.changes


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"clock_ahead_s": -90.0}, "90.00 s behind"),
        ({"managed_by": "rds_superuser"}, "provider's parameters"),
        ({"waiting_for_restart": ("logging_collector",)}, "after a restart: logging_collector"),
        (
            {"version": 140_011, "settings": {"log_destination": "stderr"}},
            "capture reads jsonlog, which this version does not write",
        ),
    ],
)
def test_what_no_sql_can_change_is_said(changed, told):
    findings = checked(**changed).findings
    assert any(told in finding.says for finding in findings if finding.level != "good")


def test_without_counters_the_rate_is_that_of_transactions():
    assert checked(statements=None).statements_per_s == 40.0
