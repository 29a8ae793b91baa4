"""What stands behind a decimal point: drawn anew from the third place on, in its order and its length."""

import json
import re
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_log import Log

from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from replay import bundle
from replay.capture import capture
from replay.capture.scrub import Scrubber

TODAY = date(2026, 3, 1)
SCRUBBER = Scrubber(b"a key", frozenset(), TODAY)
LATITUDES = ("48.137154", "-33.868820", "52.520007", "1.3520830078125", "0.127758")
EMBEDDING = [round((-1) ** n * (0.01234 + n * 0.001357), 6) for n in range(24)]


def token(text: str) -> str:
    return SCRUBBER.text(text)


def number(whole: int, digits: str) -> str:
    return f"{whole}.{digits}"


wholes = st.one_of(st.integers(0, 200), st.integers(0, 10**15))
signs = st.sampled_from(["", "-"])
digits = st.text("0123456789", min_size=1, max_size=22)
told = st.builds(str.__add__, digits, st.sampled_from("123456789"))  # no zero at the end


@settings(deadline=None)
@given(signs, wholes, digits)
@example("", 0, "000001")
@example("", 48, "9" * 18)
@example("-", 48, "9" * 19)
@example("", 7, "5" + "0" * 5000)
@example("", 7, "25" * 3000)
def test_length_first_place_and_what_is_short_stay(sign, whole, behind):
    before, _, found = token(sign + number(whole, behind)).partition(".")
    assert before == token(f"{sign}{whole}")
    assert len(found) == len(behind)
    assert found[0] == behind[0]
    assert bool(found.strip("0")) == bool(behind.strip("0"))
    if len(behind.rstrip("0")) <= 2:
        assert found == behind


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 20).flatmap(
        lambda n: st.lists(st.integers(0, 10**n - 1), min_size=2).map(
            lambda found: [f"{one:0{n}}" for one in found]
        )
    ),
    st.lists(wholes, min_size=1),
)
def test_numbers_of_as_many_places_keep_their_order(behind, whole):
    told = [one[:-1] + (one[-1].replace("0", "1")) for one in behind]
    numbers = sorted(
        (number(whole[at % len(whole)], one) for at, one in enumerate(told)), key=Decimal
    )
    found = [Decimal(token(one)) for one in numbers]
    assert found == sorted(found)
    negative = [Decimal(token(f"-{one}")) for one in numbers]
    assert negative == sorted(negative, reverse=True)


@settings(deadline=None)
@given(wholes, digits, st.integers(0, 9))
def test_numbers_of_one_place_keep_their_order_among_all(whole, behind, place):
    one, bound = token(number(whole, behind)), token(number(whole, str(place)))
    assert (Decimal(one) >= Decimal(bound)) == (int(behind[0]) >= place)


@settings(deadline=None)
@given(signs, st.integers(0, 10**6), told, st.integers(0, 5))
@example("", 100_000, f"{1:023}", 0)  # more digits than Decimal reckons with
def test_equal_numbers_have_equal_tokens(sign, whole, behind, zeros):
    one = sign + number(whole, behind)
    found = token(one)
    assert token(one + "0" * zeros) == found + "0" * zeros
    assert Decimal(token(f"{Decimal(one):e}")) == Decimal(found)
    if whole == 0:
        assert Decimal(token(one.replace("0.", ".", 1))) == Decimal(found)


@pytest.mark.parametrize("text", ["1.2345e-10", "-7.07e-05", "3.0001E-7"])
def test_small_numbers_keep_their_form(text):
    found = token(text)
    assert re.fullmatch(r"-?\d(\.\d+)?e-\d\d", found)
    assert found != text
    assert 0.35 < float(found) / float(text) < 2
    assert Decimal(found) == Decimal(token(f"{Decimal(text):f}"))


@settings(deadline=None)
@given(st.lists(st.builds(str.__add__, signs, st.builds(number, wholes, digits)), max_size=40))
def test_a_column_has_the_tokens_of_its_numbers(numbers):
    numbers += [one.replace("0.", ".") for one in numbers]
    raw = pa.array([one.encode() for one in numbers], pa.binary())
    assert SCRUBBER.column(raw).to_pylist() == [
        Scrubber(b"a key", frozenset(), TODAY).text(one) for one in numbers
    ]


def test_a_range_of_coordinates_holds_what_it_held():
    """As many of a city's places as before lie in a box around each of them."""
    places = [f"{48.05 + n * 0.000317:.6f}" for n in range(600)]
    tokens = [float(token(place)) for place in places]
    for at in range(40, 560, 20):
        low, high = (float(token(f"{float(places[at]) + by:.6f}")) for by in (-0.01, 0.01))
        held = sum(low <= one <= high for one in tokens)
        assert abs(held - 63) <= 3


def test_a_histogram_of_many_places_stays_in_order():
    bounds = ("0.1", "0.12", "0.1201", "0.121", "0.129", "0.13", "0.13000001", "NaN")
    column = ColumnProfile(
        name="n", type="float8", base_type="float8", not_null=True, histogram=bounds
    )
    table = TableProfile(schema="public", name="t", rows=9, pages=1, dead_rows=0, columns=(column,))
    profile = SchemaProfile(server_version=180000, tables=(table,), taken_at_us=10**15)
    for key in (b"a", b"b", b"c"):
        scrubbed = Scrubber(key, frozenset(), TODAY).profile(profile)
        *found, last = scrubbed.tables[0].columns[0].histogram
        assert last == "NaN"
        assert [float(one) for one in found] == sorted(float(one) for one in found)


@pytest.mark.parametrize("shape", ["[{}]", "{{{}}}"])
@pytest.mark.parametrize("between", [",", ", "])
def test_a_vector_keeps_its_length_and_neither_its_numbers_nor_their_places(shape, between):
    text = shape.format(between.join(map(str, EMBEDDING)))
    found = token(text)
    assert found == token(text)
    assert len(found) == len(text)
    numbers = [float(one) for one in found[1:-1].split(between)]
    signs = [one < 0 for one in numbers]
    assert sum(signs) == sum(one < 0 for one in EMBEDDING)
    assert signs != [one < 0 for one in EMBEDDING]
    assert not set(numbers) & set(EMBEDDING)
    other = token(shape.format(between.join(map(str, [*EMBEDDING[1:], 0.5]))))
    assert [float(one) < 0 for one in other[1:-1].split(between)] != [*signs[1:], False]


@pytest.mark.parametrize("text", ["[1.5,20.25]", "{1,2,3}", "(1.5,2.25)", "{" + "7," * 20 + "7}"])
def test_what_is_no_vector_is_its_elements(text):
    assert token(text) == text


def test_no_coordinate_and_no_embedding_is_in_a_workload(tmp_path):
    log = Log()
    for latitude in LATITUDES:
        log.ran(
            f"SELECT id FROM places WHERE lat > {latitude} AND at = point '({latitude},11.5755)'"
        )
        log.called("UPDATE places SET lat = $1 WHERE id = $2", f"'{latitude}'", "'7'")
    vector = json.dumps(EMBEDDING)
    log.called("SELECT id FROM texts ORDER BY meaning <-> $1 LIMIT 5", f"'{vector}'")
    log.ran(f"INSERT INTO texts VALUES (1, '{vector}', '{{\"v\": {vector}}}')")
    captured = capture([log.write(tmp_path / "a.json")], asked=None, key=b"k")
    path = tmp_path / "a.workload"
    bundle.write(path, captured.workload, None)
    words = " ".join(
        str(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else file.read_text()
        for file in sorted(path.iterdir())
    )
    assert "lat >" in words
    secret = [*LATITUDES, "11.5755", *map(str, EMBEDDING)]
    assert not [one for one in secret if one.partition(".")[2] in words]
