"""Every type: a cell does not depend on its block, distinct points differ, known values stand."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from made_tables import column

from data_gen.cells import Cells, copy_rows
from data_gen.values import GENERATORS, generator_of
from data_gen.values.family import Wanted, fit

NOW_US = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
DISTINCT = 3000


def made(profile, distinct=DISTINCT, *, unique=False, **wanted):
    generator = generator_of(profile)
    return generator(
        Wanted(column=profile, distinct=distinct, unique=unique, key=7, now_us=NOW_US, **wanted)
    )


def texts(family, points):
    raw = Cells(family.values.encode(np.array(points, np.int64))).raw()
    return [family.values.decode(value) for value in raw]


def points_of(family, count=DISTINCT):
    if not family.bounds:
        return [point for point, _ in family.common]
    low, high = family.bounds[0], family.bounds[-1]
    return [low + (high - low) * n // (count - 1) for n in range(count)]


@pytest.mark.parametrize("base_type", sorted(GENERATORS))
def test_a_value_depends_on_its_point_alone(base_type):
    family = made(column("c", base_type))
    points = points_of(family)
    together = texts(family, points)
    assert together[::97] == [texts(family, [point])[0] for point in points[::97]]


NARROW = {"bool", "bit", "char", "_bool", "int2", "int4", "int8", "oid", "numeric", "date", "_int2"}


@pytest.mark.parametrize("base_type", sorted(set(GENERATORS) - NARROW))
def test_different_points_have_different_values(base_type):
    family = made(column("c", base_type), unique=True)
    assert len(set(texts(family, points_of(family)))) == DISTINCT


TOKENS = {
    "int4": ["-7", "12", "88000"],
    "numeric": ["-12.50", "0.05", "99.90"],
    "float8": ["-1.5", "0.25", "3.75"],
    "float4": ["0.1", "0.5", "7"],
    "bool": ["t"],
    "timestamptz": ["2025-03-01 10:00:00+00", "2025-03-02 11:30:00+00"],
    "timestamp": ["2025-03-01 10:00:00", "2025-03-02 11:30:00.5"],
    "date": ["2024-02-29", "2025-01-01"],
    "time": ["10:00:00", "23:59:59.5"],
    "interval": ["00:30:00", "1 day 02:00:00", "2 mons"],
    "text": ["free", "développeur", ""],
    "bpchar": ["AB ", "CD "],
    "json": ['{"a": 1}', '{"b": [2, "x"]}'],
    "jsonb": ['{"a": 1}', "[]"],
    "uuid": ["c6a3e5b0-65b1-4a59-8d1a-1c2d3e4f5a6b"],
    "bytea": ["\\x00ff10", "\\x"],
    "inet": ["10.0.0.1", "192.168.0.0/24", "2001:db8::1"],
    "cidr": ["192.168.0.0/24"],
    "_text": ['{a,NULL,"b, c"}', "{}"],
    "_int4": ["{1,2,3}", "{}"],
}
EQUIVALENT = {
    "2025-03-01 10:00:00+00": "2025-03-01 10:00:00+00",
    "00:30:00": "0 days 00:30:00.000000",
    "1 day 02:00:00": "1 days 02:00:00.000000",
    "2 mons": "60 days 00:00:00.000000",
    "2025-03-02 11:30:00.5": "2025-03-02 11:30:00.500000",
    "10:00:00": "10:00:00.000000",
    "23:59:59.5": "23:59:59.500000",
    '{a,NULL,"b, c"}': '{"a",NULL,"b, c"}',
    "{1,2,3}": '{"1","2","3"}',
}


@pytest.mark.parametrize("base_type", sorted(TOKENS))
def test_common_values_stand_as_they_are(base_type):
    tokens = TOKENS[base_type]
    fractions = tuple(0.1 for _ in tokens)
    profile = column(
        "c", base_type, common_values=tuple(tokens), common_fractions=fractions, n_distinct=50
    )
    family = made(profile)
    found = texts(family, [point for point, _ in family.common])
    assert sorted(found) == sorted(EQUIVALENT.get(token, token) for token in tokens)


def test_timestamps_and_dates_move_with_the_shift():
    day = 86_400_000_000
    for base_type, before, after in (
        ("timestamptz", "2025-03-01 10:00:00+00", "2025-03-04 10:00:00.000001+00"),
        ("date", "2025-03-01", "2025-03-04"),
    ):
        profile = column("c", base_type, common_values=(before,), common_fractions=(1.0,))
        family = made(profile, shift_us=3 * day + 1)
        assert texts(family, [family.common[0][0]]) == [after]


def test_times_keep_the_grain_of_the_values_seen():
    profile = column(
        "c", "timestamp", histogram=("2025-01-01 00:00:00", "2025-02-01 00:00:00"), n_distinct=-1.0
    )
    family = made(profile)
    assert {text[-8:] for text in texts(family, points_of(family, 20))} == {"00:00:00"}


@pytest.mark.parametrize(
    ("sample", "pattern"),
    [
        ([f"INV-{n:05}" for n in range(100, 9000, 77)], r"INV-\d{5}"),
        ([f"https://x.example/{n * 7919:08x}" for n in range(60)], r"https://x\.example/[0-9a-z]+"),
        ([f"+1-555-{n:04}" for n in range(0, 9000, 90)], r"\+1-555-\d+"),
    ],
)
def test_technical_text_keeps_its_shape_and_differs(sample, pattern):
    profile = column("reference", "text", histogram=tuple(sample), average_width=10)
    family = made(profile, unique=True)
    found = texts(family, range(DISTINCT))
    assert len(set(found)) == DISTINCT
    assert all(re.fullmatch(pattern, text) for text in found)


def test_json_in_a_shape_parses():
    sample = [json.dumps({"url": f"https://a.example/{n:04x}", "retry": n % 40}) for n in range(99)]
    for base_type in ("text", "json", "jsonb"):
        family = made(column("payload", base_type, histogram=tuple(sample)))
        documents = [json.loads(text) for text in texts(family, range(200, DISTINCT))]
        assert {tuple(document) for document in documents} == {("url", "retry")}


@pytest.mark.parametrize("name", ["email", "first_name", "company", "city", "url", "description"])
def test_named_text_is_unique_whatever_the_case(name):
    family = made(column(name, "text", average_width=24), 20_000, unique=True)
    found = texts(family, range(20_000))
    assert len({text.lower() for text in found}) == 20_000


def tsvector_bytes(text: str) -> int:
    """As it is stored: a header, and entries, letters and one position of each lexeme (ts_type.h)."""
    lexemes = re.findall(r"'([^']*)':\d+", text)
    size = 4 + sum(8 + len(lexeme) + len(lexeme) % 2 for lexeme in lexemes)
    return size + (1 if size + 1 <= 127 else 4)


def test_text_weighs_what_the_statistics_say_and_fits_its_type():
    for width in (6, 20, 90, 400):
        family = made(column("note", "text", average_width=width + 1))
        mean = np.mean([len(text) for text in texts(family, range(DISTINCT))])
        assert mean == pytest.approx(width, rel=0.25)
    for width in (60, 100, 177, 800, 2500):
        found = texts(made(column("words", "tsvector", average_width=width)), range(DISTINCT))
        mean = np.mean([tsvector_bytes(text) for text in found])
        assert mean == pytest.approx(width + 0.5, abs=1.5)
    short = column("note", "varchar", kind="character varying(12)", average_width=40)
    assert max(len(text) for text in texts(made(short), range(DISTINCT))) <= 12


@pytest.mark.parametrize("limit", [2**15 - 1, 2**31 - 1, 2**63 - 1])
def test_tokens_beyond_their_type_are_pressed_in_and_keep_their_order(limit):
    tokens = [n * limit * 3 // 2 // 1000 for n in range(-1000, 1001)]
    fitted = [fit(token, limit) for token in tokens]
    assert fitted == sorted(fitted)
    assert max(map(abs, fitted)) <= limit
    assert fit(limit // 2, limit) == limit // 2
    assert len(set(fitted)) > 1900


@pytest.mark.parametrize("base_type", sorted(GENERATORS))
def test_rows_are_laid_out_as_copy_binary_wants_them(base_type):
    family = made(column("c", base_type))
    null = np.arange(DISTINCT) % 7 == 3
    one = Cells(family.values.encode(np.array(points_of(family), np.int64)), null)
    other = Cells(one.pieces)
    wanted = b"".join(
        b"\0\2" + b"".join(map(field, values))
        for values in zip(one.raw(), other.raw(), strict=True)
    )
    assert bytes(copy_rows([one, other])) == wanted


def field(raw):
    return b"\xff\xff\xff\xff" if raw is None else len(raw).to_bytes(4, "big") + raw
