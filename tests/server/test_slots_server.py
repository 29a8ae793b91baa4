"""What is rendered is the same statement to a real server: same rows, same query identifier."""

import psycopg
import pytest

from replay.sql.slots import extract, render

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, s text, n numeric, d date, at timestamptz, j jsonb, a int[], b bit(8));
INSERT INTO t SELECT i, 'it''s \\ ' || i, i / 3.0, date '2020-01-01' + i,
    timestamptz '2020-01-01 00:00Z' + i * interval '7 hours', jsonb_build_object('k', i, 'q?', 'x'),
    ARRAY[i, -i], i::bit(8)
FROM generate_series(-50, 50) AS i;
CREATE TABLE "Odd $1" ("Key ""x" int, a$1 int);
INSERT INTO "Odd $1" VALUES (1, 2);
"""

STATEMENTS = [
    r"SELECT 'it''s \', E'it\'s\t\\ \x41\u00e9', U&'d!0061ta' UESCAPE '!', $$a'$b$$, $t$ $$ $t$",
    "SELECT 'one' -- it's\n 'two', B'101', X'1F', b'' || B'1'",
    "SELECT -1, - 2, 4 -5, 4 - -5, -(-6), 2 * -3, 7--comment\n-8, 1e5, .5, 5., 007, -2 ^ 2",
    "SELECT (-32768) :: text, -5 :: int2, @ -5, 5 % -3, 2 ^ -1, (ARRAY[1,-2])[2], abs(-7)",
    "SELECT 10 / 4, 10 / 4., 10 / 4e0, 10.0 / 4, 9223372036854775808, 1::numeric(10, 2)",
    "SELECT interval '1 day', interval '90' minute, interval '1-2' year to month, date '2020-02-03'",
    "SELECT timestamp with time zone '2020-01-01 00:00Z' AT TIME ZONE 'UTC', time(3) '12:34:56.7891'",
    "SELECT 'abcdef'::varchar(3), CAST('x' AS char(5)) || '|', 1.239::numeric(4, 1), B'1'::bit(4)",
    "SELECT pg_typeof(1), pg_typeof(1.0), pg_typeof('x'), pg_typeof(NULL), pg_typeof(3000000000)",
    "SELECT id FROM t WHERE id IN (1, -2, 3, NULL) OR (id, n) IN ((6, 2), (-9, -3)) ORDER BY 1",
    "SELECT id FROM t WHERE id BETWEEN -3 AND 2 AND s LIKE '%!\\ %' ESCAPE '!' ORDER BY id DESC LIMIT 4",
    r"SELECT id FROM t WHERE s LIKE 'it''s \\ 1%' ORDER BY 1 OFFSET 2 FETCH NEXT 3 ROWS ONLY",
    "SELECT id FROM t WHERE d > date '2020-01-30' - 5 AND at < '2020-01-20'::timestamptz ORDER BY 1",
    "SELECT j ->> 'k', j -> 'q?', j ? 'q?', j ?| array['x', 'k'], j @> '{\"k\": 3}' FROM t WHERE id = 3",
    "SELECT a[1], a[-1], a[1:2], a[2:], 3 = ANY (a), ARRAY[1, 2] || a FROM t WHERE a @> '{4}'",
    "SELECT b, b = B'00000101', b & X'0F' FROM t WHERE b = X'05'",
    'SELECT "Key ""x", a$1, \'$1\', "Odd $1".a$1 FROM "Odd $1" WHERE a$1 = 2',
    "SELECT extract('year' FROM d), extract(day FROM d), date_trunc('month', at AT TIME ZONE 'UTC') FROM t WHERE id = 7",
    "SELECT substring('abcdef' FROM 2 FOR 3), trim(BOTH 'x' FROM 'xax'), position('b' IN 'ab'), overlay('abc' PLACING 'X' FROM 2)",
    "SELECT CASE WHEN id > 0 THEN 'p' WHEN id = -0 THEN NULL ELSE 'n' END, id IS NULL, id > 0 IS TRUE FROM t ORDER BY id LIMIT 3",
    "SELECT sum(id) FILTER (WHERE id > 3) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t ORDER BY 1 LIMIT 3",
    "WITH v (x, y) AS (VALUES (1, 'x'), (-2, NULL)) SELECT x, y, count(*) FROM v, t WHERE t.id > x GROUP BY 1, 2 ORDER BY 1",
    "SELECT /* outer /* inner */ ' */ 1 AS \"a -- b\", 2 /* ' */ AS c -- ' end",
    "INSERT INTO t (id, s, n) VALUES (1001, 'it''s', -1.5), (1002, NULL, DEFAULT) RETURNING id, s, n",
    "UPDATE t SET (s, n) = ('x', n * -2), j = j || '{\"z\": [1, \"\\u0041\"]}' WHERE id = -4 RETURNING s, n, j",
    "DELETE FROM t WHERE id = -1 AND n < 0.5 RETURNING *;",
]  # fmt: skip


@pytest.fixture
def connection(any_database):
    with psycopg.connect(any_database, cursor_factory=psycopg.RawCursor) as connected:
        connected.execute(SCHEMA)
        connected.commit()
        yield connected


def answer(connection, sql, parameters=None):
    """Rows of a statement with their types, then rolled back."""
    cursor = connection.execute(sql, parameters)
    found = cursor.fetchall(), [(column.name, column.type_code) for column in cursor.description]
    connection.rollback()
    return found


def query_id(connection, sql):
    plan = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}").fetchone()[0]
    connection.rollback()
    return plan[0]["Query Identifier"]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_rendered_literals_give_the_same_rows_and_the_same_query(connection, sql):
    slotted = extract(sql)
    rendered, parameters = render(slotted.sql, slotted.slots, slotted.literals)
    assert not parameters
    assert answer(connection, rendered) == answer(connection, sql)
    assert query_id(connection, rendered) == query_id(connection, sql)


def test_rendered_statements_mean_the_same_where_backslashes_escape(connection):
    sql = r"SELECT E'a\\b', 'c' || E'\'', E'\n' = chr(10)"
    slotted = extract(sql)
    rendered, _ = render(slotted.sql, slotted.slots, slotted.literals)
    expected = answer(connection, sql)
    connection.execute("SET standard_conforming_strings = off")
    connection.execute("SET escape_string_warning = off")
    assert connection.execute(rendered).fetchall() == expected[0]


def test_other_values_can_be_put_in_and_cannot_break_out(connection):
    slotted = extract("SELECT id, 'x' FROM t WHERE id = $1 AND s <> 'y' AND n > 1 - 5")
    assert slotted.slots == "pssnn"
    evil = "'; DROP TABLE t; --\\"
    sql, parameters = render(slotted.sql, slotted.slots, ["7", evil, evil, "1", "-5"])
    rows, _ = answer(connection, sql, parameters)
    assert rows == []  # n is 7 / 3, and not above 1 - -5
    sql, parameters = render(slotted.sql, slotted.slots, ["7", evil, None, "1", "1e2"])
    assert answer(connection, sql.replace("<>", "is distinct from"), parameters)[0] == [(7, evil)]
