"""Request logs: read in every format, counted exactly, sampled without losing a route, scrubbed."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replay import multipart
from replay.capture import blocks
from replay.capture.formats.texts import Texts
from replay.capture.requests import formats, headers, patterns, shapes
from replay.capture.requests.columns import NUMBERS, TEXTS, UNTIMED
from replay.capture.requests.folds import folds
from replay.capture.requests.formats import access, usual
from replay.capture.requests.formats.made import instant_us
from replay.capture.requests.routes import CHILDREN, Routes
from replay.capture.requests.stage import RequestOptions, read_requests
from replay.cli import status
from replay.errors import InputError
from replay.requests import Requests, host_name, is_captured_host

KEY = b"k" * 32
AT = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
AT_US = int(AT.timestamp() * 1_000_000)
CLF = "01/Mar/2026:14:00:05 +0200"
AGENT = "Mozilla/5.0 (X11) \\x22q\\x22"
COMBINED = f'10.1.2.3 - anna [{CLF}] "GET /tasks/7?limit=5 HTTP/1.1" 200 321 "-" "{AGENT}"'
CADDY = {
    "ts": AT_US / 1e6 + 0.25,
    "request": {
        "client_ip": "10.1.2.3",
        "method": "GET",
        "uri": "/tasks/7?limit=5",
        "headers": {"User-Agent": [AGENT], "Cookie": ["a=b"]},
    },
    "duration": 0.25,
    "size": 321,
    "status": 200,
}
ENVOY = {
    "start_time": "2026-03-01T12:00:05.000Z",
    "method": "GET",
    "path": "/tasks/7?limit=5",
    "response_code": 200,
    "duration": 250,
    "bytes_sent": 321,
    "user_agent": AGENT,
    "x_request_id": "r-1",
}
NGINX = {
    "time_iso8601": "2026-03-01T14:00:05.250+02:00",
    "request": "GET /tasks/7?limit=5 HTTP/1.1",
    "status": "200",
    "request_time": "0.250",
    "body_bytes_sent": "321",
    "http_user_agent": AGENT,
    "http_traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
}
HAR = {
    "log": {
        "version": "1.2",
        "entries": [
            {
                "startedDateTime": "2026-03-01T12:00:05.000Z",
                "time": 250,
                "request": {
                    "method": "GET",
                    "url": "https://shop.test/tasks/7?limit=5",
                    "headers": [{"name": "User-Agent", "value": AGENT}],
                },
                "response": {"status": 200, "bodySize": 321},
            }
        ],
    }
}
GOR = (
    f"1 9f 17{AT_US % 10**14}\n".replace(f"17{AT_US % 10**14}", f"{AT_US * 1000}")
    + f"GET /tasks/7?limit=5 HTTP/1.1\r\nUser-Agent: {AGENT}\r\n\r\n\n🐵🙈🙉\n"
    + f"2 9f {AT_US * 1000 + 250_000_000} 250000000\nHTTP/1.1 200 OK\r\n\r\n{'x' * 302}\n🐵🙈🙉\n"
)
ALB = (
    "https 2026-03-01T12:00:05.250000Z app/lb/1 10.1.2.3:2817 10.0.0.1:80 0.001 0.248 0.001 200 200 34 "
    f'321 "GET https://shop.test:443/tasks/7?limit=5 HTTP/1.1" "{AGENT}" - - arn:aws:x '
    '"Root=1-5833-36d2" "-" "-" 0 2026-03-01T12:00:05.000000Z "forward" "-" "-"'
)
INGRESS = (
    f"{COMBINED} 571 0.250 [shop-web-80] [] 10.7.0.9:8080 321 0.249 200 "
    "3f9b5ad2c1e84d1a9d2f0c7b6a5e4d3c"
)
# One request in each: name, text, whether the log tells a duration.
LOGS = [
    ("access log, 'combined'", COMBINED, False),
    ("access log, 'combined with request_time'", f"{COMBINED} 0.250", True),
    ("access log, 'combined with rt='", f"{COMBINED} rt=0.250", True),
    ("access log, 'main'", f'{COMBINED} "10.9.9.9, 10.1.1.1"', False),
    ("access log, 'vhost_combined'", f"shop.test:443 {COMBINED}", False),
    ("access log, 'ALB'", ALB, True),
    ("access log, 'ingress-nginx'", INGRESS, True),
    ("access log, 'Traefik'", f'{COMBINED} 12 "web@docker" "http://172.17.0.2:80" 250ms', True),
    ("access log, 'combined'", f"{COMBINED} 571 0.250", False),  # who knows what these are
    ("request log in JSON", json.dumps(CADDY), True),
    ("request log in JSON", json.dumps(ENVOY), True),
    ("request log in JSON", json.dumps(NGINX), True),
    ("HAR", json.dumps(HAR), True),
    ("GoReplay file", GOR, True),
]


def captured(inputs, **options) -> Requests:
    """What request logs hold, as RequestOptions(…) would have it."""
    return read_requests(inputs, options=RequestOptions(**options)).made(KEY)


@pytest.mark.parametrize(("name", "text", "timed"), LOGS)
def test_every_format_gives_the_same_request(name, text, timed):
    raw = f"{text}\n".encode()
    known = formats.recognise(raw)
    assert known is not None
    assert known.name == name
    found = known.parse(memoryview(raw))
    assert len(found) == 1
    assert found.broken == ()
    begun = AT_US
    if timed and known.name.startswith("access") and "ALB" not in name:
        begun -= 250_000  # stamped at its end, in whole seconds
    assert found.at_us.tolist() == [begun]
    assert found.duration_us.tolist() == [250_000 if timed else -1]
    assert found.status.tolist() == [200]
    assert found.size.tolist() == [321]
    assert found.method.to_pylist() == [b"GET"]
    assert found.target.to_pylist()[0].endswith(b"/tasks/7?limit=5")
    assert found.agent.to_pylist() == [AGENT.encode()]


HAPROXY = "10.1.2.3:33317 [01/Mar/2026:12:00:05.123] http-in~ web/srv1 0/0/1/249/250 200 321 - - ---- 1/1/1/1/0 "
CUT_OFF = (
    "10.1.2.3:9 [01/Mar/2026:12:00:06.000] in web/<NOSRV> -1/-1/-1/-1/+7 -1 0 - - CR-- 1/1/0/0/0 "
)
AHEAD = {
    "HAProxy": "Mar  1 12:00:05 lb1 haproxy[14389]: ",
    "HAProxy, RFC 5424": "<134>1 2026-03-01T12:00:05.373+00:00 lb1 haproxy 14389 - - ",
    "HAProxy, raw": "",
}


@pytest.mark.parametrize("name", AHEAD)
@pytest.mark.parametrize("captured_headers", ["", "{shop.test} ", "{shop.test|#22q} {} "])
def test_haproxy_writes_its_own(name, captured_headers):
    """With syslog's head or without, headers captured or not; its time is the begin, without a zone."""
    line = f'{AHEAD[name]}{HAPROXY}0/0 {captured_headers}"GET /tasks/7?limit=5 HTTP/1.1"\n'
    known = formats.recognise(line.encode())
    assert known.name == f"access log, {name!r}"
    found = known.parse(memoryview(f'{line}{AHEAD[name]}{CUT_OFF}0/0 "<BADREQ>"\n'.encode()))
    assert [broken.offset for broken in found.broken] == [len(line.encode())]
    assert found.at_us.tolist() == [AT_US + 123_000]
    assert (found.duration_us.tolist(), found.status.tolist()) == ([250_000], [200])
    assert (found.size.tolist(), found.method.to_pylist()) == ([321], [b"GET"])
    assert found.target.to_pylist() == [b"/tasks/7?limit=5"]
    assert found.client.to_pylist() == [b"10.1.2.3"]


@pytest.mark.parametrize(
    "told",
    [
        "01/Mar/2026:12:00:05.250",
        "[01/Mar/2026:14:00:05.250 +0200]",
        "2026-03-01T12:00:05.25Z",
        "2026-03-01 14:00:05,250 +0200",
        "1772366405.250",
    ],
)
def test_times_have_fractions_and_zones(told):
    assert instant_us(told) == AT_US + 250_000


def test_a_format_that_is_given():
    apache = access.given(
        '%h %l %u %t \\"%r\\" %>s %b %D \\"%{User-Agent}i\\" %{traceparent}i %{SID}C'
    )
    line = f'10.1.2.3 - - [{CLF}] "PUT /a HTTP/1.1" 204 - 1500 "u a" 00-ab-cd-01 s9\n'
    found = apache.parse(memoryview(line.encode()))
    assert (found.at_us.tolist(), found.duration_us.tolist()) == ([AT_US], [1500])
    assert (found.method.to_pylist(), found.target.to_pylist()) == ([b"PUT"], [b"/a"])
    assert (found.trace.to_pylist(), found.cookie.to_pylist()) == ([b"00-ab-cd-01"], [b"s9"])
    nginx = access.given("$msec|$request_method|$request_uri|$status|$request_time|$cookie_session")
    found = nginx.parse(memoryview(b"1772366405.500|GET|/b?c|499|0.500|xyz\n"))
    assert (found.at_us.tolist(), found.status.tolist()) == ([AT_US], [499])
    assert found.cookie.to_pylist() == [b"xyz"]


@pytest.mark.parametrize(
    "text", ["$status $request", "%t %r", "$time_local $status", "$msec$request $status"]
)
def test_a_format_that_says_too_little_is_refused(text):
    with pytest.raises(InputError, match="--http-format"):
        access.given(text)


def test_what_is_no_request_is_told_apart():
    raw = f'{COMBINED}\nrubbish\n1.1.1.1 - - [{CLF}] "\\x16\\x03" 400 0 "-" "-"\n\n'.encode()
    found = access.Access(usual.USUAL["combined"]).parse(memoryview(raw))
    assert len(found) == 1
    assert [broken.offset for broken in found.broken] == [len(COMBINED) + 1, len(COMBINED) + 9]
    assert len({broken.reason for broken in found.broken}) == 2


def test_a_line_of_json_that_is_none_costs_itself_alone():
    good = json.dumps(ENVOY)
    raw = f'{good}\n{{"start_time":\n{good}\n{{"a": 1}}\n'.encode()
    known = formats.recognise(f"{good}\n".encode())
    found = known.parse(memoryview(raw))
    assert len(found) == 2
    assert [broken.offset for broken in found.broken] == [len(good) + 1, 2 * len(good) + 17]


PIECES = st.sampled_from(
    [
        *(b"\n", b"\r", b'"', b"{", COMBINED.encode(), b"1.1.1.1 - - ", f"[{CLF}]".encode()),
        *(b' "GET / HTTP/1.1" 200 5 "-" "-"', "\n🐵🙈🙉\n".encode(), b"2 a 123456789012345678 5\n"),
        *(b"1 a 123456789012345678\n", b"GET / HTTP/1.1\r\n\r\n", b'{"log": {"entries": [{}]}}'),
    ]
)


@example(b'2 a 123456789012345678 5\n "GET / HTTP/1.1" 200 5 "-" "-"')
@given(st.lists(st.binary(max_size=9) | PIECES, max_size=40).map(b"".join))
def test_whatever_the_bytes_all_of_them_are_accounted_for(raw):
    lines = access.Access(usual.USUAL["combined"]).parse(memoryview(raw))
    assert len(lines) + len(lines.broken) == sum(map(bool, raw.split(b"\n")))
    for known in (formats.har.Har(), formats.gor.Gor()):
        found = known.parse(memoryview(raw))
        assert all(0 <= broken.offset <= len(raw) for broken in found.broken)
    recognised = formats.recognise(raw)
    if recognised is not None:
        found = recognised.parse(memoryview(raw))
        of_answers = isinstance(recognised, formats.gor.Gor)  # which may be all that it has
        assert len(found) + len(found.broken) > 0 or of_answers


WORDS = st.sampled_from(["tasks", "users", "v1", "me", "a-b", "", "index.html", "x" * 30])
VALUES = st.sampled_from(
    [
        *("7", "123456", "-5", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "da39a3ee5e6b4b0d"),
        *("2026-03-01", "a@b.test", "a%40b.test", "cus_9s6XKzkNRiz8i3", "17.json"),
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["GET", "PUT"]), st.lists(WORDS | VALUES, max_size=4))))
def test_two_paths_hash_alike_if_they_differ_in_values_alone(asked):
    methods = Texts.holding([method.encode() for method, _ in asked])
    targets = Texts.holding([("/" + "/".join(parts) + "?q=1").encode() for _, parts in asked])
    hashes = shapes.hashes(methods, targets, folds())[0].tolist()
    shown = [(method, tuple(map(shapes.shown, parts))) for method, parts in asked]
    # A path of no segments and one of an empty segment are both "/".
    shown = [(method, parts or ("",)) for method, parts in shown]
    assert len(set(hashes)) == len(set(shown)) == len(set(zip(hashes, shown, strict=True)))


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("12", "{int}"),
        ("12.pdf", "{int}.pdf"),
        ("v2", "v2"),
        ("my-long-title-of-2024", "my-long-title-of-2024"),
        ("cb-3a422a9940a27f37676562be1d0b1599", "{id}"),
        ("user-6ba7b810-9dad-11d1-80b4-00c04fd430c8", "{id}"),
        ("feedbacks-and-facades-2024-edition", "feedbacks-and-facades-2024-edition"),
        ("2024-12-31-the-year-2025-begins", "2024-12-31-the-year-2025-begins"),
        ("deadbeef", "deadbeef"),
        ("deadbeef01", "{hex}"),
        ("pi_3MtwBwLkdIwHu7ix28a3tqPa", "{id}"),
        ("anna@shop.test", "{email}"),
        ("2026-03-01", "{date}"),
    ],
)
def test_segments_that_only_a_value_can_be(word, shown):
    assert shapes.shown(word) == shown


def numbered(routes: Routes, paths: list[str]) -> list[str]:
    """The routes of some paths, all of one block."""
    targets = [path.encode() for path in paths]
    hashes, _ = shapes.hashes(
        Texts.holding([b"GET"] * len(paths)), Texts.holding(targets), routes.folds
    )
    numbers = routes.numbers(hashes, lambda rows: (("GET", targets[row], "") for row in rows))
    distinct, counts = np.unique(numbers, return_counts=True)
    routes.count(distinct, counts)
    return [routes.keys[number][1] for number in routes.now(numbers).tolist()]


def test_too_many_words_at_a_place_are_values_but_the_frequent_ones():
    routes = Routes()
    names = [f"/users/n{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(CHILDREN + 20)]
    found = numbered(
        routes, names + ["/users/me"] * 40 + ["/users/zoe/orders"] * 3 + ["/health"] * 9
    )
    assert Counter(found) == {
        "/users/{name}": CHILDREN + 20,
        "/users/me": 40,
        "/users/zoe/orders": 3,  # leads on: the service runs something else for it
        "/health": 9,
    }
    assert numbered(routes, ["/users/somebody-new", "/users/me"]) == ["/users/{name}", "/users/me"]


def test_what_services_do_is_no_name_however_late_it_comes():
    routes = Routes()
    numbered(
        routes, [f"/users/n{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(CHILDREN + 9)]
    )
    late = ["/users/export", "/users/Search", "/users/export.csv", "/users/anna/deactivate"]
    names = ["/users/new-york", "/users/exporter", "/users/export.qx", "/users/anna"]
    assert numbered(routes, late) == [*late[:3], "/users/{name}/deactivate"]
    assert set(numbered(routes, names)) == {"/users/{name}"}


def test_named_routes_come_first(tmp_path):
    file = tmp_path / "routes.txt"
    file.write_text("GET /users/me   # the plainer first\n/users/{id}\n/v/2/{rest*}\n\n")
    routes = Routes(patterns.read(file))
    asked = ["/users/anna", "/users/me", "/users/7", "/v/2/a/b", "/v/3/a", "/other/7"]
    assert numbered(routes, asked) == [
        *("/users/{id}", "/users/me", "/users/{id}", "/v/2/{rest*}", "/v/{int}/a", "/other/{int}")
    ]


def test_openapi_documents_name_routes(tmp_path):
    document = {"servers": [{"url": "https://x.test/api"}], "paths": {"/t/{id}": {"get": {}}}}
    file = tmp_path / "api.json"
    file.write_text(json.dumps(document))
    assert patterns.read(file).route("GET", "/api/t/abc") == "/api/t/{id}"
    assert patterns.read(file).route("PUT", "/api/t/abc") == ""
    small = tmp_path / "corrected.txt"
    small.write_text("/api/t/{task}\nGET /api/t/me\n")
    both = patterns.read(small, file)
    asked = [("GET", "/api/t/abc"), ("PUT", "/api/t/abc"), ("GET", "/api/t/me")]
    told = ["/api/t/{task}", "/api/t/{task}", "/api/t/me"]
    assert [both.route(*one) for one in asked] == told
    assert patterns.read(file, small).route(*asked[0]) == "/api/t/{id}"
    file.write_text("{}")
    with pytest.raises(InputError, match="has no `paths`"):
        patterns.read(file)
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("/a\nGET users\n")
    with pytest.raises(InputError, match=r"wrong\.txt:2: 'GET users' is no route"):
        patterns.read(wrong)


SECRETS = ("anna.qmarker@shop.test", "tok_qmarker_9914", "31337421")


def lines(count: int, seed: int = 1) -> list[str]:
    """An access log of a few routes, one of them rare, with values that nobody may see."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        path = rng.choice(["/tasks/{}", "/orders/{}/items?page={}", "/health"], p=[0.6, 0.3, 0.1])
        path = str(path).replace("{}", str(rng.integers(1, 10**6)))
        code = int(rng.choice([200, 404, 500], p=[0.9, 0.08, 0.02]))
        made.append((path, "GET", code))
        if number % 1000 == 7:
            made.append((f"/reports/{SECRETS[0]}?token={SECRETS[1]}&of={SECRETS[2]}", "POST", 201))
    return [
        f"10.0.0.{n % 50} - - [01/Mar/2026:12:{n // 400:02}:{n * 60 // 400 % 60:02} +0000] "
        f'"{method} {path} HTTP/1.1" {code} 5 "-" "curl/8" 0.{n % 900:03}'
        for n, (path, method, code) in enumerate(made)
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    file = tmp_path_factory.mktemp("requests") / "access.log.gz"
    file.write_bytes(gzip.compress("\n".join(lines(20_000)).encode() + b"\n"))
    return file


def oracle(file) -> Counter:
    """Requests by method, route and status, by plain Python."""
    counts: Counter = Counter()
    for line in gzip.decompress(file.read_bytes()).decode().splitlines():
        method, target, code = re.search(r'"(\S+) (\S+) HTTP/1.1" (\d+)', line).groups()
        path = re.sub(r"\d{3,}|\b\d+\b", "{int}", target.partition("?")[0])
        path = re.sub(r"[^/]+@[^/]+", "{email}", path)
        counts[method, path, int(code)] += 1
    return counts


def test_counts_are_exact_and_no_route_is_lost(log):
    found = captured([log], per_stratum=16)
    told = {
        (route.method, route.route, code): calls
        for route in found.routes
        for code, calls in route.statuses
    }
    assert told == oracle(log)
    assert found.log.requests == sum(told.values()) == 20_020
    ids = {route.id: route for route in found.routes}
    kept, weights = Counter(), Counter()
    for request in found.kept:
        group = ids[request.route].route, request.status // 100
        kept[group] += 1
        weights[group] += request.weight
    groups: Counter = Counter()
    for (_, route, code), calls in told.items():
        groups[route, code // 100] += calls
    for group, calls in groups.items():
        assert kept[group] >= min(16, calls)
        assert weights[group] == pytest.approx(calls)
    assert [route.route for route in found.routes if route.rare] == ["/reports/{email}"]


def test_the_same_requests_stay_however_the_log_is_cut(log, monkeypatch):
    whole = captured([log])
    monkeypatch.setattr(blocks, "_BLOCK", 50_000)
    assert captured([log]) == whole


def test_no_value_of_a_request_survives(log):
    found = captured([log])
    text = repr(found)
    assert all(secret not in text for secret in SECRETS)
    reports = [request for request in found.kept if request.target.startswith("/reports/")]
    assert len(reports) == 20
    assert len({request.target for request in reports}) == 1  # equal values, equal tokens
    kept = captured([log], keep_values=True)
    assert "of=31337421" in repr(kept)


def test_sessions_are_told_by_cookie_then_authorization_then_client(tmp_path):
    file = tmp_path / "a.json"
    made = [
        ENVOY | {"cookie": "x=1; session=s1", "x_forwarded_for": "1.1.1.1"},
        ENVOY | {"cookie": "x=2; session=s1", "x_forwarded_for": "2.2.2.2"},
        ENVOY | {"cookie": "", "x_forwarded_for": "2.2.2.2"},
        ENVOY | {"cookie": "", "x_forwarded_for": "2.2.2.2", "user_agent": "other"},
    ]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in made))
    found = captured([file])
    assert found.log.sessions == 3
    assert len({request.session for request in found.kept}) == 3


def test_capture_and_inspect_from_the_command_line(log, tmp_path, capsys):
    out = str(tmp_path / "shop.workload")
    assert status(["capture", "--http", str(log), "-o", out]) == 0
    assert "/reports/" in capsys.readouterr().out  # the rest may find no room
    assert status(["inspect", out, "--routes"]) == 0
    assert "Rare routes" in capsys.readouterr().out
    assert status(["inspect", out, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["requests"]["requests"] == 20_020
    route = next(route for route in document["routes"] if route["route"] == "/reports/{email}")
    assert (route["method"], route["calls"], route["rare"]) == ("POST", 20, True)
    assert route["statuses"] == {"201": 20}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello\nworld\n" * 9, "its first line is 'Hello'"),
        (f"{COMBINED}\n" * 2, "lines are no requests"),
    ],
)
def test_what_is_no_request_log_is_refused(tmp_path, text, said, capsys):
    file = tmp_path / "x.log"
    file.write_text(text)
    given_format = ["--http-format", "$msec $request $status"] if "lines" in said else []
    out = tmp_path / "x.workload"
    assert status(["capture", "--http", str(file), *given_format, "-o", str(out)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_options_of_requests_need_a_log_of_requests(tmp_path, capsys):
    out = str(tmp_path / "x.workload")
    assert status(["capture", "--routes", "f", "--stats", "x", "-o", out]) == 2
    assert "--http LOG: name one" in " ".join(capsys.readouterr().err.split())


POSTED = (
    (
        "application/json; charset=utf-8",
        '{"title": "qmarker", "tags": ["qmarker", 31337421], "n": 5}',
    ),
    ("application/x-www-form-urlencoded", "title=q+marker&csrf_token=qmarker&n=5"),
    ("multipart/form-data; boundary=x", "--x\r\nqmarker"),
    ("application/json", '{"title": qmarker'),
    ("application/x-www-form-urlencoded", '{"qmarker": 5}'),
)


def har(requests) -> str:
    entries = [
        HAR["log"]["entries"][0]
        | {"request": {"method": "POST", "url": "https://shop.test/t", "postData": posted}}
        for posted in requests
    ]
    return json.dumps({"log": {"version": "1.2", "entries": entries}})


def test_bodies_keep_their_form_and_no_value(tmp_path):
    file = tmp_path / "a.har"
    file.write_text(har({"mimeType": kind, "text": text} for kind, text in POSTED))
    found = captured([file], per_stratum=8)
    assert "qmarker" not in repr(found)
    assert "31337421" not in repr(found)
    kinds = {request.content_type for request in found.kept}
    assert kinds == {kind.partition(";")[0] for kind, _ in POSTED}
    bodies = {r.body for r in found.kept if r.body is not None}
    (as_json,) = (json.loads(body) for body in bodies if body.startswith("{"))
    assert list(as_json) == ["title", "tags", "n"]
    assert as_json["title"] == as_json["tags"][0]
    assert isinstance(as_json["tags"][1], int)
    assert as_json["n"] == 5
    assert any(re.fullmatch(r"title=\w+%20\w+&csrf_token=\w+&n=5", body) for body in bodies)
    raw = captured([file], keep_values=True)
    assert '{"title":"qmarker","tags":["qmarker",31337421],"n":5}' in {r.body for r in raw.kept}


UPLOAD = (
    '--b1\r\nContent-Disposition: form-data; name="title"\r\n\r\nqmarker one\r\n'
    '--b1\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\nqmarker\r\n'
    '--b1\r\nContent-Disposition: form-data; name="of"\r\nContent-Type: application/json\r\n\r\n'
    '{"n": 5}\r\n'
    '--b1\r\nContent-Disposition: form-data; name="photo"; filename="qmarker.png"\r\n'
    f"Content-Type: image/png\r\n\r\n{'qmarker' * 9000}\r\n--b1--\r\n"
)


def test_forms_with_files_keep_their_parts_and_no_value(tmp_path):
    kind = "multipart/form-data; boundary=b1"
    head = f"POST /t HTTP/1.1\r\nHost: shop.test\r\nContent-Type: {kind}\r\n\r\n"
    (tmp_path / "a.gor").write_text(f"1 9f {AT_US * 1000}\n{head}{UPLOAD}\n🐵🙈🙉\n")
    params = [
        {"name": "title", "value": "qmarker one"},
        {"name": "csrf_token", "value": "qmarker"},
        {"name": "of", "value": '{"n": 5}', "contentType": "application/json"},
        {"name": "photo", "fileName": "qmarker.png", "contentType": "image/png"},
    ]
    (tmp_path / "b.har").write_text(har([{"mimeType": kind, "params": params}]))
    from_gor, from_har = (captured([tmp_path / name]).kept[0] for name in ("a.gor", "b.har"))
    assert "qmarker" not in repr((from_gor, from_har))
    assert from_gor.content_type == from_har.content_type == multipart.CONTENT_TYPE
    parts = [multipart.parts(one.body, one.content_type) for one in (from_gor, from_har)]
    assert parts[0][:3] == parts[1][:3]
    title, token, of, photo = parts[0]
    assert (title.name, token.name, of.content, of.kind) == (
        *("title", "csrf_token", '{"n":5}'),
        "application/json",
    )
    assert title.content
    assert token.content
    assert (photo.name, photo.kind, len(photo.content)) == ("photo", "image/png", 4096)
    assert photo.file.endswith(".png")


def test_bodies_of_goreplays_files_and_of_access_logs(tmp_path):
    gor, nginx = tmp_path / "a.gor", tmp_path / "b.log"
    head = "POST /t HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\n\r\n"
    gor.write_text(f'1 9f {AT_US * 1000}\n{head}{{"n": 5}}\n🐵🙈🙉\n')
    (request,) = captured([gor]).kept
    assert (request.content_type, request.body) == ("application/json", '{"n":5}')
    nginx.write_text(f'[{CLF}] "POST /t HTTP/1.1" 200 "{{\\x22n\\x22:\\x0A5}}"\n')
    form = '[$time_local] "$request" $status "$request_body"'
    (request,) = captured([nginx], format=form).kept
    assert request.body == '{"n":5}'


WANTED = {
    "Accept": "application/vnd.shop.v2+json, text/html;q=0.9, */*;q=0.8",
    "Accept-Language": "de-CH,de;q=0.9,*;q=0.5",
    "X-API-Version": "2026-03-01",
    "Prefer": "return=representation; count=exact",
    "Range": "bytes=0-1023",
    "X-Requested-With": "XMLHttpRequest",
    "HX-Request": "true",
    "Sec-Fetch-Site": "same-origin",
    "Accept-Encoding": "gzip",
}
NOT_KEPT = {
    "Authorization": "Bearer qmarker",
    "Cookie": "session=qmarker",
    "X-Api-Key": "qmarker",
    "X-Tenant": "qmarker",
    "If-None-Match": '"qmarker"',
    "X-HTTP-Method-Override": "DELETE",
    "Connection": "keep-alive",
    "X-Forwarded-For": "10.1.1.1",
    "Accept-Version": "qmarker2b3c4d5e6f7a",  # an id, or a key
    "Cache-Control": "no-cache, qmarker",
    "X-Inertia": "qmarker",
}


def test_of_headers_stays_what_kind_of_answer_was_wanted(tmp_path):
    sent = [*WANTED.items(), *NOT_KEPT.items()]
    sent = [(name, "br, gzip;q=0.8" if name == "Accept-Encoding" else v) for name, v in sent]
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent)
    (tmp_path / "a.gor").write_text(
        f"1 9f {AT_US * 1000}\nGET /t HTTP/1.1\r\n{lines}\r\n\n🐵🙈🙉\n"
    )
    entry = json.loads(json.dumps(HAR["log"]["entries"][0]))
    entry["request"]["headers"] = [{"name": name.lower(), "value": v} for name, v in sent]
    (tmp_path / "b.har").write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    for name in ("a.gor", "b.har"):
        (request,) = captured([tmp_path / name]).kept
        assert dict(line.split(": ", 1) for line in request.headers.splitlines()) == WANTED
        assert "qmarker" not in repr(request)


@pytest.mark.parametrize("encodings", ["gzip;q=0", "br, gzip; q=0.0, deflate", "identity", ""])
def test_packed_answers_are_not_asked_for_where_production_did_not(encodings):
    assert not headers.kept({"accept-encoding": encodings})


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.test:443", "shop.test"),
        ("https://anna@shop.test./a?b", "shop.test"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("127.0.0.1:8080", "loopback:8080"),
        ("[::1]:8080", "loopback:8080"),
        ("localhost", ""),
        ("-", ""),
        ("a:b:c]", ""),
    ],
)
def test_hosts_are_compared_by_name(text, host):
    assert host_name(text) == host


def test_the_captured_hosts_are_known_again_and_not_shown(tmp_path):
    caddy = CADDY | {"request": CADDY["request"] | {"host": "api.shop.test:8443"}}
    texts = {
        "a.json": json.dumps(caddy),
        "b.har": json.dumps(HAR),
        "c.log": ALB,
        "d.gor": GOR.replace("User-Agent", "Host: old.shop.test\r\nUser-Agent"),
        "e.log": f"127.0.0.1:8000 {COMBINED}",
        "f.json": json.dumps(NGINX | {"upstream_addr": "10.7.7.7:80, 10.7.7.8:80"}),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(f"{text}\n")
    log = captured([tmp_path]).log
    named = ["api.shop.test", "shop.test", "old.shop.test", "10.7.7.7", "10.7.7.8", "10.0.0.1"]
    assert all(is_captured_host(log, host) for host in (*named, "SHOP.test:99", "localhost:8000"))
    others = ("staging.shop.test", "localhost:8001", "127.0.0.1", "10.1.2.3", "")
    assert not any(is_captured_host(log, host) for host in others)
    assert "shop.test" not in repr(log)
    assert len(log.hosts) == len(named) + 1


def test_all_requests_are_kept_where_all_are_asked_for(log):
    found = captured([log], everything=True)
    assert len(found.kept) == found.log.requests == 20_020
    assert {request.weight for request in found.kept} == {1.0}


FLAT = {
    "msec": "1772366405.250",
    "ip": "10.1.2.3",
    "request_method": "GET",
    "request_uri": "/tasks/7?limit=5",
    "status": 200,
    "request_time": "0.250",
    "bytes_sent": 321,
    "http_user_agent": "curl/8",
    "host": "shop.test",
    "cookie_session": "s1",
}


def test_lines_of_one_shape_are_read_like_any_other_json():
    odd = [
        FLAT,
        FLAT | {"http_user_agent": 'a "b" \\ ü'},
        FLAT | {"bytes_sent": None},
        FLAT | {"more": "x", "and": "y"},
        FLAT | {"status": "404"},
        dict(reversed(FLAT.items())),
        {"msec": "1772366405.250", "level": "info"},
        FLAT | {"request_uri": '/a","status":500}'},
        FLAT,
    ]
    raw = "".join(f"{json.dumps(one)}\n" for one in odd) + "nothing\n\n" + json.dumps(FLAT) + "\r\n"
    raw = raw.encode()
    known = formats.recognise(f"{json.dumps(FLAT)}\n".encode() * 3)
    assert type(known).__name__ == "FlatLines"
    found, same = known.parse(memoryview(raw)), known.other.parse(memoryview(raw))
    assert len(found) == 9
    assert set(found.broken) == set(same.broken)
    assert found.hosts == same.hosts == {b"shop.test": 9}
    for name in NUMBERS:
        assert getattr(found, name).tolist() == getattr(same, name).tolist()
    for name in TEXTS:
        assert getattr(found, name).to_pylist() == getattr(same, name).to_pylist()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "t": st.sampled_from(["2026-03-01T12:00:05Z", "never", ""]),
                "path": st.text(max_size=8).map(lambda text: f"/{text}"),
                "method": st.sampled_from(["GET", "", "POST"]),
                "status": st.integers(0, 999),
                "user_agent": st.text(max_size=8) | st.none() | st.integers(),
            }
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_stands_in_lines_of_one_shape(records, spaced):
    marks = (", ", ": ") if spaced else (",", ":")
    first = {
        "t": "2026-03-01T12:00:05Z",
        "path": "/",
        "method": "GET",
        "status": 1,
        "user_agent": "a",
    }
    rename = {"t": "start_time"}
    lines = [
        json.dumps({rename.get(k, k): v for k, v in one.items()}, separators=marks)
        for one in (first, *records)
    ]
    known = formats.recognise(f"{lines[0]}\n".encode())
    raw = memoryview("".join(f"{line}\n" for line in lines).encode())
    found, same = known.parse(raw), known.other.parse(raw)
    assert set(found.broken) == set(same.broken)
    assert found.begin.tolist() == same.begin.tolist()
    assert found.target.to_pylist() == same.target.to_pylist()
    assert found.agent.to_pylist() == same.agent.to_pylist()


def test_what_no_target_answered_is_untimed():
    """A load balancer writes -1 three times: that is no duration of nought."""
    unanswered = ALB.replace(" 0.001 0.248 0.001 ", " -1 -1 -1 ")
    known = formats.recognise(ALB.encode())
    assert unanswered != ALB
    found = known.parse(memoryview(unanswered.encode()))
    assert found.duration_us.tolist() == [UNTIMED]
