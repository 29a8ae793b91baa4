"""What a server counts under a text of its own making is joined to the text that was sent."""

import psycopg
import pytest

from replay.capture.source import ask
from replay.capture.statements import join
from replay.sql.fingerprint import fingerprint
from replay.workload import Template

SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (id bigint PRIMARY KEY, x text, n numeric, b bool, at timestamptz);
CREATE MATERIALIZED VIEW seen AS SELECT * FROM t;
CREATE PROCEDURE called(i int) LANGUAGE sql AS 'SELECT i';
CREATE FUNCTION nested(i int) RETURNS bigint LANGUAGE plpgsql
    AS 'BEGIN RETURN (SELECT count(*) FROM t WHERE n > i); END';
"""
SENT = """
SELECT * FROM t WHERE id IN (1, 2, 3)
SELECT * FROM t WHERE id IN (1, 2, 3, 4, 5)
SELECT id FROM t WHERE id NOT IN (1, 2, 3)
SELECT x FROM t WHERE id IN (7)
SELECT x FROM t WHERE x IN ('a', 'b') AND id IN (1, 2)
SELECT n FROM t WHERE id IN (1::bigint, 2::bigint, 3::bigint)
SELECT n, at FROM t WHERE id = ANY (ARRAY[1, 2, 3]::bigint[])
SELECT n FROM t WHERE id = ANY ('{1,2,3}')
SELECT n FROM t WHERE (id, x) IN ((1, 'a'), (2, 'b'))
SELECT n FROM t WHERE id IN (1 + 1, 2, -3)
INSERT INTO t (id, x) VALUES (101, 'a'), (102, 'b')
INSERT INTO t (id, x) VALUES (103, 'a'), (104, 'b'), (105, 'c')
VALUES (1, 2), (3, 4)
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (a, b)
SELECT extract(year FROM at), at - interval '1 day', date '2026-01-01' + 3 FROM t
SELECT x, count(*) FROM t GROUP BY 1 HAVING count(*) > 2 ORDER BY 1 LIMIT 5 OFFSET 2
SELECT -5, - 5, 3 - 5, NULL, true, x IS NULL, b IS NOT TRUE FROM t WHERE id > -1
SELECT B'101', X'1F', E'a\\nb', $q$abc$q$, U&'\\0061'
SELECT cast('5' AS int), '5'::int, int '5', substring(x FROM 2 FOR 3) FROM t
SELECT json_build_object('a', 1), '{"a": 1}'::jsonb ? 'a'
SELECT count(*) FILTER (WHERE id > 3) OVER (ORDER BY id ROWS 1 PRECEDING) FROM t FOR READ ONLY
UPDATE t SET x = 'a', n = n + 1.5e3 WHERE id = 31
WITH w AS (SELECT * FROM t WHERE id = 5) SELECT * FROM w WHERE x = 'b'
SELECT * FROM t WHERE id = 5 FOR UPDATE
MERGE INTO t USING (SELECT 1 AS id) s ON s.id = t.id WHEN MATCHED THEN UPDATE SET x = 'q'
SELECT nested(7)
CALL called(5)
SET statement_timeout = 60000
SET search_path TO public
RESET statement_timeout
SHOW search_path
BEGIN
SET LOCAL work_mem = '4MB'
SAVEPOINT one
ROLLBACK TO SAVEPOINT one
RELEASE SAVEPOINT one
LOCK TABLE t IN SHARE MODE
DECLARE c CURSOR FOR SELECT * FROM t WHERE id > 5
FETCH 10 FROM c
CLOSE c
COMMIT
BEGIN ISOLATION LEVEL REPEATABLE READ
ABORT
COPY (SELECT * FROM t WHERE id < 3) TO '/dev/null'
CREATE TEMP TABLE z AS SELECT * FROM t WHERE id < 5
SELECT * INTO TEMP zz FROM t WHERE id < 7
TRUNCATE z
DROP TABLE z
EXPLAIN SELECT * FROM t WHERE id = 5
REFRESH MATERIALIZED VIEW seen
ANALYZE t
NOTIFY a, 'b'
"""
UNSENT = ("select count(*) from t where n > ?", "select ?")  # inside functions


@pytest.fixture
def database(any_database):
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        connection.execute("SELECT pg_stat_statements_reset()")
    return any_database


@pytest.fixture
def role(any_server):
    with psycopg.connect(any_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE zz_other LOGIN IN ROLE pg_write_all_data, pg_read_all_data")
        yield "zz_other"
        connection.execute("DROP ROLE zz_other")


def templates_of(*texts):
    """As a log without query_ids shows them, each sent once."""
    found = {}
    for text in texts:
        one = fingerprint(text)
        calls = found[one.id].calls if one.id in found else 0
        found[one.id] = Template(
            id=one.id,
            sql=one.sql,
            kind=one.kind,
            tables=one.tables,
            calls=calls + 1,
            errors=0,
            total_ms=1.0,
        )
    return list(found.values())


def run(dsn, texts, **options):
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None, **options) as connection:
        for text in texts:
            connection.execute(text.encode())


def test_every_text_is_found_again_without_any_query_id(database):
    sent = SENT.strip().splitlines()
    run(database, sent)
    templates = templates_of(*sent)
    joined = join(templates, ask(database).statements)
    # The reset is the fixture's, BEGIN READ ONLY and ROLLBACK would be the program's own.
    assert [t.sql for t in joined if t.source == "statements" and "reset" not in t.sql] == []
    assert {t.sql: t.counted and t.counted.calls for t in joined[: len(templates)]} == {
        t.sql: t.calls for t in templates
    }
    assert not {t.sql for t in joined} & set(UNSENT)


def test_lists_of_several_lengths_and_users_are_one_template(database, role):
    lists = [f"SELECT x FROM t WHERE id IN ({', '.join(map(str, range(n)))})" for n in range(2, 30)]
    run(database, lists)
    run(database, lists[:5], user=role)
    run(database, lists[:3], user=role)
    with psycopg.connect(database) as connection:
        (ids, users) = connection.execute(
            "SELECT count(DISTINCT queryid), count(DISTINCT userid) FROM pg_stat_statements"
            " WHERE query ILIKE 'SELECT x FROM t WHERE id IN%'"
        ).fetchone()
        assert users == 2
        assert ids == (1 if connection.info.server_version >= 180000 else 28)
    (alone,) = [
        t for t in join([], ask(database).statements) if t.sql.startswith("select x from t")
    ]
    assert (alone.calls, alone.counted.calls, len(alone.query_ids)) == (36, 36, ids)
    (both,) = join(templates_of(*lists), ask(database).statements)[:1]
    assert (both.source, both.calls, both.counted.calls) == ("both", 28, 36)


def test_executions_of_a_prepare_are_those_of_what_it_prepared(database):
    prepare = "PREPARE p (bigint) AS SELECT x, n FROM t WHERE id = $1"
    run(database, [prepare, "EXECUTE p (1)", "EXECUTE p (2)", "DEALLOCATE p"])
    (found,) = [t for t in join([], ask(database).statements) if "select x, n" in t.sql]
    assert (found.sql, found.kind) == ("select x, n from t where id = $1", "select")
    assert found.calls == 2


def test_blocks_rows_and_wal_are_the_servers_own(database):
    run(
        database,
        [
            "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i",
            "SET work_mem = '64kB'",
            "SELECT x FROM t ORDER BY x || id",
        ],
    )
    found = {t.kind: t.counted for t in join([], ask(database).statements) if "t" in t.tables}
    insert, select = found["insert"], found["select"]
    with psycopg.connect(database) as connection:
        size = connection.execute(
            "SELECT pg_relation_size('t') / current_setting('block_size')::int"
        ).fetchone()[0]
    assert insert.rows == select.rows == 20_000
    assert insert.shared_dirtied >= size
    assert insert.wal_bytes > 20_000 * 500
    assert select.shared_hit + select.shared_read >= size
    assert min(select.temp_read, select.temp_written) > 0
