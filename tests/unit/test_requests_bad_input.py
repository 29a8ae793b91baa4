"""Request logs as they are found: cut off, mixed, with bytes of no text; what is no request is counted."""

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_requests import AT_US, CADDY, CLF, COMBINED, ENVOY, HAR, captured, numbered

from replay.capture.requests.formats import access, usual
from replay.capture.requests.routes import CHILDREN, Routes
from replay.cli import status
from replay.errors import InputError


def read(tmp_path, raw: bytes, name: str = "a.log", **options):
    (tmp_path / name).write_bytes(raw)
    return captured([tmp_path / name], **options)


def skipped(found) -> dict[str, int]:
    return {skip.reason: skip.count for skip in found.log.skipped}


def test_bytes_of_no_text_cost_themselves_alone(tmp_path):
    odd = COMBINED.encode().replace(b"/tasks/7", b"/t\x00\xff/7")
    raw = b"\n".join([COMBINED.encode()] * 29 + [odd, b"\x00" * 50, b"\xff\xfe\n"])
    found = read(tmp_path, raw)
    assert found.log.requests == 30
    assert sum(skipped(found).values()) == 2
    assert any("\ufffd" in route.route for route in found.routes)


def test_a_log_that_breaks_off_is_read_as_far_as_it_goes(tmp_path):
    whole = f"{COMBINED}\n".encode() * 500
    assert read(tmp_path, whole[:-30]).log.requests == 499
    packed = gzip.compress(b"".join(f"{COMBINED} {n}\n".encode() for n in range(9999)))
    found = read(tmp_path, packed[: len(packed) // 2], "a.log.gz")
    assert 0 < found.log.requests < 9999
    assert not found.log.complete
    assert any("breaks off" in note for note in found.log.notes)
    found = read(tmp_path, json.dumps(ENVOY).encode() + b'\n{"start_ti', "a.json")
    assert (found.log.requests, skipped(found)) == (1, {"line is no JSON object": 1})
    with pytest.raises(InputError, match="no whole HAR document"):
        read(tmp_path, json.dumps(HAR).encode()[:-9], "a.har")


def test_a_line_of_50_megabytes_costs_itself_alone(tmp_path):
    good = f"{COMBINED}\n".encode()
    found = read(tmp_path, good * 20 + b"x" * 50_000_000 + b"\n" + good * 20)
    assert found.log.requests == 40
    assert skipped(found) == {"line is not of the log's format": 1}
    long = COMBINED.replace("limit=5", "q=" + "y" * 3_000_000).encode()
    assert read(tmp_path, good * 20 + long + b"\n").log.requests == 21


def test_logs_of_several_formats_are_read_together(tmp_path):
    (tmp_path / "nginx.log").write_text(f"{COMBINED}\n" * 3)
    (tmp_path / "caddy.json").write_text(f"{json.dumps(CADDY)}\n" * 2)
    (tmp_path / "one.har").write_text(json.dumps(HAR))
    (tmp_path / "readme.txt").write_text("these are logs\n")
    found = captured([tmp_path])
    assert {(route.route, route.calls) for route in found.routes} == {("/tasks/{int}", 6)}
    mixed = [
        *[json.dumps(ENVOY)] * 4,
        json.dumps(CADDY),
        json.dumps({"level": "info", "msg": "up"}),
    ]
    found = read(tmp_path, "\n".join(mixed * 3).encode(), "mixed.json")
    assert found.log.requests == 12  # of the format that the log begins with
    assert skipped(found) == {"JSON object is no request": 6}


def test_a_file_of_nothing_or_of_another_kind_is_refused(tmp_path, capsys):
    for name, text in (
        ("empty.log", ""),
        ("page.html", "<html>\n<body>\n"),
        ("x.csv", "a,b\n1,2\n"),
    ):
        (tmp_path / name).write_text(text)
        out = str(tmp_path / "x.workload")
        assert status(["capture", "--http", str(tmp_path / name), "-o", out]) == 2
        assert "nginx's and Apache's combined" in " ".join(capsys.readouterr().err.split())


GOLDEN = [
    # nginx, "main" of its packages, and what its documentation calls compression.
    (
        f'{usual.COMBINED} "$http_referer" "$http_user_agent" "$gzip_ratio"',
        f'2001:db8::1 - - [{CLF}] "GET /a HTTP/2.0" 304 0 "https://shop.test/" "curl/8.5.0" "-"',
        (AT_US, b"GET", b"/a", 304, 0),
    ),
    # Apache 2.4, combinedio and a vhost's.
    (
        '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" %I %D',
        f'10.0.0.1 - frank [{CLF}] "DELETE /b?c=d HTTP/1.1" 204 433 "-" "x \\"y\\"" 120 4711',
        (AT_US, b"DELETE", b"/b?c=d", 204, 433),
    ),
    (
        "%v:%p %a %t %m %U %s %B %{ms}T",
        f"shop.test:443 10.0.0.1 [{CLF}] PATCH /b 200 17 250",
        (AT_US, b"PATCH", b"/b", 200, 17),
    ),
    # nginx with a fraction of a second, between tabs.
    (
        "$msec\\t$request_method\\t$request_uri\\t$status\\t$bytes_sent\\t$request_time",
        f"{AT_US / 1e6 + 0.25:.3f}\tPOST\t/t\t502\t9\t0.250",
        (AT_US, b"POST", b"/t", 502, 9),
    ),
]


@pytest.mark.parametrize(("text", "line", "told"), GOLDEN)
def test_lines_of_servers_as_they_write_them(text, line, told):
    found = access.given(text).parse(memoryview(f"{line}\n".encode()))
    assert found.broken == ()
    numbers = (found.at_us, found.status, found.size)
    at_us, status, size = (int(column[0]) for column in numbers)
    assert (at_us, found.method[0], found.target[0], status, size) == told


WORDS = st.text("abcdefgh-", min_size=1, max_size=6).filter(lambda word: not word.startswith("-"))
PATTERNS = st.lists(
    st.lists(WORDS | st.sampled_from(["{int}", "{uuid}", "{hex}"]), min_size=1, max_size=4).map(
        tuple
    ),
    min_size=2,
    max_size=12,
    unique=True,
)
VALUES = {
    "{int}": lambda rng: str(rng.randrange(10**6)),
    "{uuid}": lambda rng: f"{rng.getrandbits(32):08x}-9dad-11d1-80b4-{rng.getrandbits(48):012x}",
    "{hex}": lambda rng: f"a{rng.getrandbits(64):016x}9",
}


@settings(max_examples=40, deadline=None)
@given(PATTERNS, st.integers(0, 1 << 32))
def test_two_paths_that_run_other_sql_are_never_one_route(patterns, seed):
    """A service runs a statement of its own for each pattern; no route stands for two of them."""
    routes, rng = Routes(), random.Random(seed)
    statements: dict[str, set[tuple[str, ...]]] = {}
    for _ in range(3):  # blocks
        asked = [rng.choice(patterns) for _ in range(60)]
        made = ["/" + "/".join(VALUES.get(p, lambda _, p=p: p)(rng) for p in one) for one in asked]
        for route, pattern in zip(numbered(routes, made), asked, strict=True):
            statements.setdefault(route, set()).add(pattern)
    assert all(len(found) == 1 for found in statements.values())
    assert len(statements) == len({pattern for found in statements.values() for pattern in found})


@settings(max_examples=10, deadline=None)
@given(st.integers(CHILDREN + 1, CHILDREN + 60), st.integers(0, 1 << 32))
def test_names_at_one_place_are_one_route_and_other_sql_is_not(count, seed):
    """Where names are values, words that lead elsewhere, or that many ask for, stay routes."""
    routes, rng = Routes(), random.Random(seed)
    names = [f"n{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(count)]
    asked = [f"/u/{name}" for name in names for _ in range(3)]
    asked += ["/u/me"] * (count // 2) + ["/u/new/form"] * 3 + ["/health"] * 5
    rng.shuffle(asked)
    for begin in range(0, len(asked), 97):
        numbered(routes, asked[begin : begin + 97])
    known = dict(zip(asked, numbered(routes, asked), strict=True))
    assert {known[f"/u/{name}"] for name in names} == {"/u/{name}"}
    assert (known["/u/me"], known["/health"]) == ("/u/me", "/health")
    assert known["/u/new/form"] in ("/u/new/form", "/u/{name}/form")
