"""Scrubbing: the same token for the same value, in its form and order, and nothing of the value."""

import ipaddress
import json
import re
import uuid
from datetime import date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from replay.capture.scrub import Scrubber

TODAY = date(2026, 3, 1)
SCRUBBER = Scrubber(b"a key", frozenset({"queued", "in progress", "public.tasks_id_seq"}), TODAY)
OTHER = Scrubber(b"another key", frozenset(), TODAY)
WORD = re.compile(r"[^\W_]+")


def token(text: str) -> str:
    found = SCRUBBER.value(text)
    assert found is not None
    return found


@settings(deadline=None)
@given(st.text())
def test_tokens_are_functions_of_key_and_text(text):
    again = Scrubber(b"a key", frozenset(), TODAY)
    kept = {"queued", "in progress", "public.tasks_id_seq"}
    if not kept & {text, *WORD.findall(text)}:
        assert again.value(text) == token(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.from_regex(r"\A[a-zA-Z0-9é東]{4,12}\Z"), min_size=1, max_size=5), st.data())
@example(["1234", "5678"], None)
@example(["0E00"], None)
def test_no_word_survives_and_the_form_does(words, data):
    marks = st.sampled_from([" ", "@", "_", "-", ", ", "'", '"', "\n"])
    text = words[0] + "".join((data.draw(marks) if data else ".") + word for word in words[1:])
    if re.fullmatch(r"[A-Za-z]+|\d.*", text):
        text += "!x"  # SQL's own words, numbers and times have rules of their own
    found = token(text)
    assert [c for c in found if not (c.isalnum())] == [c for c in text if not c.isalnum()]
    for before, after in zip(WORD.findall(text), WORD.findall(found), strict=True):
        assert len(after) == len(before)
        says_nothing = len(before) < 4 or not before.strip("0eE")  # 0E00 is nought
        assert says_nothing or before != after
        assert [c.isdigit() for c in after] == [c.isdigit() for c in before]
    assert token(text.lower()) == found.lower()


@settings(deadline=None)
@given(st.integers(-(2**70), 2**70), st.integers(1, 2**40))
@example(9_999, 1)
@example(-10_000, 1)
@example(2**31 - 1, 1)
def test_integers_keep_their_order_and_small_ones_stay(value, step):
    low, high = int(token(str(value))), int(token(str(value + step)))
    assert low < high
    assert low == value or abs(value) > 9_999
    if abs(value) > 9_999:
        assert 1.0 < low / value < 1.51
        assert low != int(OTHER.value(str(value)) or 0) or abs(value) < 20_000


@settings(deadline=None)
@given(st.decimals(min_value=-(10**12), max_value=10**12, places=3), st.integers(1, 10**9))
def test_decimals_keep_their_order(value, step):
    higher = value + step
    assert float(token(f"{value:f}")) < float(token(f"{higher:f}"))


@settings(deadline=None)
@given(st.dates(date(1000, 1, 1), date(9990, 1, 1)), st.integers(1, 30))
def test_dates_move_in_order_and_take_their_time_of_day_along(day, step):
    later = day + timedelta(days=step)
    moved = date.fromisoformat(token(day.isoformat()))
    assert moved < date.fromisoformat(token(later.isoformat()))
    assert moved.year != day.year
    assert token(f"{day} 03:04:05.678+02") == f"{moved} 03:04:05.678+02"
    assert token(f'{{"at": "{day}T03:04:05Z"}}').endswith(f'"{moved}T03:04:05Z"}}')


def test_recent_times_keep_their_distance():
    noon = datetime.fromisoformat(token("2026-02-27 12:00:00+00"))
    assert datetime.fromisoformat(token("2026-02-25 12:30:00+00")) - noon == timedelta(
        days=-2, minutes=30
    )


@pytest.mark.parametrize(
    "text",
    [
        "queued",
        "in progress",
        "public.tasks_id_seq",
        "t",
        "false",
        "infinity",
        "NaN",
        "0",
        "-17",
        "9999.99",
        "0.000001",
        "1e-05",
        "03:04:05",
        "03:04:05.123456+02",
        "1 minute",
        "-3 days",
        "1 mon 2 days 03:04:05",
        "P1DT2H",
        "month",
        "UTC",
        "Europe/Berlin",
        "YYYY-MM-DD HH24:MI",
        "{}",
        "[]",
        "empty",
        "{queued,NULL,17}",
        "(,9999)",
        "0001-01-01",
        "",
    ],
)
def test_what_is_schema_or_sql_or_small_stays(text):
    assert token(text) == text


def test_null_stays_null():
    assert SCRUBBER.value(None) is None


@settings(deadline=None)
@given(st.uuids())
def test_a_uuid_is_the_same_wherever_it_stands(value):
    found = uuid.UUID(token(str(value)))
    assert found != value
    assert (found.version, found.variant) == (value.version, value.variant)
    assert token(f"{{{value},NULL}}") == f"{{{found},NULL}}"
    assert token(f'{{"id": "{value}"}}').endswith(f'"{found}"}}')


@settings(deadline=None)
@given(st.lists(st.none() | st.text() | st.integers().map(str), max_size=6))
def test_array_elements_are_values(elements):
    def quoted(element: str | None) -> str:
        if element is None:
            return "NULL"
        return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'

    tokens = [SCRUBBER.value(element) for element in elements]
    array = "{" + ",".join(map(quoted, elements)) + "}"
    assert token(array) == "{" + ",".join(map(quoted, tokens)) + "}"


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text() | st.floats(0, 1e6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), documents, min_size=1), st.booleans())
def test_json_stays_json_of_the_same_shape(document, ascii_only):
    def shape(value: object) -> object:
        if isinstance(value, dict):
            return [shape(one) for one in value.values()]
        if isinstance(value, list):
            return [shape(one) for one in value]
        return type(value).__name__ if not isinstance(value, (int, float)) else "number"

    scrubbed = json.loads(
        token(json.dumps(document, ensure_ascii=ascii_only)),
        object_pairs_hook=lambda pairs: {n: value for n, (_, value) in enumerate(pairs)},
    )
    assert shape(scrubbed) == shape(document)


def test_other_forms_stay_what_they_are():
    assert re.fullmatch(r"\\x[0-9a-f]{6}", token(r"\x00ffab"))
    assert token(r"\x00ffab") != r"\x00ffab"
    assert ipaddress.ip_address(token("192.168.7.9")).version == 4
    assert ipaddress.ip_network(token("10.2.0.0/16")).prefixlen == 16
    assert ipaddress.ip_address(token("2001:db8::ff00:42")).version == 6
    assert re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", token("08:00:2b:01:02:03"))
    low, high = token("[20000,30000)")[1:-1].split(",")
    assert (low, high) == (token("20000"), token("30000"))
    assert re.fullmatch(r"B'[01]{5}'", SCRUBBER.bits("B'10110'"))
    assert re.fullmatch(r"X'[0-9a-f]{3}'", SCRUBBER.bits("X'1Fa'"))


def test_short_words_are_permuted():
    codes = [a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz"]
    tokens = {token(f"{code}!") for code in codes}
    assert len(tokens) == len(codes)
    assert not tokens & {"", "!"}


def test_a_profile_has_the_tokens_that_parameters_have():
    column = ColumnProfile(
        name="name",
        type="text",
        base_type="text",
        not_null=True,
        default="'Marker'::text",
        common_values=("Alice Marker", "Bob"),
        common_fractions=(0.5, 0.2),
        histogram=("aaaa", "bbbb", "cccc", "dddd"),
    )
    number = ColumnProfile(
        name="n", type="bigint", base_type="int8", not_null=True, histogram=("1", "50000", "60000")
    )
    table = TableProfile(
        schema="public", name="t", rows=10, pages=1, dead_rows=0, columns=(column, number)
    )
    profile = SchemaProfile(server_version=180000, tables=(table,), taken_at_us=10**15)
    scrubbed = SCRUBBER.profile(profile)
    name, n = scrubbed.tables[0].columns
    assert name.common_values == (token("Alice Marker"), token("Bob"))
    assert name.default == "'Marker'::text"
    assert sorted(map(token, column.histogram)) == list(name.histogram)
    assert n.histogram == ("1", token("50000"), token("60000"))
    moved = date.fromisoformat(token("2026-02-28")) - date(2026, 2, 28)
    assert scrubbed.taken_at_us - profile.taken_at_us == moved // timedelta(microseconds=1)
