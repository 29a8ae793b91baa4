"""Scrubbing whole columns: the compiled way gives the tokens that the rule gives one by one."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.capture import forms
from replay.capture.scrub import KeepValues, Scrubber

TODAY = date(2026, 3, 1)
KEPT = frozenset({"queued", "in progress", "42", "Müller", "2026-01-01"})
# Pieces of values that make forms hard to tell, when they are put side by side.
PIECES = [
    *(
        "12",
        "1e5",
        "2e",
        "E",
        "0",
        "-5",
        "3.14",
        "99999",
        "123456789012",
        "23456789",
        "000123",
        "007",
    ),
    *("2026-03-01", "0001-01-01", "2026-02-30", " 12:00", "T12:00:00.5Z", "+05", "+05:30", ":30"),
    *(" ", "-", ".", "_", "%", "/24", ",", "{", "}", '"a"', "\\x00ff", "\\u00e9", "\\"),
    *(
        "day",
        "5days",
        "ago",
        "true",
        "t",
        "T",
        "Z",
        "P1D",
        "PT1H",
        "pt",
        "Mon",
        "YYYY-MM-DD",
        "Europe/",
    ),
    *(
        "Fábio",
        "東京",
        "MÜLLER",
        "İ",
        "ΑΣ",
        "\u017f",
        "\u212a",
        "١٢",
        "é",
        "Ⱥ",
        "𠀀",
        "ß",
        "queued",
        "Müller",
    ),
    *("deadbeefcafe", "550e8400-e29b-41d4-a716-446655440000", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    *(
        "4111111111111111",
        "4111 1111 1111 1111",
        "1.2.3.4",
        "O'Brien",
        "a@b.com",
        "x" * 30,
        "y" * 1001,
    ),
]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
    st.integers(-(10**15), 10**15).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map("{:f}".format),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.uuids().map(str),
)
SCRUBBERS = [Scrubber(b"a key", kept, TODAY) for kept in (frozenset[str](), KEPT)]


def column(values: list[str | None]) -> pa.BinaryArray:
    return pa.array([None if v is None else v.encode() for v in values], pa.binary())


@pytest.mark.parametrize("scrubber", SCRUBBERS)
@settings(deadline=None, max_examples=200)
@given(values=st.lists(st.none() | texts, max_size=40))
def test_a_column_has_the_tokens_of_its_values(scrubber, values):
    alone = [scrubber.value(value) for value in values]
    assert scrubber.column(column(values)).to_pylist() == alone


@pytest.mark.parametrize("scrubber", SCRUBBERS)
def test_words_of_sql_stay_in_a_column_too(scrubber):
    words = [
        *forms.WORDS.split("|"),
        *forms.UNITS.split("|"),
        "5daysago",
        "Etc/UTC",
        "1 Mon",
        *KEPT,
    ]
    words += [word.upper() for word in words]
    assert scrubber.column(column(words)).to_pylist() == [*map(scrubber.value, words)]


def test_a_part_of_a_column_is_scrubbed_alone():
    whole = column(["Fábio", "23456789", None, "Fábio"])
    expected = SCRUBBERS[0].column(whole).to_pylist()
    assert SCRUBBERS[0].column(whole.slice(1, 3)).to_pylist() == expected[1:]
    assert SCRUBBERS[0].column(whole.slice(0, 0)).to_pylist() == []


def test_kept_values_are_kept_by_columns():
    values = ["Fábio", None, "23456789"]
    assert KeepValues(b"a key", frozenset(), TODAY).column(column(values)).to_pylist() == values
