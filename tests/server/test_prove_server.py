"""The proof of a real run: it fails, passes with the index, and fails again without it."""

import json
from dataclasses import replace

import psycopg
import pytest
from made_workload import write

from replay import rundir, target
from replay.cli import status
from replay.conduct import fixes
from replay.conduct.options import RunOptions
from replay.conduct.prove import prove
from replay.conduct.run import run
from replay.errors import InputError
from replay.finding import SHORTER, Change, Finding, Fix
from replay.sql.fingerprint import fingerprint

SCHEMA = """
CREATE TABLE task (id int PRIMARY KEY, callback text, n int);
INSERT INTO task SELECT i, 'callback ' || i, 0 FROM generate_series(1, 150000) i;
VACUUM ANALYZE;
"""
BY_KEY = "SELECT callback FROM task WHERE id = 7"
SCAN = "SELECT id FROM task WHERE callback = 'callback 77'"
WRITE = "UPDATE task SET n = n + 1 WHERE id = 9"
INDEX = "CREATE INDEX CONCURRENTLY ON public.task (callback)"
OPTIONS = RunOptions(duration_s=3.0, pool=4, identity=True, objective_ms=100.0)


@pytest.fixture
def database(new_database):
    target.mark_staging(new_database)
    with psycopg.connect(new_database, autocommit=True) as connection:
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
    return new_database


def databases(dsn):
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def test_an_index_is_proven_on_the_same_rows(database, tmp_path, capsys):
    workload = write(tmp_path / "w.workload", database, {BY_KEY: 60, SCAN: 900, WRITE: 10})
    failed = tmp_path / "a.run"
    run(workload, database, failed, OPTIONS)
    (first, *_) = rundir.read_findings(failed)
    assert (first.rule, [fix.sql for fix in first.fixes]) == (19, [INDEX])
    before = databases(database)
    code = status(["prove", str(failed), "--finding", "1", "--target", database, "--json"])
    proof = json.loads(capsys.readouterr().out)["proof"]
    assert proof["why"].startswith("fails, passes with the fix, fails without it")
    assert code == (0 if proof["proven"] else 1), "a busy machine may make a run not valid"
    assert [step["healthy"] for step in proof["steps"]] == [False, True, False]
    (built,) = proof["fixes"]
    assert (built["sql"], built["planned"], built["used"]) == (INDEX, "built", True)
    assert built["bytes"] > 1_000_000
    assert [cost["template"] for cost in built["writes"]] == [fingerprint(WRITE).id]
    assert proof["restored"]
    assert databases(database) == before
    with psycopg.connect(database) as connection:
        indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'task'"
        assert connection.execute(indexes).fetchone() == (1,)
    assert rundir.read_proof(failed).proven == proof["proven"]


def test_a_change_in_the_application_is_proven_by_changing_the_load(database, tmp_path, capsys):
    unit = ("BEGIN", WRITE, BY_KEY, "COMMIT")
    workload = write(tmp_path / "w.workload", database, {unit: 9, BY_KEY: 20}, pause_ms=60)
    failed = tmp_path / "c.run"
    run(workload, database, failed, replace(OPTIONS, duration_s=2.0))
    (first, *_) = rundir.read_findings(failed)
    assert (first.rule, first.fixes[0].change.kind) == (6, SHORTER)
    status(["prove", str(failed), "--finding", "1", "--target", database])
    told = capsys.readouterr().out
    proof = rundir.read_proof(failed)
    assert proof.why.startswith("fails, passes with the fix, fails without it")
    (built,) = proof.fixes
    assert (built.sql, built.changed) == ("", 1)
    assert "without the client's pauses" in told
    assert "changes 1 kept transactions" in told
    options = rundir.read_manifest(tmp_path / proof.steps[1].run).options
    assert [change["kind"] for change in options["changes"]] == [SHORTER]


def test_what_no_program_can_apply_is_not_tried(database, tmp_path):
    workload = write(tmp_path / "w.workload", database, {BY_KEY: 100})
    path = tmp_path / "b.run"
    run(workload, database, path, OPTIONS)
    hot = Finding(
        rule=7,
        name="hot row",
        summary="",
        templates=(),
        fixes=(Fix(kind="application", sql="", why="spread the row"),),
    )
    rundir.write_findings(path, (hot,))
    with pytest.raises(
        InputError, match=r"nothing that can be proven(.|\n)*hot row.*spread the row"
    ):
        prove(workload, database, path, say=lambda _: None)
    change = Change(kind=SHORTER, templates=(fingerprint(BY_KEY).id,))
    alone = replace(hot, fixes=(replace(hot.fixes[0], change=change),))
    rundir.write_findings(path, (alone,))
    with pytest.raises(InputError, match="leaves every kept transaction as it is"):
        prove(workload, database, path, say=lambda _: None)
    with pytest.raises(InputError, match="has 1 findings, and no number 2"):
        prove(workload, database, path, finding=2, say=lambda _: None)


def test_the_planner_is_asked_before_anything_is_built_where_hypopg_is_there(any_database):
    with psycopg.connect(any_database, autocommit=True) as connection:
        for statement in SCHEMA.replace("150000", "20000").split(";\n"):
            connection.execute(statement)
        there = connection.execute(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'"
        ).fetchone()
        asked = fixes._hypothetical(connection, INDEX, {"it": (SCAN, ())})
        assert asked is (True if there == (1,) else None)
        other = INDEX.replace("callback", "n")
        assert fixes._hypothetical(connection, other, {"it": (SCAN, ())}) is (
            False if there == (1,) else None
        )
        assert connection.execute("SELECT count(*) FROM pg_extension").fetchone() == (1,)
