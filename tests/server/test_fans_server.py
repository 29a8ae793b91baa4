"""Foreign keys of tables too large to count: a draw of parents tells about what a count does."""

import psycopg
import pytest

from data_gen.fans import fan_outs, shares
from data_gen.introspect import questions
from data_gen.questions import answer, answer_in_turn

# Children of parent n: many of the first few, fewer and fewer of the others, none of every third.
SCHEMA = """
CREATE TABLE buyers (id int PRIMARY KEY) WITH (autovacuum_enabled = off);
CREATE TABLE sales (buyer bigint REFERENCES buyers, seller int REFERENCES buyers)
    WITH (autovacuum_enabled = off);
INSERT INTO buyers SELECT n FROM generate_series(1, 9000) n;
INSERT INTO sales SELECT n, 1 + n % 50 FROM generate_series(1, 9000) n,
    LATERAL generate_series(1, 4 + 20000 / (n + 20)) WHERE n % 3 > 0;
CREATE INDEX ON sales (buyer);
ANALYZE;
"""


@pytest.fixture
def connection(any_database):
    with psycopg.connect(any_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


def test_parents_are_drawn_where_a_table_is_too_large_to_count(connection):
    asked = questions()
    answer(connection, asked["session"])
    counted = fan_outs(answer_in_turn(connection, asked["fans"]))
    drawn = fan_outs(answer_in_turn(connection, asked["fans"].replace("5000000", "5000")))
    assert {name for _, name in counted} == {"sales_buyer_fkey", "sales_seller_fkey"}
    ((key, found),) = drawn.items()  # no index leads from a seller to the sales
    assert key[1] == "sales_buyer_fkey"
    true = counted[key]
    for figure in (lambda n, _: n, lambda n, size: n * size):  # parents, children
        here, there = (sum(figure(n, size) for size, n in one.sizes) for one in (found, true))
        assert here == pytest.approx(there, rel=0.08)
    assert (shares(found) ** 2).sum() == pytest.approx((shares(true) ** 2).sum(), rel=0.15)
    assert shares(found)[:10].sum() == pytest.approx(shares(true)[:10].sum(), rel=0.15)
    assert len({token for token, _ in found.hot[:10]} & {token for token, _ in true.hot[:15]}) >= 8
