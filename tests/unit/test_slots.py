"""Values out of a statement and back: nothing is lost, whatever way it was written."""

import pgparse
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sql import BROKEN, STATEMENTS, STRINGS

from replay.sql.fingerprint import fingerprint
from replay.sql.slots import Slotted, extract, render


def values_of(slotted: Slotted):
    return [None] * slotted.slots.count("p") + list(slotted.literals)


@given(STATEMENTS)
def test_what_is_rendered_extracts_again_and_is_the_same_statement(text):
    slotted = extract(text)
    rendered, parameters = render(slotted.sql, slotted.slots, values_of(slotted))
    assert extract(rendered) == slotted
    assert len(parameters) == slotted.slots.count("p")
    assert fingerprint(rendered) == fingerprint(text)


@given(st.one_of(STATEMENTS, BROKEN), st.integers(0, 200))
def test_any_text_comes_back(text, cut):
    slotted = extract(text[:cut])
    rendered, _ = render(slotted.sql, slotted.slots, values_of(slotted))
    assert extract(rendered) == slotted


@given(STATEMENTS, st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_any_value_can_stand_in_a_slot(text, value):
    slotted = extract(text)
    rendered, _ = render(slotted.sql, slotted.slots, [value] * len(slotted.slots))
    assert extract(rendered).literals == (value,) * len(slotted.literals)


@given(STRINGS)
def test_strings_mean_what_was_put_in(literal):
    value = extract(f"select {literal}").literals[0]
    assert extract(f"select {literal}, 1").literals == (value, "1")
    assert "\0" not in value


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'it''s'", "it's"),
        ("'a\\b'", "a\\b"),
        (r"E'\'\n\\\x41\101\u00e9\U0001F600'", "'\n\\AA\u00e9\U0001f600"),
        (r"E'\xc3\xa9'", "é"),
        (r"E'\uD83D\uDE00'", "\U0001f600"),
        (r"U&'d\0061t\+000061 \\ '''", "data \\ '"),
        ("U&'d!0061' UESCAPE '!'", "da"),
        ("$x$it's $$ \\n$x$", "it's $$ \\n"),
        ("'a' -- it's\n 'b'", "ab"),
        ("E'a\\n'\n'\\t'", "a\n\t"),
        ("N'x'", "x"),
        ("-5", "-5"),
        ("- 5", "-5"),
        ("+5", "5"),
        ("- - 5", "5"),
        ("007", "7"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("0b11", "3"),
        ("1_000.5", "1000.5"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("1e5", "1e5"),
        ("X'1F'", "X'1F'"),
        ("X'''", "X''"),
        ("b'1' -- it's\n '0'", "b'10'"),
        ("'unterminated", "unterminated"),
        ("E'cut \\", "cut \\"),
    ],
)
def test_decoded(literal, value):
    assert extract(f"select {literal}").literals == (value,)


def test_parameters_keep_their_numbers_and_literals_follow():
    slotted = extract("SELECT $2, 'a', -1, NULL, true, B'1' FROM t WHERE x = $1 -- 'no'\n;")
    assert slotted == Slotted(
        sql="select $2, $3, $4, null, true, $5 from t where x = $1",
        slots="ppsnb",
        literals=("a", "-1", "B'1'"),
    )
    sql, parameters = render(slotted.sql, slotted.slots, ["u", None, None, "-2", "B'0'"])
    assert sql == "select $2, NULL, -2, null, true, B'0' from t where x = $1"
    assert parameters == ("u", None)


@pytest.mark.parametrize(
    "sql",
    [
        "select interval '1 day', date '2020-01-01', timestamp(3) with time zone 'now'",
        "select interval '1' day, interval '1-2' year to month, interval '5' second(3)",
        "select x::varchar(40), x::numeric(10, -2), cast(x as char(3)), x::interval(3) from t",
        "select x at time zone 'UTC', extract('year' from x), f(a => 1, b := 2) from t",
        "select * from t where x like 'a!%' escape '!' order by 1 fetch first 5 rows only",
        "select a[1:2], a[-1], (b).c, d.* from t where e between -1 and - 2",
        "select a - -1, a--1\n- 1, -a, -(-1), 2 - -$1 from t",
        "insert into t values (default, -1, array['x', null]::text[], row(1, 'a'))",
        "select a$1, \"$1 'x'\", b from t where c = 1",
        "select data ? 'a', data ?| array['b'], data #>> '{a,b}', data @> '{}' from t",
    ],
)
def test_whole_statements_parse_and_come_back(sql):
    slotted = extract(sql)
    assert slotted.literals
    pgparse.parse(slotted.sql)
    rendered, _ = render(slotted.sql, slotted.slots, values_of(slotted))
    pgparse.parse(rendered)
    assert extract(rendered) == slotted


def test_lengths_of_types_are_no_values():
    slotted = extract("select 'a'::varchar(40), $1::numeric(10, 2), substr('abc', 1)")
    assert slotted.sql == "select $2::varchar(40), $1::numeric(10, 2), substr($3, $4)"


def test_absurd_parameter_numbers_are_no_slots():
    assert extract("select $99999999, $0, $1").slots == "p"


def test_a_wrong_number_of_values_is_said():
    with pytest.raises(ValueError, match="1 values for 2 slots"):
        render("select $1, $2", "pp", ["a"])
