"""The audit on a database with planted gaps, and with what looks like a gap and is none."""

import json
from xml.etree import ElementTree as ET

import psycopg
import pytest
from made_workload import write

from replay import target
from replay.cli import status
from replay.conduct.audit import audit, audit_statistics
from replay.report import audit as report
from replay.sql.fingerprint import fingerprint

SCHEMA = """
CREATE TABLE acct (id int PRIMARY KEY, name text);
CREATE TABLE log_parent (id int PRIMARY KEY);
CREATE TABLE tiny (id int PRIMARY KEY, word text);
CREATE TABLE ord (id int PRIMARY KEY, acct_id int REFERENCES acct, parent_id int REFERENCES log_parent,
                  ext_id text, email text, kind int, shop int, ts int, filler text,
                  sent_at int, done bool, doc jsonb);
CREATE TABLE hint (id int PRIMARY KEY, acct_id int REFERENCES acct, code text, day int, note text, gone bool);
INSERT INTO acct SELECT i, 'n' FROM generate_series(1, 2000) i;
INSERT INTO log_parent SELECT i FROM generate_series(1, 10) i;
INSERT INTO tiny SELECT i, 'w' || i FROM generate_series(1, 2000) i;
INSERT INTO ord SELECT i, i % 1000 + 1, i % 10 + 1, 'x' || i, 'User' || i || '@Example.org', i % 3,
                       i % 20, (i * 7919) % 80000, repeat('f', 60), nullif(i, 79000), i <> 78000,
                       jsonb_build_object('ref', 'r' || i)
    FROM generate_series(1, 80000) i;
INSERT INTO hint SELECT i, nullif(i % 1000, 0), 'c' || i, i % 365, repeat('n', 120), i % 1000 = 0
    FROM generate_series(1, 60000) i;
CREATE INDEX ord_shop ON ord (shop);
CREATE INDEX hint_acct ON hint (acct_id) WHERE acct_id IS NOT NULL;
CREATE UNIQUE INDEX hint_code ON hint (upper(code)) INCLUDE (note);
CREATE INDEX hint_day ON hint (day, id);
CREATE INDEX hint_gone ON hint (id) WHERE gone;
VACUUM ANALYZE;
"""
BY_EXT = "SELECT id FROM ord WHERE ext_id = 'x77'"
BY_EMAIL = "SELECT id FROM ord WHERE lower(email) = 'user77@example.org'"
SET_BY_EXT = "UPDATE ord SET kind = 1 WHERE ext_id = 'x78' AND kind = 2"
OF_SHOP = "SELECT id FROM ord WHERE shop = 7 AND ext_id = 'x7'"
LATEST = "SELECT id FROM ord ORDER BY ts DESC LIMIT 10"
UNSENT = "SELECT id FROM ord WHERE sent_at IS NULL"
OPEN = "SELECT id FROM ord WHERE NOT done"
BY_REF = "SELECT id FROM ord WHERE doc ->> 'ref' = 'r77'"
# Half-way between two bounds of the histogram: one that fell into the prefix would make it 800 rows.
BY_START = "SELECT id FROM ord WHERE ext_id LIKE 'x7444%'"
DELETE = "DELETE FROM acct WHERE id = 1500"
GAPS = {
    BY_EXT: "CREATE INDEX CONCURRENTLY ON public.ord (ext_id)",
    BY_EMAIL: "CREATE INDEX CONCURRENTLY ON public.ord ((lower(email)))",
    SET_BY_EXT: "CREATE INDEX CONCURRENTLY ON public.ord (ext_id)",
    OF_SHOP: "CREATE INDEX CONCURRENTLY ON public.ord (ext_id)",
    LATEST: "CREATE INDEX CONCURRENTLY ON public.ord (ts)",
    UNSENT: "CREATE INDEX CONCURRENTLY ON public.ord (sent_at)",
    OPEN: "CREATE INDEX CONCURRENTLY ON public.ord (done)",
    BY_REF: "CREATE INDEX CONCURRENTLY ON public.ord (((doc ->> 'ref'::text)))",
    BY_START: "CREATE INDEX CONCURRENTLY ON public.ord (ext_id text_pattern_ops)",
}
BY_KEY = "SELECT name FROM acct WHERE id = 7"
SMALL = "SELECT id FROM tiny WHERE word = 'w7'"
UNSELECTIVE = "SELECT id FROM ord WHERE kind = 1"
BATCH = "SELECT count(*), max(ts) FROM ord"
ONCE = "SELECT id FROM ord WHERE filler = 'once'"
INSERT = "INSERT INTO tiny (id, word) VALUES (9001, 'new')"
# Served by indexes on an expression, of two columns, of some rows, and by one that holds all that is read.
BY_CODE = "SELECT note FROM hint WHERE upper(code) = 'C77'"
OF_DAY = "SELECT id FROM hint WHERE day = 7 ORDER BY id LIMIT 5"
GONE = "SELECT id FROM hint WHERE gone ORDER BY id LIMIT 20"
OF_ACCT = "SELECT count(*) FROM hint WHERE acct_id = 7"
QUIET = (BY_CODE, OF_DAY, GONE, OF_ACCT, BY_KEY, SMALL, UNSELECTIVE, BATCH, ONCE, INSERT)


@pytest.fixture(scope="module")
def database(server):
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE audited")
    dsn = server.dsn("audited")
    target.mark_staging(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
    yield dsn
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE audited WITH (FORCE)")


def workload(path, dsn, *statements):
    return write(path, dsn, {sql: 0.001 if sql == ONCE else 20 for sql in statements})


def test_planted_gaps_are_found_and_nothing_else(database, tmp_path):
    path = workload(tmp_path / "w.workload", database, *GAPS, *QUIET, DELETE)
    found = audit(path, database, identity=True, say=lambda _: None)
    proposed = {gap.template.id: gap.index.sql for gap in found.gaps}
    assert proposed == {fingerprint(sql).id: index for sql, index in GAPS.items()}
    assert [gap.constraint for gap in found.key_gaps] == ["ord_acct_id_fkey"]
    assert [t.id for t in found.key_gaps[0].templates] == [fingerprint(DELETE).id]
    assert found.key_gaps[0].index.sql == "CREATE INDEX CONCURRENTLY ON public.ord (acct_id)"
    assert found.noted == ()
    assert {one.why_not for one in found.checked} == {""}
    for gap in found.gaps:
        assert gap.effect.buffers_after * 10 <= gap.effect.buffers_before
        assert gap.effect.bytes > 100_000
    cases = ET.fromstring(report.junit(found)).findall("testcase")
    assert sum(case.find("failure") is not None for case in cases) == len(GAPS) + 1
    document = json.loads(json.dumps(report.document(found), allow_nan=False))
    assert len(document["gaps"]) == len(GAPS)
    assert f"{len(GAPS) + 1} lack an index" in list(report.text(found))


def test_the_same_gaps_are_found_on_statistics_alone(database, tmp_path, capsys):
    path = workload(tmp_path / "w.workload", database, *GAPS, *QUIET, DELETE)
    told = []
    found = audit_statistics(path, say=told.append)
    proposed = {gap.template.id: gap.index.sql for gap in found.gaps}
    assert proposed == {fingerprint(sql).id: index for sql, index in GAPS.items()}
    assert [gap.index.sql for gap in found.key_gaps] == [
        "CREATE INDEX CONCURRENTLY ON public.ord (acct_id)"
    ]
    assert {one.why_not for one in found.checked} == {""}
    assert [reason for reason in told if reason.startswith("left out")] == []
    (of_shop,) = [gap for gap in found.gaps if gap.template.id == fingerprint(OF_SHOP).id]
    assert of_shop.rows_read == pytest.approx(4000, rel=0.2), "those that the shop's index leads to"
    assert not of_shop.effect.buffers_before
    assert "nothing executed" in next(iter(report.text(found)))
    assert status(["audit", str(path)]) == 2
    assert "--statistics" in capsys.readouterr().err


@pytest.fixture
def indexed(database):
    """The database with every index that is proposed; a connection to it, and their number."""
    indexes = sorted({*GAPS.values(), "CREATE INDEX CONCURRENTLY ON public.ord (acct_id)"})
    with psycopg.connect(database, autocommit=True) as connection:
        for number, sql in enumerate(indexes):
            connection.execute(sql.replace(" ON ", f" built_{number} ON ", 1))
        connection.execute("ANALYZE ord")
        yield connection
        for number in range(len(indexes)):
            connection.execute(f"DROP INDEX built_{number}")


def test_with_the_indexes_it_is_quiet(database, indexed, tmp_path):
    path = workload(tmp_path / "w.workload", database, *GAPS, *QUIET, DELETE)
    count = "SELECT count(*) FROM pg_index"
    before = indexed.execute(count).fetchone()
    found = audit(path, database, identity=True, say=lambda _: None)
    assert found.clean, [gap.template.sql for gap in found.gaps]
    assert found.noted == ()
    foretold = audit_statistics(path, say=lambda _: None)
    assert foretold.clean, [gap.template.sql for gap in foretold.gaps]
    assert indexed.execute(count).fetchone() == before
