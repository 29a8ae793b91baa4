"""Quick look-up of templates: whatever hashes equate, the fingerprint equates too."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.capture.cells import NULL, Growing, bind
from replay.capture.extractor import Extractor
from replay.capture.formats.texts import Texts
from replay.capture.masks import hash_of
from replay.capture.messages import (
    BEGINS,
    ENDED,
    FETCHES,
    NOTHING,
    PREPARED,
    RAN,
    decoded,
    parameters,
    said,
)
from replay.capture.retell import calls
from replay.capture.templates import Templates
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import extract

# Pieces that make literals hard to find, when they are put side by side.
PIECES = [
    b"select",
    b"from t",
    b"where a =",
    b"in (1, 2)",
    b"in (3)",
    b"in (3, 'x', 4)",
    b"in(1, a, 2)",
    b"in (a, 1)",
    b"in",
    b"values",
    b"(1)",
    b"(1 , 2)",
    b"values (1, 2), (3, 4), (5, 'a')",
    b"values (f(1)) , (f(2))",
    b"(select 1)",
    b"order by 1,",
    b"order by",
    b"limit 10",
    b"having 7",
    b"'x'",
    b"'it''s'",
    b"'",
    b'"a b 1"',
    b'"it\'s"',
    b'"t1"',
    b'"',
    b'""',
    b'"a""1"',
    b"/* 'c */",
    b'/* "1 */',
    b"/* /* 1 */ */",
    b"/*",
    b"*/",
    b"-- x\n",
    b"-- it's 1\n",
    b"\n",
    b"E'\\''",
    b"e'1'",
    b"U&'1'",
    b"B'01'",
    b"x'1f'",
    b"N'1'",
    b"$$ 'b' $$",
    b"$1",
    b"$2",
    b"$3",
    b"$01",
    b"$12",
    b"in ($1)",
    b"in ($1, $2)",
    b"in ($1,$2 ,$3)",
    b"in ($2, $3)",
    b"in ($1, $1)",
    b"in ($2, $1)",
    b"in ($1, 1)",
    b"values ($1, $2), ($3, $4)",
    b"$q$",
    b"$q1$",
    b"12",
    b"1.5",
    b".5",
    b"1.",
    b"1e5",
    b"1e-5",
    b"0x1F",
    b"1_000",
    b"-3",
    b"- 3",
    b"t1",
    b"t1.c2",
    b"1a",
    b",",
    b";",
    b"(",
    b")",
    b"[1]",
    b"null",
    b"'--'",
    b"'/*'",
    b"'*/'",
    b"/*traceparent='00-1'*/",
    b"/*a='1',b='%27'*/",
    b"\\",
    b"\0",
    b"'\0'",
    b"\xe9",
    b"\xe91",
    b"'\xe9'",
    "é1".encode(),
    b"interval '1'",
    b"date '2026-01-01'",
    b"::int4",
    b"'1'::text",
]
pieces = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8)
texts = st.builds(bytes.join, st.sampled_from([b" ", b" ", b""]), pieces)


def looked_up(templates: Templates, texts: list[bytes]) -> list[int]:
    """Template numbers of texts that stand behind one another."""
    return templates.numbers_of(Texts.of(pa.array(texts, pa.binary()))).tolist()


def hashed(text: bytes) -> tuple[int, int]:
    data = np.frombuffer(text, np.uint8)
    room, none = np.empty(data.size, np.uint8), np.empty((0, 3), np.int64)
    one, other, _ = hash_of(data, np.uint64(0), np.uint64(data.size), none, room)
    return int(one), int(other)


@settings(deadline=None, max_examples=600)
@given(st.lists(texts, min_size=2, max_size=40))
def test_equal_hashes_are_equal_templates(found):
    by_hash: dict[tuple[int, int], str] = {}
    for text in found:
        identity = fingerprint(decoded(text)).id
        assert by_hash.setdefault(hashed(text), identity) == identity, text


@settings(deadline=None, max_examples=300)
@given(st.lists(texts, min_size=2, max_size=40), st.integers(1, 40))
def test_quick_look_up_finds_what_the_fingerprint_says(found, block):
    templates = Templates()
    for _ in range(2):
        for at in range(0, len(found), block):
            part = found[at : at + block]
            for text, number in zip(part, looked_up(templates, part), strict=True):
                assert templates.known[number].id == fingerprint(decoded(text)).id, text
    assert len({known.id for known in templates.known}) == len(templates.known)


@settings(deadline=None, max_examples=300)
@given(st.lists(texts, min_size=2, max_size=30))
def test_literals_are_those_that_a_scan_takes_out(found):
    quick = Extractor()
    texts = [decoded(text).encode() for text in found * 2]
    ends = np.cumsum([0, *map(len, texts)])
    for part in (slice(0, len(found)), slice(None), slice(len(found), None)):
        data = Growing(np.frombuffer(b"".join(texts), np.uint8))
        taken = quick(data, np.stack((ends[:-1], ends[1:]), 1)[part])
        values = data.column(taken.cells).to_pylist()
        for row, text in enumerate(texts[part]):
            shape, expected = taken.shapes[taken.shape[row]], extract(text.decode())
            assert (shape.sql, shape.slots) == (expected.sql, expected.slots), text
            own = values[taken.first[row] : taken.first[row + 1]]
            literals = [None] * shape.parameters + [one.encode() for one in expected.literals]
            assert own == literals, text


@settings(deadline=None)
@given(st.integers(0, 10**6), st.from_regex(r"\A[^'\\\0]{0,20}\Z"), st.integers(0, 10**6))
def test_statements_that_differ_in_literals_have_one_hash(number, text, other):
    sql = f"SELECT a1 FROM t WHERE b = {number} AND c = '{text}' /*id='{other}'*/".encode()
    assert hashed(sql) == hashed(b"SELECT  a1 FROM t WHERE b = 7 AND c = 'x' /*id='8'*/")


MESSAGE = re.compile(
    rb"(?:duration: (?P<ms>\d+\.\d{3}) ms(?P<bare>\Z|(?=  )))?(?:(?<=ms)  )?"
    rb"(?:(?P<simple>statement: )|(?P<call>execute|bind|parse) (?P<name>(?:(?!: ).)*): )?(?P<sql>.*)",
    re.DOTALL,
)
STARTS = [b"", b"duration: 1.500 ms", b"duration: 0.000 ms", b"duration: 123456.789 ms"]
STARTS += [b"duration: 1 ms", b"duration: ", b"duration: 1.500 s"]
WORDS = [b"statement: ", b"execute <unnamed>: ", b"execute s1/c: ", b"execute s1: "]
WORDS += [b"execute %s: " % (b"n" * 63), b"execute %s/%s: " % (b"n" * 63, b"p" * 63)]
WORDS += [
    b"bind s1: ",
    b"parse <unnamed>: ",
    b"execute fetch from s1/c: ",
    b"plan:\n",
    b"",
    b"stat",
]
ENDS = [b"SELECT 1", b"SELECT ': x'", b"", "é".encode(), b"\xe9", b"x" * 100, b"a: b"]
messages = st.builds(
    lambda start, gap, word, end: start + gap + word + end,
    st.sampled_from(STARTS),
    st.sampled_from([b"  ", b"  ", b"", b" "]),
    st.sampled_from(WORDS),
    st.sampled_from(ENDS),
)


def expected(message: bytes) -> tuple[int, int, bytes]:
    """Kind, duration in µs and SQL of a message, told by a pattern; what is odd is nothing."""
    found = re.match(rb"duration: (\d+)\.(\d{3}) ms(?:  |\Z)", message)
    if found is None:
        duration_us, rest = 0, message
        if message.startswith(b"duration: "):
            return NOTHING, 0, b""
    else:
        duration_us, rest = int(found[1] + found[2]), message[found.end() :]
        if found.end() == len(message) and not message.endswith(b"  "):
            return ENDED, duration_us, b""
    if rest.startswith(b"statement: "):
        return (RAN if found else BEGINS), duration_us, rest[11:]
    if rest.startswith(b"execute fetch from "):
        return (NOTHING if found else FETCHES), 0, b""
    if rest.startswith(b"execute "):
        return (RAN if found else BEGINS), duration_us, rest.partition(b": ")[2]
    if found and rest.startswith((b"bind ", b"parse ")):
        return PREPARED, duration_us, rest.partition(b": ")[2]
    return NOTHING, 0, b""


def named(message: bytes) -> bytes | None:
    """Name of a message's prepared statement, by the pattern."""
    name = MESSAGE.fullmatch(message)["name"]
    return name if name is None else b"" if name == b"<unnamed>" else name.partition(b"/")[0]


def called(message: bytes) -> tuple[bytes | None, bytes]:
    """The same and its SQL, as they are told when it is read again."""
    names, sql = np.zeros((1, 2), np.int64), np.zeros((1, 2), np.int64)
    calls(np.frombuffer(message, np.uint8), np.array([[0, len(message)]]), names, sql)
    begin, end = names[0].tolist()
    return (message[begin:end] if begin >= 0 else None), message[sql[0, 0] : sql[0, 1]]


@settings(deadline=None, max_examples=300)
@given(st.lists(messages, min_size=1, max_size=20))
def test_messages_say_what_a_pattern_says(found):
    kinds, durations, begins = said(Texts.of(pa.array(found, pa.binary())))
    for place, message in enumerate(found):
        kind, duration_us, sql = expected(message)
        assert kinds[place] == kind, message
        if kind != NOTHING:
            assert durations[place] == duration_us, message
        if kind in (RAN, BEGINS, PREPARED):
            at = sum(map(len, found[:place]))
            assert message[begins[place] - at :] == sql, message
            assert called(message) == (named(message), sql), message


def test_messages_of_a_part_of_an_array_are_its_own():
    whole = pa.array([b"duration: 1.000 ms  statement: A", b"statement: B", b"x"], pa.binary())
    kinds, _, begins = said(Texts.of(whole.slice(1, 2)))
    assert kinds.tolist() == [BEGINS, NOTHING]
    assert begins[0] == len("duration: 1.000 ms  statement: Astatement: ")
    assert [len(column) for column in said(Texts.of(whole.slice(0, 0)))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "Parameters: $1 = 'it''s', $2 = NULL, $3 = ',\n$4 = ''x'''",
            {1: "it's", 2: None, 3: ",\n$4 = 'x'"},
        ),
        ("unnamed portal with parameters: $1 = '7'", {1: "7"}),
        ("parameters: $1 = ''", {1: ""}),
        ("parameters: none", {}),
        ("", {}),
        ("Parameters: $1 = 'cut o", {}),
    ],
)
def test_parameters_are_decoded(text, values):
    assert parameters(text) == values


def test_texts_that_are_seen_again_cost_no_fingerprint(monkeypatch):
    templates = Templates()
    texts = [b"SELECT %d FROM t" % number for number in range(100)] + [b"SELECT $1"] * 10
    first = looked_up(templates, texts)
    monkeypatch.setattr("replay.capture.templates.fingerprint", None)
    assert looked_up(templates, texts) == first
    assert len(templates.known) == 2


@pytest.mark.parametrize(
    ("texts", "differ"),
    [
        ([f"SELECT a FROM t WHERE b IN ({', '.join('7' * n)})" for n in range(1, 50)], 1),
        (["INSERT INTO t VALUES " + ", ".join(["(1, 'x')"] * n) for n in range(1, 50)], 1),
        ([f"SELECT a, b FROM t ORDER BY a, {n}" for n in (1, 2, 22)], 3),
        ([f"SELECT a FROM t ORDER BY a LIMIT {n}" for n in range(1, 50)], 1),
        (["SELECT f(1)", "SELECT f(1, 2)", "SELECT f(1, 2, 3)"], 3),
        (["SELECT a IN (b, 1)", "SELECT a IN (b, 1, 2)"], 2),
        (
            [
                f"SELECT $1 IN ({', '.join(f'${at}' for at in range(2, n + 2))}), ${n + 2}"
                for n in range(1, 50)
            ],
            1,
        ),
        (["SELECT $1 IN ($2, $3), $4", "SELECT $1 IN ($2), $3", "SELECT $1 IN ($2), $2"], 2),
    ],
)
def test_lists_of_any_length_cost_one_fingerprint(monkeypatch, texts, differ):
    asked = []

    def counted(text):
        asked.append(text)
        return fingerprint(text)

    monkeypatch.setattr("replay.capture.templates.fingerprint", counted)
    numbers = looked_up(Templates(), [text.encode() for text in texts])
    assert len(asked) == len(set(numbers)) == differ


def test_a_table_of_hashes_that_is_full_starts_anew(monkeypatch):
    monkeypatch.setattr("replay.capture.templates._ROOM_AT_MOST", 1 << 15)
    templates = Templates()
    texts = [b"SELECT c%d FROM t" % number for number in range(20_000)]
    for at in range(0, len(texts), 1000):
        assert looked_up(templates, texts[at : at + 1000]) == list(range(at, at + 1000))
    assert looked_up(templates, texts[::100]) == list(range(0, 20_000, 100))
    assert len(templates.known) == 20_000


LISTS = st.builds(
    lambda head, parts, end: head + ", ".join(f"${n} = {value}" for n, value in parts) + end,
    st.sampled_from(["Parameters: ", "parameters: ", "extended query with parameters: ", "", "x"]),
    st.lists(
        st.tuples(
            st.integers(1, 12),
            st.sampled_from(["NULL", "''", "'a'", "'it''s'", "'\n, $2 = ''x'''", "'ü", "N", ""]),
        ),
        max_size=6,
        unique_by=lambda part: part[0],  # a server lists each once
    ),
    st.sampled_from(["", "", ", ", ",", "'", " $1 = 'x'"]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(LISTS, st.integers(0, 12)), min_size=1, max_size=8), st.booleans())
def test_parameters_by_columns_are_those_of_each_text(found, in_order):
    if in_order:
        listed = ", ".join(f"${n} = '{n}'" for n in range(1, 12))
        found = [(f"Parameters: {listed}", wanted) for _, wanted in found]
    texts = [text.encode() for text, _ in found]
    wanted = np.array([number for _, number in found])
    ends, first = np.cumsum([0, *map(len, texts)]), np.concatenate(([0], np.cumsum(wanted)))
    data = Growing(np.frombuffer(b"".join(texts), np.uint8))
    cells = np.full((first[-1], 3), (0, 0, NULL))
    there = bind(data, np.stack((ends[:-1], ends[1:]), 1), first, wanted, cells)
    values = [None if v is None else v.decode() for v in data.column(cells).to_pylist()]
    for row, (text, count) in enumerate(found):
        expected = parameters(text)
        own = values[first[row] : first[row + 1]]
        assert own == [expected.get(number) for number in range(1, count + 1)], text
        told = all(number in expected for number in range(1, count + 1))
        assert (there[row] == count) == told, text
