"""csvlog: every version's columns, every text, every way to be damaged, any chunking."""

import pickle
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_lines import STARTED, blocks, csv_line, csv_module_line, rows

from replay.capture.formats import Hints
from replay.capture.formats.columns import Columns
from replay.capture.formats.csvlog import CsvLog, recognise

FORMAT = CsvLog(columns=26)
TEXT = 'a "quoted" text,\nwith\r\ncommas; \'\'\n2026-03-01 12:10:00.123 UTC,"bob","shop",7,'


def parsed(data: bytes, log_format: CsvLog = FORMAT) -> Columns:
    return log_format.parse(memoryview(data))


def messages(columns: Columns) -> list[bytes]:
    return columns.message.to_pylist()


def reasons(columns: Columns) -> list[tuple[int, str]]:
    return [(broken.offset, broken.reason) for broken in columns.broken]


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.parametrize("columns", [23, 24, 26])
def test_each_versions_columns_are_known_and_read(columns):
    line = csv_line(columns, message=TEXT, detail="d", context="c", statement="s")
    known = recognise(line * 2, Hints())
    assert known is not None
    assert (known.name, known.columns) == ("csvlog", columns)
    (row, again) = rows(parsed(line * 2, pickle.loads(pickle.dumps(known))))
    assert row == again
    assert row == {
        "session": f"{STARTED:x}.7b2".encode(),
        "user": b"alice",
        "database": b"shop",
        "application": b"api",
        "backend_type": b"client backend" if columns > 23 else b"",
        "severity": b"LOG",
        "sqlstate": b"00000",
        "message": TEXT.encode(),
        "detail": b"d",
        "context": b"c",
        "statement": b"s",
        "at_us": us("2026-03-01 12:10:00.123Z"),
        "line_num": 1,
        "query_id": 42 if columns > 24 else 0,
    }


def test_a_record_stands_by_itself_where_it_is_said_to_stand():
    data = csv_line() + csv_line(message=TEXT) + b"junk\n" + csv_line(message="last")
    whole = parsed(data)
    assert len(whole) == 3
    bounds = zip(whole.begin.tolist(), whole.end.tolist(), strict=True)
    alone = [rows(parsed(data[begin:end])) for begin, end in bounds]
    assert [row for (row,) in alone] == rows(whole)


def test_a_text_with_time_stamps_is_one_record_and_is_never_cut():
    text = TEXT + "\n" + csv_line(message="inner").decode() * 3
    data = csv_line() + csv_line(message=text) + csv_line(message="last")
    assert not parsed(data).broken
    assert messages(parsed(data))[1:] == [text.encode(), b"last"]
    first, second = len(csv_line()), len(data) - len(csv_line(message="last"))
    for end in range(1, len(data) + 1):
        cut = FORMAT.cut(memoryview(data)[:end], whole_file=False)
        assert cut == max(whole for whole in (0, first, second, len(data)) if whole <= end)
    assert FORMAT.cut(memoryview(data), whole_file=True) == len(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (csv_line()[:-60], "record is torn"),  # inside a field, no quote is open
        (csv_line()[:150], "record is torn"),  # inside a quoted text
        (csv_line()[:-30] + b"\n", "record is torn"),
        (csv_line().replace(b",0,LOG", b",0,,LOG"), "record is torn"),
        (csv_line().replace(b'"alice"', b'"alice'), "record is torn"),
        (csv_line(query_id="9" * 20), "record is torn"),
        (b"LOG:  ending log output to stderr\n", "line is no record of csvlog"),
        (b"\0" * 500, "NUL bytes between records"),
        (b"\0" * 500 + b"\n", "NUL bytes between records"),
    ],
)
def test_what_is_damaged_is_told_and_its_neighbours_are_read(damage, reason):
    before, after = csv_line(message="before") * 3, csv_line(message=TEXT) * 3
    found = parsed(before + damage + after)
    assert messages(found) == [b"before"] * 3 + [TEXT.encode()] * 3
    assert reasons(found) == [(len(before), reason)]
    assert not found.broken[0].cut_off
    for size in (64, 300, 1000):
        parts = list(blocks(before + damage + after, FORMAT, size))
        assert [text for part in parts for text in messages(part)] == messages(found)
        assert sum(len(part.broken) for part in parts) == 1


def test_two_torn_records_one_behind_the_other():
    data = csv_line()[:150] + b"\n" + csv_line()[:170] + csv_line(message="whole")
    assert messages(parsed(data)) == [b"whole"]
    assert len(parsed(data).broken) == 2


def test_a_log_may_begin_and_end_in_the_middle_of_a_record():
    data = csv_line(message=TEXT)[170:] + csv_line() + csv_line(message=TEXT)[:-40]
    found = parsed(data)
    assert len(found) == 1
    assert reasons(found) == [
        (0, "half a record at the beginning"),
        (len(data) - len(csv_line(message=TEXT)) + 40, "record is cut off"),
    ]
    assert [broken.cut_off for broken in found.broken] == [False, True]
    known = recognise(data, Hints())
    assert known is not None
    assert sum(map(len, blocks(data, known, 100))) == 1


def test_a_record_behind_a_torn_one_without_its_newline_is_found():
    data = csv_line()[:100] + csv_line(message="next")
    assert messages(parsed(data)) == [b"next"]
    assert reasons(parsed(data)) == [(0, "record is torn")]


def test_a_record_keeps_its_nul_bytes_and_any_encoding():
    data = csv_line(message="a\0b") + csv_line(message="caf#").replace(b"#", b"\xe9")
    assert messages(parsed(data)) == [b"a\0b", b"caf\xe9"]
    assert messages(parsed(data + b"junk\n" + csv_line()))[:2] == [b"a\0b", b"caf\xe9"]


def test_blank_lines_and_windows_line_ends_are_no_fault():
    data = csv_line() + b"\n" + csv_line()[:-1] + b"\r\n" + csv_line()
    assert len(parsed(data)) == 3
    assert not parsed(data).broken
    damaged = parsed(data + b"junk\n" + data)
    assert (len(damaged), len(damaged.broken)) == (6, 1)


def test_words_for_severities_may_be_of_any_alphabet():
    data = csv_line().replace(b",LOG,", ",СООБЩЕНИЕ,".encode())
    made = recognise(data, Hints())
    assert made is not None
    assert made.parse(memoryview(data)).severity.to_pylist() == ["СООБЩЕНИЕ".encode()]


def test_after_an_upgrade_the_same_file_goes_on_with_more_columns():
    data = csv_line(23) * 2 + csv_line(24) * 2 + csv_line() * 2
    found = parsed(data, CsvLog(columns=23))
    assert not found.broken
    assert found.query_id.tolist() == [0, 0, 0, 0, 42, 42]
    assert found.backend_type.to_pylist() == [b""] * 2 + [b"client backend"] * 4
    assert parsed(csv_line() * 2, CsvLog(columns=23)).query_id.tolist() == [42, 42]


def test_a_record_of_50_mb_is_read_in_seconds():
    text = "x" * 50_000_000 + "\n" + 'y"' * 1_000_000
    data = csv_line() + csv_line(message=text) + csv_line()
    begun = time.process_time()
    found = list(blocks(data, FORMAT, 8 << 20))
    assert time.process_time() - begun < 5
    assert sum(map(len, found)) == 3
    assert any(text.encode() in messages(part) for part in found)
    known = recognise(csv_line(message=text)[: 1 << 16], Hints())
    assert known is not None


def test_one_bad_record_costs_its_block_no_more_than_seconds():
    data = csv_line() * 20_000 + csv_line()[:150] + csv_line() * 5_000
    begun = time.process_time()
    assert len(parsed(data)) == 25_000
    assert time.process_time() - begun < 2


def zoned(local: str, zone: str, started: str = "", start_zone: str = "", pid: int = 7) -> bytes:
    start = datetime.fromisoformat(started or "2026-03-01 12:09:36+00:00")
    shown = start.replace(tzinfo=None)
    return csv_line(
        timestamp=f"{local} {zone}",
        session_start=f"{shown} {start_zone or zone}",
        session_id=f"{int(start.timestamp()):x}.{pid}",
    )


def test_zones_are_learned_from_sessions_on_both_sides_of_a_clock_change():
    data = (
        zoned("2026-10-25 02:59:59.000", "CEST", "2026-10-25 01:00:00+02:00")
        + zoned("2026-10-25 02:00:00.500", "CET", "2026-10-25 01:00:00+02:00", "CEST")
        + zoned("2026-10-25 02:00:01.000", "CET", "2026-10-25 02:00:01+01:00")
    )
    expected = [
        us("2026-10-25 00:59:59Z"),
        us("2026-10-25 01:00:00.5Z"),
        us("2026-10-25 01:00:01Z"),
    ]
    assert parsed(data).at_us.tolist() == expected
    before_any = zoned("2026-10-25 02:00:00.500", "CET", "2026-10-25 01:00:00+02:00", "CEST")
    assert parsed(before_any).at_us.tolist() == [expected[1]]  # from CEST alone
    known = recognise(data, Hints())
    assert known is not None
    unlearnable = before_any.replace(b"CEST", b"XXXX")
    assert parsed(unlearnable, known).at_us.tolist() == [expected[1]]


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("+03", 3), ("-0330", -3.5), ("+05:45", 5.75), ("GMT", 0)]
)
def test_some_zones_speak_for_themselves(zone, hours):
    line = csv_line(timestamp=f"2026-03-01 12:00:00.001 {zone}", session_start="nothing")
    line = csv_line() + line.replace(b"nothing", b"2026-03-01 00:00:00 X")
    assert parsed(line).at_us.tolist()[1] == us("2026-03-01 12:00:00.001Z") - hours * 3600e6


def test_a_zone_that_nothing_tells_of_is_the_servers_or_else_utc():
    local = zoned("2026-07-01 12:00:00.000", "IST").replace(b"12:09:36", b"12:09:37")
    at = us("2026-07-01 12:00:00Z")
    assert parsed(local).at_us.tolist() == [at]
    for place, hours in (("Asia/Kolkata", 5.5), ("Europe/Dublin", 1), ("No/Where", 0)):
        known = recognise(local, Hints(log_timezone=place))
        assert known is not None
        assert parsed(local, known).at_us.tolist() == [at - hours * 3600e6]


def test_long_and_strange_zones_are_kept_apart():
    data = zoned("2026-03-01 13:00:00.000", "Longer_zone", "2026-03-01 13:00:00+01:00")
    data += zoned("2026-03-01 14:00:00.000", "Longer_zonf", "2026-03-01 14:00:00+02:00", pid=8)
    assert parsed(data).at_us.tolist() == [us("2026-03-01 12:00:00Z")] * 2


def test_what_is_no_csvlog_is_not_known():
    for head in (b"", b"a,b,c\n", b"2026-03-01 12:10:00.123 UTC [7] LOG:  x\n", b"\0" * 99):
        assert recognise(head, Hints()) is None
        assert len(parsed(head)) == 0


TEXTS = st.text(st.sampled_from("ab\",\n\r\0é'") | st.characters(codec="utf-8"), max_size=40)
INNER = st.sampled_from(
    ["", TEXT, *(f"\n{made().decode()}" for made in (csv_line, csv_module_line))]
)
RECORDS = st.lists(st.tuples(TEXTS, INNER, TEXTS, st.integers(-(2**63), 2**63 - 1)), max_size=8)


@settings(deadline=None)  # the first call compiles
@given(RECORDS, st.integers(1, 3000), st.sampled_from([csv_line, csv_module_line]))
def test_records_come_back_whatever_the_chunking(records, size, line):
    lines = [
        line(message=a + inner, statement=inner + b, user=b, query_id=str(number))
        for a, inner, b, number in records
    ]
    parts = list(blocks(b"".join(lines), FORMAT, size))
    assert not any(part.broken for part in parts)
    found = [row for part in parts for row in rows(part)]
    assert [(r["message"], r["statement"], r["user"], r["query_id"]) for r in found] == [
        ((a + inner).encode(), (inner + b).encode(), b.encode(), number)
        for a, inner, b, number in records
    ]
    for part, text in zip(parts, _texts(b"".join(lines), size), strict=True):
        for row, begin, end in zip(rows(part), part.begin, part.end, strict=True):
            assert rows(parsed(text[begin:end])) == [row]


def _texts(data: bytes, size: int) -> list[bytes]:
    """The blocks that `blocks` makes of it."""
    seen: list[bytes] = []

    class Seeing(CsvLog):
        def parse(self, block: memoryview) -> Columns:
            seen.append(bytes(block))
            return super().parse(block)

    list(blocks(data, Seeing(columns=26), size))
    return seen


SCARS = st.binary(max_size=6) | st.sampled_from([b'"', b"\n", b",", b"\0" * 9, csv_line()[:150]])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 200), SCARS), max_size=4))
def test_whatever_is_damaged_nothing_raises_and_every_whole_record_far_from_it_comes(scars):
    lines = [csv_line(message=f"{n} {TEXT}", line_num=str(n)) for n in range(1, 13)]
    data = b"".join(lines)
    for at, count, scar in scars:
        data = data[:at] + scar + data[at + count :]
    found = parsed(data)
    seen = {data[b:e] for b, e in zip(found.begin, found.end, strict=True)}
    intact = [line for line in lines if line in data]
    assert len(found) >= len(intact)
    assert all(any(line[:-1] in piece for piece in seen) for line in intact)
    assert (found.end[:-1] <= found.begin[1:]).all()
    assert sum(map(len, blocks(data, FORMAT, 500))) >= len(intact)
