"""jsonlog and CloudNativePG's: fields, damage, encodings, zones; any chunking."""

import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lines import STARTED, blocks, cloudnativepg_line, csv_line, json_line, rows

from replay.capture.formats import Format, Hints, csvlog, recognise
from replay.capture.formats.cloudnativepg import CloudNativePG
from replay.capture.formats.columns import Columns
from replay.capture.formats.jsoncells import split
from replay.capture.formats.jsonlines import parse
from replay.capture.formats.jsonlog import DIALECT, JsonLog
from replay.capture.messages import decoded

FORMATS = {
    "jsonlog": (json_line, JsonLog()),
    "CloudNativePG": (cloudnativepg_line, CloudNativePG()),
}
TEXT = 'a "quoted" text,\nwith\ttabs, é and \\ {"timestamp":"'


def parsed(data: bytes, log_format: Format) -> Columns:
    return log_format.parse(memoryview(data))


@pytest.fixture(params=FORMATS)
def made(request):
    """A maker of lines, and the format that reads them."""
    return FORMATS[request.param]


def test_it_is_known_and_gives_what_csvlog_gives(made):
    line, log_format = made
    fields = {"message": TEXT, "detail": "d", "context": "c", "statement": "s"}
    known = recognise(line(**fields) * 2, Hints())
    assert known is not None
    assert known.name == log_format.name
    found = rows(parsed(line(**fields) * 2, pickle.loads(pickle.dumps(known))))
    csv_known = csvlog.recognise(csv_line(**fields), Hints())
    assert csv_known is not None
    (expected,) = rows(csv_known.parse(memoryview(csv_line(**fields))))
    for row in found:
        assert row | {"sqlstate": row["sqlstate"] or b"00000"} == expected


def test_absent_fields_are_empty():
    line = {"timestamp": "2026-03-01 12:10:00.123 UTC", "session_id": "69a42c40.7b2"}
    (row,) = rows(parsed(json.dumps({**line, "line_num": 1}).encode(), JsonLog()))
    assert {name for name, value in row.items() if value} == {"session", "line_num", "at_us"}


def test_bounds_are_those_of_lines(made):
    line, log_format = made
    data = line() + b"\n" + line(message="last")
    found = parsed(data, log_format)
    assert found.begin.tolist() == [0, len(line()) + 1]
    assert found.end.tolist() == [len(line()), len(data)]
    assert log_format.cut(memoryview(data)[:-1], whole_file=False) == len(line()) + 1
    assert log_format.cut(memoryview(data)[: len(line()) - 1], whole_file=False) == 0
    assert log_format.cut(memoryview(data)[:-1], whole_file=True) == len(data) - 1


def test_bad_lines_are_told_and_their_neighbours_are_read(made):
    line, log_format = made
    strange = {"jsonlog": "JSON, but no record of jsonlog"}.get(
        log_format.name, "line of another program than PostgreSQL"
    )
    damages = [
        (line()[:80] + b"\n", "line is no valid JSON"),
        (line()[:80], "line is torn"),
        (b'{"some":"thing"}\n', strange),
        (line(timestamp="yesterday"), strange),
        (line(query_id=str(2**63)), strange),
        (b"\0" * 99, "NUL bytes between records"),
    ]
    for damage, reason in damages:
        before, after = line(message="before") * 3, line(message="after") * 3
        found = parsed(before + damage + after, log_format)
        assert found.message.to_pylist() == [b"before"] * 3 + [b"after"] * 3
        assert [(b.offset, b.reason, b.cut_off) for b in found.broken] == [
            (len(before), reason, False)
        ]
        known = recognise(damage + after, Hints())
        assert known is not None
        assert sum(map(len, blocks(before + damage + after, known, 300))) == 6


def test_a_log_that_breaks_off_says_so(made):
    line, log_format = made
    (broken,) = parsed(line() + line()[:100], log_format).broken
    assert (broken.offset, broken.reason, broken.cut_off) == (len(line()), "line is cut off", True)
    assert len(parsed(line() + line()[:-1], log_format)) == 2


def test_lines_in_any_encoding_are_good_records(made):
    line, log_format = made
    latin = line(message="caf#").replace(b"#", b"\xe9")
    utf = line(message="café")
    found = parsed(latin + utf + line(), log_format)
    assert not found.broken
    assert list(map(decoded, found.message.to_pylist()))[:2] == ["café"] * 2


def test_a_long_first_record_is_known_by_its_beginning(made):
    line, log_format = made
    known = recognise(line(message="x" * 100_000)[: 1 << 16], Hints())
    assert known is not None
    assert known.name == log_format.name


@pytest.mark.parametrize(
    ("zone", "hours"), [("CET", 1), ("-03", -3), ("IST", 5.5), ("UTC", 0)], ids=str
)
def test_a_time_zone_is_learned_from_the_sessions_start(made, zone, hours):
    line, log_format = made
    started = datetime.fromtimestamp(STARTED, UTC)
    local = (started + timedelta(hours=hours)).replace(tzinfo=None)
    told = line(timestamp=f"{local}.250 {zone}", session_start=f"{local} {zone}")
    (at_us,) = parsed(told, log_format).at_us.tolist()
    assert at_us == STARTED * 1_000_000 + 250_000


def test_what_holds_no_record_is_not_known():
    for head in (b"", b"{}\n", b'{"timestamp":"now"}\n', b'{"level":"info","logger":"x"}\n'):
        assert recognise(head, Hints()) is None
        for _, log_format in FORMATS.values():
            assert len(parsed(head, log_format)) == 0


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(deadline=None)  # the first call compiles
@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.tuples(TEXTS, TEXTS, st.integers(-(2**63), 2**63 - 1)), max_size=8),
    st.integers(1, 2000),
)
def test_records_come_back_whatever_the_chunking(name, records, size):
    line, log_format = FORMATS[name]
    lines = [line(message=a, user=b, query_id=str(number)) for a, b, number in records]
    parts = list(blocks(b"".join(lines), log_format, size))
    assert not any(part.broken for part in parts)
    found = [row for part in parts for row in rows(part)]
    assert [(r["message"], r["user"], r["query_id"]) for r in found] == [
        (a.encode(), b.encode(), number) for a, b, number in records
    ]
    for text, row in zip(lines, found, strict=True):
        assert rows(parsed(text, log_format)) == [row]


@settings(deadline=None)  # the first call compiles
@given(st.sampled_from(sorted(FORMATS)), st.integers(0, 900), st.binary(max_size=9))
def test_whatever_is_damaged_nothing_raises(name, at, scar):
    line, log_format = FORMATS[name]
    data = line() * 3
    found = parsed(data[:at] + scar + data[at + len(scar) :], log_format)
    joined = data[at : at + len(scar)].count(b"\n")
    assert len(found) + len(found.broken) >= 3 - scar.count(b"\n") - joined
    assert len(found) >= 1


AWKWARD = st.sampled_from(['"', "\\", "\\" * 63, "x" * 61, "\n", "\t", "é", "\0", '":"', ',"a":1'])
LINES = st.fixed_dictionaries(
    {
        "session_id": st.sampled_from(["69a42c40.7b2", "69a42c40.7b3", "6.1"]),
        "message": st.lists(AWKWARD | TEXTS, max_size=5).map("".join),
        "ps": st.sampled_from(["idle", 'a"b', "\\"]),
        "line_num": st.integers(0, 2**63 - 1),
        "query_id": st.integers(-(2**63), 2**63 - 1),
        "timestamp": st.sampled_from([f"2026-03-01 12:1{n}:00.{n}23 UTC" for n in range(9)]),
    },
    optional={
        "detail": st.just("parameters: $1 = '\\x00'"),
        "statement": TEXTS,
        "state_code": st.just("23505"),
        "remote_port": st.integers(1, 9),
        "user": st.sampled_from(["bob", "session_id"]),
        "another": st.integers(),
    },
)
BEHIND = b"".join(json_line(session_id=f"{n}.1", message="x" * 99) for n in range(3))


@settings(deadline=None)  # the first call compiles
@given(st.lists(LINES, max_size=12))
def test_records_that_are_like_others_of_their_session_are_read_as_by_a_parser_of_json(lines):
    block = memoryview(b"".join(json_line(**line) for line in lines) + BEHIND)
    assert split(block) is not None
    found, expected = JsonLog().parse(block), parse(block, DIALECT, JsonLog().zones)
    assert rows(found) == rows(expected)
    for bound in ("begin", "end"):
        assert getattr(found, bound).tolist() == getattr(expected, bound).tolist()


@settings(deadline=None)  # the first call compiles
@given(LINES, st.integers(0, 500), st.sampled_from([*b'"\\{}:, 0-e\n\0x']), st.booleans())
def test_a_damaged_record_is_refused_as_well_where_it_is_like_another(line, at, byte, put):
    whole = json_line(**line)
    at %= len(whole)
    damaged = whole[:at] + bytes([byte]) + whole[at + put :]
    alone, behind = split(memoryview(damaged + BEHIND)), split(memoryview(whole + damaged + BEHIND))
    assert (alone is None) == (behind is None)
    if alone is not None:
        again = rows(JsonLog().parse(memoryview(whole + damaged + BEHIND)))
        assert again[1:] == rows(JsonLog().parse(memoryview(damaged + BEHIND)))
