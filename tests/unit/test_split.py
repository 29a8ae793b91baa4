"""A script is cut where psql would cut it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.sql.split import statements


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("-- only; a comment\n;;", []),
        (
            "SELECT ';'; SELECT $a$;$a$; SELECT \"x;y\"",
            ["SELECT ';'", "SELECT $a$;$a$", 'SELECT "x;y"'],
        ),
        ("/* a; /* b; */ c; */ SELECT 1 /* d */;", ["SELECT 1"]),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE t SET a = 1; END;",
            ["BEGIN ISOLATION LEVEL SERIALIZABLE", "UPDATE t SET a = 1", "END"],
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b); SELECT 1",
            ["CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)", "SELECT 1"],
        ),
        (
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
        ("DO $$ BEGIN PERFORM 1; END $$; SELECT 1", ["DO $$ BEGIN PERFORM 1; END $$", "SELECT 1"]),
    ],
)
def test_a_script_is_cut_at_the_semicolons_that_end_a_statement(script, texts):
    assert [text for _, text in statements(script)] == texts


def test_a_statement_has_the_line_on_which_it_begins():
    script = "-- release 7\nSET lock_timeout = '1s';\n\n/* then\n */ ALTER TABLE t\n  ADD a int;\n"
    assert [line for line, _ in statements(script)] == [2, 5]


@given(st.text())
def test_any_text_is_cut_without_a_fault(text):
    for line, statement in statements(text):
        assert statement in text
        assert 1 <= line <= text.count("\n") + 1
