"""The rules whose causes are crowds: many writers of one table, locks past the fast path, multixacts."""

import contextlib
import subprocess

import psycopg
import pytest
from made_scene import Scene, id_of, repeat, rules

from replay import embedded, target

PARTITIONS = 40
SEATS = 60_000
SCHEMA = f"""
CREATE TABLE wide (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text, b text, c int, d int);
CREATE INDEX ON wide (a); CREATE INDEX ON wide (b); CREATE INDEX ON wide (c); CREATE INDEX ON wide (d);
CREATE TABLE part (id int, day int, note text) PARTITION BY LIST (day);
CREATE TABLE seat (id int PRIMARY KEY, n int);
INSERT INTO seat SELECT i, 0 FROM generate_series(1, {SEATS}) i;
"""
# As many locks past the fast path as before PostgreSQL 18, whose slots are as many as these.
SETTINGS = {"max_locks_per_transaction": "10", "autovacuum": "off", "fsync": "off"}
LOAD = """
INSERT INTO wide (a, b, c, d)
SELECT md5(i::text), md5((i * 7)::text), i, i * 3 FROM generate_series(1, %s) i
"""
UNPRUNED = "SELECT count(*) FROM part WHERE id = %s"
PRUNED = "SELECT count(*) FROM part WHERE id = %s AND day = %s"
SCATTERED = f"""
SELECT sum(s.n) FROM generate_series(1, %s) i,
LATERAL (SELECT n FROM seat WHERE id = (i * %s) %% {SEATS}) s
"""
# A member of a multixact is a subtransaction, so that each row has one of its own.
TAKE_EACH = f"""
DO $$ BEGIN FOR i IN 1..{SEATS} LOOP
    BEGIN UPDATE seat SET n = n + 1 WHERE id = i; EXCEPTION WHEN division_by_zero THEN NULL; END;
END LOOP; END $$
"""
# Who holds a lock of the table is seldom interrupted where the machine has other things to do, too.
CROWDED_S = 8
STRIDES = (7919, 10007, 12553, 15013)


@pytest.fixture(scope="module")
def running():
    """A private server with a marked database."""
    with embedded.server(SETTINGS) as running:
        target.mark_staging(running.dsn())
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute(SCHEMA)
            for day in range(PARTITIONS):
                connection.execute(
                    f"CREATE TABLE part_{day} PARTITION OF part FOR VALUES IN ({day})"
                )
            connection.execute("CREATE INDEX ON part (id)")
            connection.execute("VACUUM ANALYZE")
        yield running


@pytest.fixture
def scene(running, tmp_path):
    return Scene(running.dsn(), tmp_path)


@contextlib.contextmanager
def multixacts(dsn):
    """Old rows that an open snapshot still needs, each locked by one and updated by another."""
    with (
        psycopg.connect(dsn) as old,
        psycopg.connect(dsn) as sharing,
        psycopg.connect(dsn) as writing,
    ):
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM seat")
        sharing.execute("SELECT count(*) FROM (SELECT FROM seat FOR KEY SHARE) s")
        writing.execute(TAKE_EACH)
        writing.commit()
        sharing.commit()
        yield


def crowd(running, path, sql):
    """A foreign actor: two dozen clients of pgbench that send one statement for a while."""
    path.write_text(f"{sql};\n")
    command = [running.installation.program("pgbench"), "-n", "-M", "prepared", "-f", str(path)]

    def actor(_connection):
        subprocess.run(
            [*command, "-c", "24", "-T", str(CROWDED_S), running.dsn()],
            check=True,
            capture_output=True,
        )

    return actor


def test_13_many_load_one_table_with_many_indexes(scene):
    found = scene.act(*[repeat(1.2, (LOAD, 2000)) for _ in range(8)])
    assert rules(found)[0] == 13
    assert [culprit.id for culprit in found[0].templates] == [id_of(LOAD)]
    assert found[0].relations == ("public.wide",)
    assert found[0].evidence["indexes"] == 5


def test_13_one_that_loads_is_no_finding(scene):
    assert 13 not in rules(scene.act(repeat(0.7, (LOAD, 2000))))


def test_14_unpruned_partitions_meet_in_the_lock_table(running, scene, tmp_path):
    others = crowd(running, tmp_path / "unpruned.sql", UNPRUNED % 3)
    found = scene.act(*[repeat(CROWDED_S, (UNPRUNED, 3)) for _ in range(8)], foreign=[others])
    assert rules(found)[0] == 14
    assert [culprit.id for culprit in found[0].templates] == [id_of(UNPRUNED)]
    assert 2 * PARTITIONS < found[0].evidence["locks"][id_of(UNPRUNED)] <= 2 * PARTITIONS + 2
    assert found[0].evidence["slow_locks"][id_of(UNPRUNED)] > PARTITIONS


def test_14_pruned_ones_do_not(running, scene, tmp_path):
    others = crowd(running, tmp_path / "pruned.sql", PRUNED % (3, 7))
    found = scene.act(*[repeat(CROWDED_S, (PRUNED, 3, 7)) for _ in range(8)], foreign=[others])
    assert 14 not in rules(found)


def test_16_rows_whose_multixacts_are_in_no_cache(running, scene):
    readers = [repeat(1.2, (SCATTERED, 4000, stride)) for stride in STRIDES * 3]
    with multixacts(running.dsn()):
        found = scene.act(*readers)
    assert rules(found)[0] == 16
    assert [culprit.id for culprit in found[0].templates] == [id_of(SCATTERED)]
    assert found[0].relations == ("public.seat",)
    assert found[0].evidence["pages_read"]["multixact_offset"] > 100


def test_16_rows_that_nobody_shared_are_no_finding(running, scene):
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        connection.execute("VACUUM FULL seat")
    readers = [repeat(0.6, (SCATTERED, 4000, stride)) for stride in STRIDES * 3]
    assert 16 not in rules(scene.act(*readers))
