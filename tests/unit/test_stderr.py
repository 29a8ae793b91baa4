"""The stderr format: what PostgreSQL wrote comes back, whatever the prefix, the chunks and the text."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stderr import START_S, Report, rows, written

from replay.capture.formats.columns import NAMES, TEXTS, Hints
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.reports import CUT_OFF, NO_PREFIX, ORPHAN
from replay.capture.formats.stamps import Zones
from replay.capture.formats.stderr import Stderr, recognise
from replay.capture.formats.texts import Texts

DEBIAN = "%m [%p] %q%u@%d "


def parse(raw: bytes, prefix: str = DEBIAN, **options):
    return Stderr(Prefix(prefix), **options).parse(memoryview(raw))


def test_a_record_has_all_that_its_lines_say():
    error = Report(
        severity=b"ERROR",
        message=b'relation "x" does not exist at character 15',
        detail=b"one\ntwo",
        hint=b"none",
        context=b"SQL function",
        statement=b"SELECT *\n\tFROM x\n",
        sqlstate=b"42P01",
        query_id=-7,
    )
    prefix = "%m [%p] %l %e %c %Q %q%u@%d %a "
    raw = written(prefix, Report(lines=[3])) + written(prefix, error)
    first, second = rows(parse(raw, prefix))
    assert first["line_num"] == 3
    assert first["message"] == Report().message
    assert (first["application"], first["detail"]) == (b"web api", b"")
    assert second == {
        "begin": first["end"],
        "end": len(raw),
        "at_us": START_S * 1_000_000 + 4_123_000,
        "session": b"%x.%x" % (START_S, 4711),
        "line_num": 1,
        "query_id": -7,
        "user": b"app",
        "database": b"shop",
        "application": b"web api",
        "backend_type": b"",
        "severity": b"ERROR",
        "sqlstate": b"42P01",
        "message": b'relation "x" does not exist',
        "detail": b"one\ntwo",
        "context": b"SQL function",
        "statement": b"SELECT *\n\tFROM x\n",
    }


def test_columns_have_the_types_of_the_contract():
    for raw in (written(DEBIAN, Report()), b"", b"nonsense\n"):
        columns = parse(raw)
        for name in ("session", "user", "database", "application", "backend_type", "severity"):
            assert getattr(columns, name).type == NAMES
        assert columns.sqlstate.type == NAMES
        for name in ("message", "detail", "context", "statement"):
            assert Texts.of(getattr(columns, name)).arrow().type == TEXTS
            assert len(getattr(columns, name)) == len(columns)


def test_without_c_the_session_is_the_process_and_a_format_can_be_pickled():
    made = recognise(written(DEBIAN, Report()) * 9, Hints())
    assert made is not None
    assert made.name == "stderr with log_line_prefix '%m [%p] %q%u@%d '"
    again = pickle.loads(pickle.dumps(made))
    (row,) = rows(again.parse(memoryview(written(DEBIAN, Report(pid=0xABC)))))
    assert (row["session"], row["line_num"]) == (b"0.abc", 0)


@pytest.mark.parametrize("prefix", [DEBIAN, "%m [%p] u=%u,d=%d "])
def test_background_processes_are_named_so(prefix):
    raw = written(prefix, Report(session=False)) + written(prefix, Report())
    assert [row["backend_type"] for row in rows(parse(raw, prefix))] == [b"background", b""]


def test_unknown_names_are_empty():
    report = Report(user=b"[unknown]", database=b"[unknown]", application=b"[unknown]")
    (row,) = rows(parse(written("%m [%p] %u@%d,%a ", report), "%m [%p] %u@%d,%a "))
    assert (row["user"], row["database"], row["application"]) == (b"", b"", b"")
    assert row["backend_type"] == b""


def test_lines_of_two_processes_may_mix_where_the_prefix_has_the_process():
    one = written(DEBIAN, Report(pid=1, detail=b"of one")).splitlines(keepends=True)
    two = written(DEBIAN, Report(pid=2, detail=b"of two")).splitlines(keepends=True)
    columns = parse(one[0] + two[0] + one[1] + two[1])
    assert [row["detail"] for row in rows(columns)] == [b"of one", b"of two"]
    assert columns.broken == ()


def test_verbose_logs_have_the_sqlstate_in_the_message():
    raw = written(DEBIAN, Report(message=b"00000: duration: 1 ms"))
    raw += written(DEBIAN, Report(severity=b"ERROR", message=b"42P01: no x at character 3"))
    raw += written(DEBIAN, Report(message=b"duration: 2 ms"))  # of a session that is not
    assert [(row["sqlstate"], row["message"]) for row in rows(parse(raw))] == [
        (b"00000", b"duration: 1 ms"),
        (b"42P01", b"no x"),
        (b"", b"duration: 2 ms"),
    ]
    terse = written(DEBIAN, Report(severity=b"ERROR", message=b"LIMIT: exceeded"))
    assert [(row["sqlstate"], row["message"]) for row in rows(parse(terse))] == [
        (b"", b"LIMIT: exceeded")
    ]


def test_windows_line_ends_are_none_of_the_text():
    reports = [Report(message=b"duration: 1.000 ms"), Report(message=b"statement: SELECT 1,\n2")]
    raw = b"".join(written(DEBIAN, report) for report in reports)
    found = rows(parse(raw.replace(b"\n", b"\r\n")))
    assert [row["message"] for row in found] == [
        b"duration: 1.000 ms",
        b"statement: SELECT 1,\r\n2",
    ]


def test_a_translated_logs_failures_are_read():
    raw = written(DEBIAN, Report(message=b"Dauer: 0.123 ms  Anweisung: SELECT 1"))
    line = written(DEBIAN, Report(severity=b"FEHLER", message=b"Relation fehlt"))
    raw += line + line.replace(b"FEHLER:  Relation", b"ANWEISUNG:  SELECT")
    last = rows(parse(raw))[-1]
    assert (last["severity"], last["statement"]) == (b"ERROR", b"SELECT fehlt")


@pytest.mark.parametrize(
    ("zone", "timezone", "hours"),
    [
        (b"UTC", "Europe/Berlin", 0),
        (b"+02", "", 2),
        (b"-0330", "", -3.5),
        (b"CEST", "Europe/Berlin", 2),
        (b"CEST", "", 2),
        (b"IST", "Asia/Kolkata", 5.5),
        (b"XYZT", "", 0),
    ],
)
def test_zones(zone, timezone, hours):
    raw = written(DEBIAN, Report()).replace(b"UTC", zone)
    (row,) = rows(parse(raw, zones=Zones(timezone)))
    assert row["at_us"] == (START_S - hours * 3600) * 1_000_000 + 4_123_000


def test_a_zone_is_learned_from_the_session():
    prefix = "%m [%p] %s %c "
    raw = written(prefix, Report()).replace(b"UTC", b"XYZT")
    shifted = raw.replace(b"%x." % START_S, b"%x." % (START_S - 5 * 3600))
    (row,) = rows(parse(shifted, prefix))
    assert row["at_us"] == (START_S - 5 * 3600) * 1_000_000 + 4_123_000
    made = recognise(shifted * 9, Hints(log_line_prefix=prefix))
    assert made is not None
    assert made.zones.learned == ((b"XYZT", 5 * 3600),)


def test_epoch_and_whole_seconds():
    for prefix, at_us in (("%n [%p] ", 4_123_000), ("%t [%p] ", 4_000_000)):
        (row,) = rows(parse(written(prefix, Report()), prefix))
        assert row["at_us"] == START_S * 1_000_000 + at_us


def test_half_a_file_and_foreign_lines_are_broken_with_their_places():
    good = written(DEBIAN, Report())
    orphan = written(DEBIAN, Report(detail=b"x")).splitlines(keepends=True)[1]
    raw = b"\tFROM x\n" + orphan + good + b"java.lang.Error\n\tat Main\n" + good + b"\n" + good[:30]
    columns = parse(raw)
    assert [row["message"] for row in rows(columns)] == [Report().message] * 2
    assert [(b.offset, b.reason, b.cut_off) for b in columns.broken] == [
        (0, NO_PREFIX, False),
        (8, ORPHAN, False),
        (raw.index(b"java"), NO_PREFIX, False),
        (len(raw) - 30, CUT_OFF, True),
    ]


def test_a_record_that_is_cut_off_is_lost():
    raw = written(DEBIAN, Report(detail=b"parameters: $1 = 'x'"))
    second = raw.index(b"\n") + 1
    for size in range(1, len(raw)):
        columns = parse(raw[:size])
        if size == second:
            assert (len(columns), columns.broken) == (1, ())
            continue
        (broken,) = columns.broken
        assert (broken.reason, broken.cut_off) == (CUT_OFF, True)
        # Until its lead is there, what follows a record may be anything, and the record stays.
        unknown = second < size < raw.index(b"DETAIL:  ") + 9
        assert (len(columns), broken.offset) == ((1, second) if unknown else (0, 0))


def test_nul_bytes_and_other_encodings_come_back():
    text = b"caf\xe9 \x00 \xff\n\x00\n"
    (row,) = rows(parse(written(DEBIAN, Report(message=text))))
    assert row["message"] == text


def test_a_record_of_fifty_megabytes():
    text = (b"x" * 99 + b"\n") * (1 << 19)
    raw = written(DEBIAN, Report(message=text)) + written(DEBIAN, Report())
    made = Stderr(Prefix(DEBIAN))
    assert made.cut(memoryview(raw)[: 40 << 20], whole_file=False) == 0
    end = made.cut(memoryview(raw), whole_file=False)
    (row,) = rows(made.parse(memoryview(raw)[:end]))
    assert row["message"] == text


def test_other_formats_are_not_taken_for_stderr():
    csv = b'2024-05-01 10:00:00.123 UTC,"u","d",1,"[local]",66.1,1,"x",2024,3/1,0,LOG,00000,"m"\n'
    for head in (b"", b"\n", csv * 9, b'{"timestamp":"2024-05-01 10:00:00.123 UTC"}\n' * 9):
        assert recognise(head, Hints()) is None


TEXT = st.binary(max_size=40) | st.text("a\n\t 'é$%:", max_size=40).map(str.encode)
NAME = st.text("abZ-_.é", min_size=1, max_size=20).map(str.encode)
REPORT = st.builds(
    Report,
    message=TEXT.map(lambda text: b"m" + text + b"."),
    severity=st.sampled_from([b"LOG", b"ERROR", b"FATAL", b"WARNING"]),
    detail=TEXT.map(lambda text: text and b"d" + text),
    hint=TEXT,
    context=TEXT.map(lambda text: text and b"c" + text),
    statement=TEXT.map(lambda text: text and b"s" + text),
    at_ms=st.integers(0, 4_000_000_000_000),
    pid=st.integers(1, 4_194_304),
    user=NAME,
    database=NAME,
    application=st.text("ab Z-", max_size=60).map(lambda t: (t.strip() or "x").encode()),
    query_id=st.integers(-(1 << 63) + 1, (1 << 63) - 1),
    session=st.booleans(),
)
# Signs that no name has stand between the fields, so that they can be told apart.
SIGNS = st.sampled_from(["|", " | ", "#", "[", "] #", "%%", " ("])
FIELDS = st.lists(
    st.tuples(
        SIGNS,
        st.sampled_from(["", "-12", "9"]),
        st.sampled_from("udarhLbpPcleQxvsi"),
    ),
    unique_by=lambda field: field[2],
    max_size=8,
)


@st.composite
def prefixes(draw):
    fields = [*draw(FIELDS), *[(draw(SIGNS), "", letter) for letter in "p"]]
    at = draw(st.integers(0, len(fields)))
    text = "%m"
    for place, (sign, padding, letter) in enumerate(fields):
        text += sign + ("%q" if place == at else "") + f"%{padding}{letter}"
    return text + "|"


@settings(max_examples=150, deadline=None)
@given(prefix=prefixes(), reports=st.lists(REPORT, min_size=1, max_size=6), data=st.data())
def test_what_was_written_comes_back(prefix, reports, data):
    for report in reports:
        report.lines = [data.draw(st.integers(1, 1 << 40))]
    numbers = [report.lines[0] for report in reports]
    pieces = [written(prefix, report) for report in reports]
    raw = b"".join(pieces)
    made = Stderr(Prefix(prefix))
    columns = made.parse(memoryview(raw))
    found = rows(columns)
    assert columns.broken == ()
    assert len(found) == len(reports)
    for row, report, number, piece in zip(found, reports, numbers, pieces, strict=True):
        shown = prefix.partition("%q")[0] if not report.session else prefix
        for name in ("message", "detail", "context", "statement", "severity"):
            assert row[name] == getattr(report, name)
        assert row["at_us"] == report.at_ms * 1000
        assert raw[row["begin"] : row["end"]] == piece
        assert row["session"] in (
            b"%x.%x" % (START_S, report.pid),
            b"0.%x" % report.pid,
            b"0.0",
            b"",
        )
        if report.session:
            held = {letter for letter in "udalQe" if _has(shown, letter)}
            assert row["user"] == (report.user if "u" in held else b"")
            assert row["database"] == (report.database if "d" in held else b"")
            assert row["application"] == (report.application if "a" in held else b"")
            assert row["line_num"] == (number if "l" in held else 0)
            assert row["query_id"] == (report.query_id if "Q" in held else 0)
        (alone,) = rows(made.parse(memoryview(piece)))
        assert {**alone, "begin": row["begin"], "end": row["end"]} == row
    assert _in_chunks(made, raw, data.draw(st.integers(1 + len(raw) // 40, len(raw) + 9))) == [
        {**row, "begin": 0, "end": 0} for row in found
    ]


PIECES = [
    *(b"9999-99-99 99:99:99.999 ABC", b"0000-00-00 00:00:00.000 XYZT", b"2024-05-01 10:00:00 CEST"),
    *(b" [", b"]", b"%", b"@", b" ", b"\n", b"\n\t", b"LOG:  ", b"DETAIL:  ", b"ERREUR:  ", b"\0"),
    *(b"9" * 30, b"-", b"7", b"f" * 30 + b".1", b"66321160.7b2", b"[local]", b"::1(5)", b"app"),
]


@settings(max_examples=300, deadline=None)
@given(
    prefix=st.sampled_from(
        ["%m [%p] %q%u@%d ", "%m%t%s%c ", "%m%s%c%Q%l", "%t-%c-", "%5p%n%a", ""]
    ),
    raw=st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=40).map(b"".join),
)
def test_nothing_raises_and_every_line_is_told_of(prefix, raw):
    made = Stderr(Prefix(prefix))
    columns = made.parse(memoryview(raw))
    rows(columns)
    places = [*columns.begin.tolist(), *(broken.offset for broken in columns.broken)]
    assert len(places) == len(set(places))
    assert all(0 <= place < len(raw) for place in places)
    assert 0 <= made.cut(memoryview(raw), whole_file=False) <= len(raw)
    recognise(raw, Hints())
    recognise(raw, Hints(log_line_prefix=prefix, log_timezone="Europe/Berlin"))


def _has(prefix: str, letter: str) -> bool:
    return letter in Prefix(prefix).escapes


def _in_chunks(made: Stderr, raw: bytes, size: int) -> list[dict[str, object]]:
    found, begin, end = [], 0, size
    while begin < len(raw):
        chunk = memoryview(raw)[begin:end]
        cut = made.cut(chunk, whole_file=end >= len(raw))
        found += rows(made.parse(chunk[:cut]))
        begin += cut
        end += size
    return [{**row, "begin": 0, "end": 0} for row in found]
