"""Identity of statements: what it is blind to, what it keeps apart."""

import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_sql import BROKEN, SHAPES, STATEMENTS, written

from replay.sql.fingerprint import fingerprint


@given(st.sampled_from(SHAPES).flatmap(lambda shape: st.tuples(written(shape), written(shape))))
def test_blind_to_literals_spacing_case_comments_and_semicolons(both):
    one, other = both
    assert fingerprint(one) == fingerprint(other)


@given(st.one_of(STATEMENTS, BROKEN), st.integers(0, 200))
@example("values (values (", 200)
@example("in (1, in (values (1), (1), (in (", 200)
def test_any_text_has_a_fingerprint_that_stands_still(text, cut):
    for found in (fingerprint(text), fingerprint(text[:cut])):
        assert fingerprint(found.sql) == found


SAME = [
    ("select 1", "SELECT 2"),
    ("select 'a''b'", "select E'it\\'s; -- no comment'"),
    ("select $$a'b$$", "select U&'d\\0061' -- x"),
    ("select $q$ $$ $q$, 1", "select 'x', -1"),
    ("select B'101'", "select X'1F'"),
    ("select 0x1F + 1_000", "select 1e5 + .5"),
    ("select a-1", "select a - 22"),
    ("select -1", "select 1"),
    ("select a = -1", "select a=1"),
    ("select - - 1", "select 1"),
    ("select f(-1, +2)", "select f(1,2)"),
    ("select * from t where a in (1)", "select * from t where a in (1, 2, -3, null)"),
    ("select * from t where a in ($1)", "select * from t where a in ($1, $2, $3)"),
    (
        "select * from t where a in ($1,$2) and b = $3 limit $4",
        "select * from t where a in ($1,$2,$3,$4) and b = $5 limit $6",
    ),
    ("select * from t where (a,b) in ((1,2))", "select * from t where (a,b) in ((1,2),(3,4))"),
    ("select * from t where a in ($1::int)", "select * from t where a in ($1::int,$2::int)"),
    ("select * from t where a = any(array[1])", "select * from t where a = any(array[1,2,3])"),
    ("insert into t values (1, now())", "insert into t values (1, now()), (null, now())"),
    (
        "insert into t (a, b) values ($1, $2) on conflict (a) do update set b = $3",
        (
            "insert into t (a, b) values ($1, $2), ($3, $4), ($5, $6) "
            "on conflict (a) do update set b = $7"
        ),
    ),
    ("select a /* one */ from t", "select/* /* two */ */a from t -- three"),
    ("select A.B from T", "select a . b from t ;"),
    ("select\ta\r\nfrom t", "select a from t"),
    ("select 'a'\n'b'", "select 'ab'"),
    ("update t set a = true", "update t set a = null"),
    ("select a+/* sum */b", "select a + b"),
    ("select a*--product\nb", "select a * b"),
    ("select a from t order by a, 2 + 1", "select a from t order by a, 3 + 1"),
    (
        "select a from t group by a union select 1, 2",
        "select a from t group by a union select 3, 4",
    ),
    ("select a from t order by 1 limit 5, 6", "select a from t order by 1 limit 7, 8"),
]
APART = [
    ("select $1", "select 1"),
    ("select $1, $2", "select $1, $1"),
    ("select a, b from t", "select b, a from t"),
    ("select a::int from t", "select a::bigint from t"),
    ("select '1'::date", "select '1'::timestamp"),
    ("begin", "begin isolation level serializable"),
    ("begin isolation level serializable", "begin isolation level repeatable read"),
    ('select "A" from t', "select a from t"),
    ('select "a b"', 'select "a  b"'),
    ("select a is null from t", "select a is true from t"),
    ("select a is null from t", "select a is not null from t"),
    ("select * from t where a in (1)", "select * from t where a not in (1)"),
    ("select * from t where a in (1)", "select * from t where a in (select 1)"),
    ("select * from t where a in (b)", "select * from t where a in (b, c)"),
    ("insert into t values (1, now())", "insert into t values (1, 2)"),
    ("insert into t values (1, 2)", "insert into t values (1, 2, 3)"),
    ("select a - 1", "select a, -1"),
    ("select a from t for update", "select a from t for share"),
    ("select a || b", "select a | b"),
    ("select a -> 'x'", "select a ->> 'x'"),
    ("select É", "select é"),  # only ASCII folds
    ("select a; select b", "select a"),
    ("select a from t order by a desc", "select a from t order by a"),
    ("select f(a)", "select f(distinct a)"),
    ("select a, b from t order by 1", "select a, b from t order by 2"),
    ("select a, b from t ORDER BY a, 1 DESC", "select a, b from t ORDER BY a, 2 DESC"),
    ("select a, b from t group by 1 having true", "select a, b from t group by 2 having true"),
    ("select a<-1", "select a<@1"),
    ("rollback", "rollback to savepoint x"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_apart(one, other):
    assert fingerprint(one).id != fingerprint(other).id


def test_readable():
    found = fingerprint(
        "/* shop */ INSERT INTO Public.\"Order Lines\" AS o(a,b) VALUES ($1, -5), ($2, 'x')\n"
        " ON CONFLICT (a) DO UPDATE SET b=EXCLUDED.b WHERE o.a IN ($3,$4) AND o.c IS NULL"
        " AND o.d[1]::numeric(10, 2) >= $5 RETURNING count(*);"
    )
    assert found.sql == (
        'insert into public."Order Lines" as o(a, b) values ($1, ?) '
        "on conflict (a) do update set b = excluded.b where o.a in ($2, ...) and o.c is null "
        "and o.d[?]::numeric(?, ?) >= $3 returning count(*)"
    )
    assert found.kind == "insert"
    assert found.tables == ("public.Order Lines",)
    assert len(found.id) == 16
    assert int(found.id, 16)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("(select 1) union (select 2)", "select"),
        ("values (1)", "select"),
        (
            "with a as (select 1), b as (insert into t values (1) returning 1) select * from b",
            "select",
        ),
        ("with a as (select 1) update t set x = 1", "update"),
        ("merge into t using s on true when matched then delete", "merge"),
        ("start transaction read only", "begin"),
        ("end", "commit"),
        ("abort", "rollback"),
        ("rollback work to a", "savepoint"),
        ("release savepoint a", "savepoint"),
        ("commit prepared 'x'", "other"),
        ("set local lock_timeout = 5", "set"),
        ("copy t from stdin", "copy"),
        ("begin; update t set a = 1; commit", "update"),
        ("begin; set local x = 1", "begin"),
        ("alter table t add b int", "other"),
        ("", "other"),
        ("((", "other"),
    ],
)
def test_kind(sql, kind):
    assert fingerprint(sql).kind == kind


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select * from a, s.b as x, (select 1 from c) y, d", "a s.b d c"),
        ("select * from only a join lateral f(1) on true left join b using (id)", "a b"),
        ("select extract(epoch from x), substring(y from 2), trim(both from z) from a", "a"),
        ("select * from unnest($1::int[]) u, generate_series(1, 5), a", "a"),
        ("select a is distinct from b from c for update of c skip locked", "c"),
        (
            "with x as (select * from a), y (q) as materialized (select 1 from x) select * from y, b",
            "a b",
        ),
        ("insert into a select * from b on conflict do update set x = 1", "a b"),
        ("update a set x = b.x from b where exists (select from c)", "a b c"),
        ("delete from a using b, c where a.id = b.id", "a b c"),
        ("merge into a using b on true when matched then update set x = 1", "a b"),
        ('select * from "S"."T""x"', 'S.T"x'),
        ("copy a (x) to stdout", "a"),
        ("alter table if exists only a alter x type int using y::int", "a"),
        ("truncate a, b", "a b"),
        ("begin", ""),
        ("select 1 from", ""),
        ("select * from a.", "a."),
    ],
)
def test_tables(sql, tables):
    assert sorted(fingerprint(sql).tables) == sorted(tables.split())


def test_long_lists_cost_no_more_than_their_length():
    rows = ",".join(["(1,'x')"] * 20_000)
    began = time.perf_counter()
    short = fingerprint("insert into t values (1,'x') on conflict do nothing")
    assert fingerprint(f"insert into t values {rows} on conflict do nothing") == short
    fingerprint("select " + "(" * 20_000 + "in (1, " * 50 + " " * 100_000 + "'" * 20_000)
    assert time.perf_counter() - began < 5


def _lines_run(text):
    """How many lines of our code a fingerprint takes: a cost that no busy machine changes."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        fingerprint(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        "in (",
        "in (1, ",
        "in (1) ",
        "in (select ",
        "array[",
        "values (",
        "values ((1,",
        "values (1), ",
        "(",
        "from a,",
        "from (",
        "from a join b on ",
        "as x from ",
        "extract(a from ",
        "delete using a ",
        "a) as not (",
        "with x as (",
        "; with x as (",
        "order by 1, a, ",
        "group by a, 1",
        "alter role a password b ",
        "+-",
        "1e+",
        "'",
        "$a$",
        "/*",
        "*/",
        "$1,",
    ],
)
def test_no_text_costs_more_than_its_length(piece):
    short, long = piece * 200, piece * 1600
    fingerprint(short)  # remembers its words
    assert _lines_run(long) < 12 * _lines_run(short) + 200
