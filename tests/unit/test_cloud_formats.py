"""Logs of the clouds: the records in their envelopes are those of the stderr log in them."""

import json
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stderr import START_S, Report, rows, written

from replay.capture.formats import azure, cloudsql, cloudwatch, stderr
from replay.capture.formats.columns import Hints
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.stderr import Stderr

RDS = "%t:%r:%u@%d:[%p]:"
GOOGLE = "%m [%p]: [%l-1] db=%d,user=%u "
AZURE = "%t-%c-"


def iso(at_ms: int) -> str:
    shown = datetime.fromtimestamp(at_ms / 1000, UTC)
    return shown.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lines(prefix: str, report: Report) -> list[str]:
    """The events of a report: its lines, each with those that go on."""
    events: list[str] = []
    for line in written(prefix, report).decode().split("\n")[:-1]:
        if line.startswith("\t"):
            events[-1] += "\n" + line
        else:
            events.append(line)
    return events


def watched(report: Report) -> bytes:
    return "".join(f"{iso(report.at_ms)} {event}\n" for event in lines(RDS, report)).encode()


def tailed(report: Report) -> bytes:
    text = "".join(f"{iso(report.at_ms)} shop.0 {event}\n" for event in lines(RDS, report))
    return text.encode()


def timed(report: Report) -> bytes:
    """As `docker logs --timestamps` has it: a time ahead of every line."""
    return b"".join(
        f"{iso(report.at_ms)} ".encode() + line
        for line in written(RDS, report).splitlines(keepends=True)
    )


def entries(report: Report, *, untabbed: bool = False) -> list[dict[str, object]]:
    return [
        {
            "textPayload": event.replace("\n\t", "\n") if untabbed else event,
            "insertId": "x",
            "resource": {"type": "cloudsql_database", "labels": {"region": "europe"}},
            "timestamp": iso(report.at_ms + 2),
        }
        for event in lines(GOOGLE, report)
    ]


def google(report: Report) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries(report)).encode()


def google_raw(report: Report) -> bytes:
    made = (json.dumps(e, ensure_ascii=False) + "\n" for e in entries(report, untabbed=True))
    return "".join(made).encode()


def google_split(report: Report) -> bytes:
    """Every line of a text as an entry of its own, without its TAB."""
    split = []
    for entry in entries(report, untabbed=True):
        split += [{**entry, "textPayload": line} for line in entry["textPayload"].split("\n")]
    return "".join(json.dumps(entry) + "\n" for entry in split).encode()


def microsoft(report: Report) -> bytes:
    message = lines(AZURE, Report(**{**vars(report), "detail": b"", "statement": b""}))[0]
    properties = {
        "timestamp": iso(report.at_ms).replace("T", " ").replace("Z", " UTC"),
        "processId": report.pid,
        "errorLevel": report.severity.decode(),
        "sqlerrcode": report.sqlstate.decode(),
        "backend_type": "client backend",
        "message": message,
    }
    for name in ("detail", "statement", "context"):
        if getattr(report, name):
            properties[name] = getattr(report, name).decode()
    whole = {"properties": properties, "time": iso(report.at_ms + 7), "category": "PostgreSQLLogs"}
    return (json.dumps(whole) + "\n").encode()


FLAVOURS = {
    "cloudwatch": (watched, cloudwatch.recognise, RDS, 1000),
    "tail": (tailed, cloudwatch.recognise, RDS, 1000),
    "docker": (timed, cloudwatch.recognise, RDS, 1000),
    "cloudsql": (google, cloudsql.recognise, GOOGLE, 1),
    "cloudsql raw": (google_raw, cloudsql.recognise, GOOGLE, 1),
    "cloudsql split": (google_split, cloudsql.recognise, GOOGLE, 1),
    "azure": (microsoft, azure.recognise, AZURE, 1),
}
TEXT = st.text("ab\n '\"\\é{}[]", max_size=30).map(lambda text: ("x" + text + "x").encode())
REPORT = st.builds(
    Report,
    message=TEXT.map(lambda text: b"duration: 1 ms  statement: " + text),
    severity=st.sampled_from([b"LOG", b"ERROR"]),
    detail=TEXT | st.just(b""),
    statement=TEXT | st.just(b""),
    at_ms=st.integers(START_S * 1000, START_S * 1000 + 10_000_000),
    pid=st.integers(2, 1 << 22),
)


def recognised(recognise, raw: bytes):
    made = recognise(raw[: 1 << 16], Hints())
    assert made is not None
    return pickle.loads(pickle.dumps(made))


@pytest.mark.parametrize("flavour", FLAVOURS)
@settings(max_examples=20, deadline=None)
@given(reports=st.lists(REPORT, min_size=1, max_size=6), data=st.data())
def test_the_records_come_out_of_their_envelopes(flavour, reports, data):
    write, recognise, prefix, unit_ms = FLAVOURS[flavour]
    pieces = [write(report) for report in reports]
    raw = b"".join(pieces)
    made = recognised(recognise, raw)
    assert made.inner.prefix.text == prefix
    columns = made.parse(memoryview(raw))
    assert columns.broken == ()
    found = rows(columns)
    for row, report, piece in zip(found, reports, pieces, strict=True):
        for name in ("message", "detail", "statement", "severity"):
            assert row[name] == getattr(report, name)
        assert row["at_us"] == report.at_ms // unit_ms * unit_ms * 1000
        assert raw[row["begin"] : row["end"]] == piece
        (alone,) = rows(made.parse(memoryview(piece)))
        assert {**alone, "begin": row["begin"], "end": row["end"]} == row
    chunked, begin, size = [], 0, data.draw(st.integers(min(200, len(raw)), len(raw)))
    end = size
    while begin < len(raw):
        chunk = memoryview(raw)[begin:end]
        cut = made.cut(chunk, whole_file=end >= len(raw))
        chunked += rows(made.parse(chunk[:cut]))
        begin, end = begin + cut, end + size
    assert [row["message"] for row in chunked] == [row["message"] for row in found]
    assert [row["detail"] for row in chunked] == [row["detail"] for row in found]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_entries(indent):
    made_of = [*entries(Report(detail=b"a\nb")), *entries(Report(message=b"second"))]
    raw = json.dumps(made_of, indent=indent).encode()
    made = recognised(cloudsql.recognise, raw)
    columns = made.parse(memoryview(raw))
    assert columns.broken == ()
    found = rows(columns)
    assert [row["message"] for row in found] == [Report().message, b"second"]
    for row in found:
        (alone,) = rows(made.parse(memoryview(raw)[row["begin"] : row["end"]]))
        assert (alone["message"], alone["detail"]) == (row["message"], row["detail"])
    if indent:
        assert made.cut(memoryview(raw)[:-9], whole_file=False) == found[0]["begin"]
        assert made.cut(memoryview(raw), whole_file=False) == found[1]["begin"]


def test_entries_tell_the_time_where_the_prefix_does_not():
    entry = {
        "textPayload": "[4711]: [10-1] db=shop,user=app LOG:  duration: 1 ms  statement: SELECT 1",
        "timestamp": "2024-05-01T10:00:00.456622123Z",
    }
    raw = (json.dumps(entry) + "\n").encode()
    (row,) = rows(recognised(cloudsql.recognise, raw).parse(memoryview(raw)))
    assert row["at_us"] == START_S * 1_000_000 + 456_622
    assert (row["line_num"], row["user"], row["database"]) == (10, b"app", b"shop")


def test_azure_says_beside_the_message_what_its_prefix_does_not():
    raw = microsoft(Report(severity=b"ERROR", sqlstate=b"42P01", context=b"in f()"))
    (row,) = rows(recognised(azure.recognise, raw).parse(memoryview(raw)))
    assert (row["sqlstate"], row["backend_type"]) == (b"42P01", b"client backend")
    assert (row["context"], row["session"]) == (b"in f()", b"%x.%x" % (START_S, 4711))


def test_azure_single_server_has_the_prefix_apart():
    properties = {
        "prefix": "2024-05-01 10:00:04 UTC-663211e0.1267-",
        "message": "duration: 1 ms  statement: SELECT 1,\n2",
        "detail": "parameters: none",
        "errorLevel": "LOG",
    }
    raw = json.dumps({"properties": properties, "time": "2024-05-01T10:00:04Z"}).encode() + b"\n"
    (row,) = rows(recognised(azure.recognise, raw).parse(memoryview(raw)))
    assert row["message"] == properties["message"].encode()
    assert (row["detail"], row["session"]) == (b"parameters: none", b"663211e0.1267")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bad_input_is_broken_in_its_place(flavour):
    write, recognise, _, _ = FLAVOURS[flavour]
    good = write(Report())
    made = recognised(recognise, good)
    raw = good + b'{"properties": 3}\n' + good + good[: len(good) // 2]
    columns = made.parse(memoryview(raw))
    reasons = [(broken.offset, broken.cut_off) for broken in columns.broken]
    wanted = (2 * len(good) + 18, True)
    assert reasons[-1] == wanted
    if flavour.startswith(("cloudsql", "azure")):
        assert reasons == [(len(good), False), wanted]
        assert len(columns) == 2


def test_half_an_event_at_the_begin():
    raw = b"FROM t\n" + watched(Report())
    made = recognised(cloudwatch.recognise, watched(Report()))
    columns = made.parse(memoryview(raw))
    assert [broken.offset for broken in columns.broken] == [0]
    assert len(columns) == 1


def test_one_flavour_is_not_taken_for_another():
    recognisers = [cloudwatch.recognise, cloudsql.recognise, azure.recognise]
    for write, its, prefix, _ in FLAVOURS.values():
        raw = write(Report()) * 9
        assert [r(raw, Hints()) is not None for r in recognisers] == [r is its for r in recognisers]
        plain = written(prefix, Report()) * 9
        assert not any(recognise(plain, Hints()) for recognise in recognisers)
    for head in (b"", b"{", b'[{"textPayload": "x"}]', b"2024-05-01T10:00:00Z GET /\n" * 9):
        assert not any(recognise(head, Hints()) for recognise in recognisers)


def test_json_is_left_to_those_who_know_it():
    for write in (google, microsoft):
        assert stderr.recognise(write(Report()) * 9, Hints()) is None


def test_names():
    made = recognised(azure.recognise, microsoft(Report()))
    assert made.name == "Azure, stderr with log_line_prefix '%t-%c-'"
    assert made.inner == Stderr(Prefix("%t-%c-"))
