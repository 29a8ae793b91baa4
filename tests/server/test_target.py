"""The guard: nothing is written to what is not proven to be staging."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from data_gen.introspect import introspect
from data_gen.load import Order, generate
from replay import embedded, target
from replay.errors import EnvironmentFaultError, InputError, RefusedError


def test_an_unmarked_database_is_refused(any_database):
    with (
        pytest.raises(RefusedError, match="replay mark-staging") as caught,
        target.connect_target(any_database),
    ):
        pass
    assert caught.value.exit_code == 4


def test_a_marked_database_is_accepted(any_database):
    target.mark_staging(any_database)
    with target.connect_target(any_database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert target.read_generated(connection) is None


def test_a_database_without_an_encoding_is_marked_read_and_filled(database_without_encoding):
    dsn = database_without_encoding
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute(
            "CREATE TABLE städte (id int PRIMARY KEY, name text);"
            "INSERT INTO städte SELECT i, 'Köln ' || i % 7 FROM generate_series(1, 500) AS i;"
            "ANALYZE städte"
        )
    with target.connect_source(dsn) as connection:
        profile = introspect(connection)
        assert target.identity(connection).database == conninfo_to_dict(dsn)["dbname"]
    target.mark_staging(dsn)
    loaded = generate(profile, target.connector(dsn), Order(replace=True))
    assert (loaded.left_out, loaded.tables[0].rows) == ((), 500)
    with target.connect_target(dsn) as connection:
        names = connection.execute("SELECT DISTINCT name FROM städte").fetchall()
    assert len(names) == 7
    assert all(isinstance(one, str) for (one,) in names)


@pytest.mark.parametrize("column", ["system_identifier", "database"])
def test_a_copy_that_carries_anothers_marker_is_refused(new_database, column):
    target.mark_staging(new_database)
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute(f"UPDATE replay.marker SET {column} = 'other'")
    with (
        pytest.raises(RefusedError, match="looks like a copy"),
        target.connect_target(new_database),
    ):
        pass


def test_the_captured_server_is_refused_even_when_marked(new_database):
    with target.connect_source(new_database) as connection:
        source = target.identity(connection)
    target.mark_staging(new_database)
    with (
        pytest.raises(RefusedError, match="captured from"),
        target.connect_target(new_database, source=source),
    ):
        pass


def test_the_captured_server_is_refused_after_a_restart_and_from_any_time_zone(monkeypatch):
    with embedded.server() as running:
        with target.connect_source(running.dsn()) as connection:
            source = target.identity(connection)
        target.mark_staging(running.dsn())
        embedded.control(running, "restart", "-w", "-l", str(running.home / "start.log"))
        monkeypatch.setenv("PGTZ", "Asia/Tokyo")
        with (
            pytest.raises(RefusedError, match="captured from"),
            target.connect_target(running.dsn(), source=source),
        ):
            pass


def test_the_source_is_only_read(any_database):
    with target.connect_source(any_database) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE written (id int)")
        connection.rollback()
        timeouts = connection.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        ).fetchone()
        assert timeouts == ("1min", "2s")


def test_the_marker_needs_no_superuser(new_database):
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT CREATE ON DATABASE " + connection.info.dbname + " TO plain")
    plain = new_database.replace("user=postgres", "user=plain")
    try:
        target.mark_staging(plain)
        with target.connect_target(plain) as connection:
            assert connection.info.user == "plain"
    finally:
        with psycopg.connect(new_database, autocommit=True) as connection:
            connection.execute("DROP OWNED BY plain")
            connection.execute("DROP ROLE plain")


def test_a_server_that_is_not_there_is_the_environments_fault(tmp_path):
    with (
        pytest.raises(EnvironmentFaultError, match="cannot connect to"),
        target.connect_source(f"host={tmp_path} dbname=none password=s3cret"),
    ):
        pass


def test_a_password_is_never_told(tmp_path):
    with (
        pytest.raises(EnvironmentFaultError) as caught,
        target.connect_source(f"host={tmp_path} dbname=none password=s3cret"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_what_is_no_dsn_is_the_users_fault():
    with pytest.raises(InputError, match="not a PostgreSQL connection string"):
        target.mark_staging("postgres//nowhere")
