"""log_line_prefix: read by its escapes, and found from the lines that bear it."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stderr import Report, written

from replay.capture.formats import walk
from replay.capture.formats.found import USUAL, found
from replay.capture.formats.prefix import Prefix
from replay.capture.formats.spans import Spans

MADE = (
    "%m [%p] %Q ",
    "%m [%p] %l %q%u@%d/app=%a ",
    "%t [%p]: [%l-1] %q%u@%d %e ",
    "%m|%p|%c|user=%u|db=%d|app=%a|client=%r|",
    "%n pid=%p sid=%c %q[user=%u db=%d] ",
    "[%m] (%p) %c %e %Q %v %x ".replace(" %x", ""),
    "time=%t, pid=%p, %q db=%d, usr=%u, client=%h, app=%a, line=%l, xid=%x, qid=%Q ",
    "ts=%m,db=%d,user=%u,app=%a,client=%h,cmdtag=%i,statecode=%e,vtxid=%v,txid=%x,pid=%p ",
)


# Prefixes whose lines another one matches as well, which says more.
SAME = {
    "%m [%p] [user=%u,db=%d,app=%a] ": "%m [%p] %q[user=%u,db=%d,app=%a] ",
}


def log(prefix: str, *, background: bool = True) -> bytes:
    """Lines of four processes that take turns, as two applications of two users."""
    counters = {pid: [1 + pid % 7] for pid in (4711, 4799, 5002, 612)}
    out = b""
    for n in range(80):
        pid = (4711, 4799, 4711, 5002, 612, 4711)[n % 6]
        report = Report(
            pid=pid,
            lines=counters[pid],
            at_ms=1714557600_000 + 370 * n,
            user=(b"app", b"[unknown]", b"batch")[pid % 3],
            database=(b"shop", b"stock")[pid % 2],
            application=(b"web", b"PostgreSQL JDBC Driver")[pid % 2],
            query_id=(n * 7919 << 45) % (1 << 62) - (1 << 61),
            message=b"duration: 1 ms  statement: SELECT 'a@b LOG:  x' FROM t WHERE n = 1",
            detail=b"parameters: $1 = 'x'" if n % 3 else b"",
            session=not (background and n % 13 == 5),
        )
        out += written(prefix, report)
    return out


@pytest.mark.parametrize("prefix", [*USUAL, *MADE])
def test_a_prefix_is_found(prefix):
    prefix_found = found(log(prefix))
    assert prefix_found is not None
    assert prefix_found.text == SAME.get(prefix, prefix)


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("%m [%p] %u ", "%m [%p] %* "),
        ("%m %a %u %d %p %h ", "%m %* %p %h "),
        ("%m|%a|%u|%c|%d|%h|", "%m|%*|%c|%*|%h|"),
        ("%m %x %p ", "%m %* %p "),
        ("%m [%p] %q%u@%d/%a ", "%m [%p] %q%u@%d/%* "),
        ("%m %-8p|%-12u|%9d|%l ", "%m %-1p|%*|%l "),
        ("%m <%b> %p ", "%m <%b> %p "),
        ("%s %l %c %t ", "%s %l %c %t "),
    ],
)
def test_what_lines_do_not_determine_is_read_and_not_named(prefix, told):
    raw = log(prefix, background="%q" in prefix)
    found_prefix = found(raw)
    assert found_prefix is not None
    assert found_prefix.text == told
    assert np.all(_heads(raw, found_prefix).lead >= 0)


def test_who_connected_names_what_is_open():
    prefix = "%m [%p] %u %d "
    raw = log(prefix, background=False)
    assert found(raw).text == "%m [%p] %* "
    said = b"connection authorized: user=app database=stock application_name=web"
    raw += written(prefix, Report(user=b"app", database=b"stock", message=said))
    assert found(raw).text == prefix


@pytest.mark.parametrize("prefix", ["", "%m %u ", "LOG of postgres: "])
def test_without_a_process_there_is_no_prefix(prefix):
    assert found(log(prefix, background=False)) is None


def test_nothing_is_found_in_what_is_no_log():
    assert found(b"") is None
    assert found(b"Hello\nworld, LOG: x\n" * 50) is None


def test_items_of_a_prefix():
    prefix = Prefix("%m %% [%-5p] %q%u%%%Z%")
    assert prefix.escapes == ("m", "p", "u")
    assert prefix.beyond_q == "u"
    assert [item.literal for item in prefix.items if not item.escape] == [b" % [", b"] ", b"%%"]
    assert [item.padded for item in prefix.items if item.escape == "p"] == [True]


@pytest.mark.parametrize("address", [b"2001:db8::1(5432)", b"[local]", b"10.0.0.1(5432)", b""])
def test_an_ipv6_address_has_colons(address):
    prefix = Prefix("%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:")
    raw = written(prefix.text, Report()).replace(b"10.0.0.1(5432)", address)
    heads = _heads(raw, prefix)
    fields = {name: raw[heads.fields[name].begin[0] : heads.fields[name].end[0]] for name in "rudp"}
    assert fields == {"r": address, "u": b"app", "d": b"shop", "p": b"4711"}


LINE = st.sampled_from(
    [log(prefix).split(b"\n")[n] for prefix in (*USUAL, *MADE) for n in range(8)]
)
JUNK = st.text("LOG: DETAIL\t[]()@,=-0123456789abc.é", max_size=12).map(str.encode)


@settings(max_examples=300, deadline=None)
@given(
    prefix=st.sampled_from([*USUAL, *MADE]),
    lines=st.lists(st.tuples(LINE, st.integers(0, 90), st.integers(0, 9), JUNK), max_size=6),
)
def test_the_walk_over_a_block_finds_what_the_pattern_finds(prefix, lines):
    raw = log(prefix)[:900]
    for line, at, gone, junk in lines:
        raw += line[:at] + junk + line[at + gone :] + b"\n"
    walked = _heads(raw, Prefix(prefix))
    matched = _heads(raw, Prefix(prefix), walking=False)
    assert walked.lead.tolist() == matched.lead.tolist()
    for name, spans in matched.fields.items():
        for row in np.flatnonzero(matched.lead >= 0):
            mine = walked.fields[name]
            held = raw[spans.begin[row] : spans.end[row]]
            assert raw[mine.begin[row] : mine.end[row]] == held


def test_the_walk_gets_through_the_usual_prefixes(monkeypatch):
    for prefix in USUAL:
        raw = log(prefix, background=False)
        monkeypatch.setattr(walk, "_match", lambda *_: None)
        heads = _heads(raw, Prefix(prefix))
        spaced = 0.75 if "%a %h" in prefix else 0  # JDBC's spaces are left to the pattern
        assert np.mean(heads.lead < 0) <= spaced, prefix


def _heads(raw: bytes, prefix: Prefix, *, walking: bool = True) -> walk.Heads:
    begin = np.array([0, *(m.end() for m in re.finditer(rb"\n", raw))])
    begin = begin[begin < len(raw)]
    lines = Spans(begin, np.append(begin[1:] - 1, len(raw) - 1))
    buffer = np.frombuffer(raw, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        if not walking:
            patch.setattr(walk, "_walk", lambda *_: None)
        return walk.heads(memoryview(raw), buffer, lines, prefix)
