"""What a captured session had set, for a pool's session to set first."""

from dataclasses import replace

import pytest
from test_schedule import statement, workload

from replay.load.schedule import LEFT_OUT_SETS, plan
from replay.load.settings import before_each, scripts
from replay.workload import Transaction


def units(*told: tuple[str, str]) -> list[Transaction]:
    """(session, SQL) of autocommit statements, in order."""
    (one,) = workload((1.0, "a")).transactions
    return [
        replace(one, id=number, session=session, statements=(statement("a", sql),))
        for number, (session, sql) in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["SET search_path = x"], ("SET search_path = x",)),
        (["SET search_path = x", "SET search_path TO y"], ("SET search_path TO y",)),
        (["SET a = ';'; RESET c;", "SET a = 2; SET b = 3"], ("SET a = 2", "SET b = 3")),
        (["SET search_path = x; UPDATE t SET n = 1"], ()),
        (["SET SCHEMA 'x'", "set search_path = y"], ("set search_path = y",)),
        (["SET a.b = 1", "SET SESSION work_mem = 2"], ("SET a.b = 1", "SET SESSION work_mem = 2")),
        (["SET TIME ZONE 'UTC'", "RESET timezone"], ()),
        (["SET work_mem = 1", "RESET ALL"], ()),
        (["SET work_mem = 1", "DISCARD ALL"], ()),
        (["SET LOCAL work_mem = 1", "SET TRANSACTION READ ONLY"], ()),
        (["SET CONSTRAINTS ALL DEFERRED", "SET ROLE boss", "SET NAMES 'latin1'"], ()),
        (
            [
                "SET SESSION AUTHORIZATION boss",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            ],
            (),
        ),
    ],
)
def test_a_transaction_finds_what_its_session_had_set(sets, expected):
    told = [("s", sql) for sql in sets]
    found = before_each(units(*told, ("s", "SELECT 1"), ("other", "SELECT 1")))
    assert found.get(len(sets), ()) == expected
    assert len(sets) + 1 not in found  # another session's


def test_a_failed_set_sets_nothing():
    failed, read = units(("s", "SET work_mem = 1"), ("s", "SELECT 1"))
    failed = replace(failed, statements=(statement("a", "SET work_mem = 1", error="22023"),))
    assert before_each([failed, read]) == {}


def test_a_script_takes_back_what_the_others_set():
    found = scripts([(), ("SET a = 1",), ("SET TIME ZONE 'UTC'",)])
    assert found == [
        "RESET a; RESET timezone",
        "RESET a; RESET timezone; SET a = 1",
        "RESET a; RESET timezone; SET TIME ZONE 'UTC'",
    ]
    assert scripts([()]) == [""]


def test_what_only_sets_is_no_arrival_of_a_pool():
    (one,) = units(("s", "SET work_mem = 1"))
    assert plan(0, one, ((),)).left_out == LEFT_OUT_SETS
    assert not plan(0, one, ((),), session="s").left_out
    (more,) = units(("s", "SET work_mem = 1; UPDATE t SET n = 1"))
    assert not plan(0, more, ((),)).left_out
