"""The load on a service as services are: they close, are slow, fail, speak TLS, and know their clients."""

import shutil
import socket
import sys
import threading
from collections import Counter

import pytest
from made_nginx import NGINX, nginx
from made_service import new_certificate, serving

from replay import rundir, service
from replay.errors import EnvironmentFaultError, InputError, RefusedError
from replay.load import shard, sharding
from replay.load.clients import CSRF_MARK, FRESH_MARK, Clients
from replay.load.launch import launch
from replay.load.login import LoginClient, hook, log_in
from replay.load.planned import PlannedStatement, PlannedTransaction

ROUNDS = 4
LOGIN = """
def login(number, client):
    answer = client.post("/login", f"u{number}")
    return {"Authorization": "Bearer " + answer.json()["token"]}

def refuses(number, client):
    raise ValueError("no such user")

def text(number, client):
    return "Bearer " + str(number)
"""


def request(due_ms, method, path, *, session="s", body=None, own=False):
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n".encode()
    statement = PlannedStatement(
        template=f"{abs(hash(path)) % 16**8:016x}",
        sql=f"{method} {path}",
        prepared=None,
        values=(head, session.encode(), body),
    )
    return PlannedTransaction(
        due_us=due_ms * 1000, statements=(statement,), session=session if own else ""
    )


def driven(directory, url, requests, *, pool=4, timeout_ms=10_000, **client):
    """Attempts (method and path -> outcomes) of a load on a service."""
    sharding.write_shards(directory / "load", requests)
    (directory / "run").mkdir()
    report = launch(
        directory / "load",
        dsn="",
        run=directory / "run",
        scenario="mix",
        pool=pool,
        pool_timeout_ms=5000,
        statement_timeout_ms=timeout_ms,
        duration_s=max(one.due_us for one in requests) / 1e6 + 0.1,
        drain_s=4.0,
        service=url,
        client=client,
    )
    index = shard.read_index(directory / "load")
    shown = dict(zip(index.templates, index.examples, strict=True))
    found = {}
    for row in rundir.read_table(directory / "run", "attempts").to_pylist():
        found.setdefault(shown[row["template"]], Counter())[row["outcome"], row["rows"]] += 1
    return found, report


PLAIN = ("/quick", "/early", "/closes", "/lets-go", "/broken", "/moved", "/elsewhere/not")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What came of a load on each kind of path, and what the service saw."""
    requests = [
        request(100 * n + 12 * at, "GET", path)
        for n in range(ROUNDS)
        for at, path in enumerate(PLAIN)
    ]
    requests += [
        *(request(400, "GET", "/form", session=name) for name in ("a", "b")),
        request(480, "POST", "/act", session="a", body=f"t={CSRF_MARK}&k={FRESH_MARK}".encode()),
        request(490, "POST", "/act", session="a", body=f"t={CSRF_MARK}&k={FRESH_MARK}".encode()),
        request(495, "DELETE", "/act", session="new", body=b""),
        request(500, "GET", "/slow"),
    ]
    with serving() as made:
        found, report = driven(
            tmp_path_factory.mktemp("plain"), made.url, requests, timeout_ms=900, fresh="X-Call"
        )
    return found, report, made


def test_each_answer_is_told_by_its_status(plain):
    found, _, _ = plain
    assert found["GET /quick"] == {("ok", 200): ROUNDS}
    assert found["GET /broken"] == {("http 500", 500): ROUNDS}
    assert found["GET /moved"] == {("ok", 302): ROUNDS}


def test_what_comes_ahead_of_an_answer_is_not_the_answer(plain):
    found, _, _ = plain
    assert found["GET /early"] == {("ok", 200): ROUNDS}


def test_a_connection_that_was_closed_is_opened_again(plain):
    found, _, _ = plain
    for path in ("/closes", "/lets-go"):
        assert found[f"GET {path}"] == {("ok", 200): ROUNDS}


def test_what_a_kept_connection_took_is_sent_again_only_where_twice_is_as_good_as_once(tmp_path):
    """The service takes what comes below `/drops` on a connection that it knows, and lets go of that."""
    asked = [
        *(("GET", "/drops/a"), ("POST", "/drops/b"), ("PUT", "/drops/c"), ("POST", "/lets-go")),
        *(("POST", "/after"), ("GET", "/drops/a")),
    ]
    both = []
    for at, (method, path) in enumerate(asked):
        body = None if method == "GET" else b"{}"
        both += [
            request(120 * at, "GET", "/quick"),
            request(120 * at + 60, method, path, body=body),
        ]
    with serving() as made:
        found, _ = driven(tmp_path, made.url, both, pool=1)
    assert found["GET /quick"] == {("ok", 200): len(asked)}
    assert found["GET /drops/a"] == {("ok", 200): 2}
    assert found["PUT /drops/c"] == {("ok", 200): 1}
    assert found["POST /drops/b"] == {("unanswered", -1): 1}
    assert found["POST /after"] == {("ok", 200): 1}
    assert len(made.of("/drops/b")) == len(made.of("/after")) == len(made.of("/lets-go")) == 1
    assert len(made.of("/drops/c")) == 2


def test_redirects_are_not_followed(plain):
    _, _, made = plain
    assert not made.of("/elsewhere")


def test_a_request_is_given_up_after_the_clients_patience(plain):
    found, report, _ = plain
    assert found["GET /slow"] == {("lost", -1): 1}
    assert report.workers[0].lost_connections == 1


def test_tokens_against_forgery_are_the_sessions_own_and_keys_are_new(plain):
    _, _, made = plain
    first, second = (one for one in made.of("/act") if one.method == "POST")
    keys = []
    for one in (first, second):
        assert one.headers["cookie"] == "csrftoken=c1"
        assert one.headers["x-csrftoken"] == "c1"
        assert one.headers["x-csrf-token"] == "tok-1"
        field, _, key = one.body.decode().partition("&k=")
        assert field == "t=tok-1"
        keys += [key, one.headers["idempotency-key"], one.headers["x-call"]]
    assert len(set(keys)) == len(keys)
    (deleted,) = (one for one in made.of("/act") if one.method == "DELETE")
    assert "cookie" not in deleted.headers
    assert "idempotency-key" not in deleted.headers


def test_every_session_logs_in_and_keeps_its_connection(tmp_path):
    """A recording: a connection for each captured session."""
    (tmp_path / "hook.py").write_text(LOGIN)
    sessions = [f"s{n}" for n in range(3)]
    requests = [
        request(40 * n + at, "GET", "/mine", session=name, own=True)
        for n in range(4)
        for at, name in enumerate(sessions)
    ]
    with serving() as made:
        found, _ = driven(tmp_path, made.url, requests, login=f"{tmp_path}/hook.py:login")
    assert found["GET /mine"] == {("ok", 200): 12}
    by_cookie = {}
    for one in made.of("/mine"):
        assert one.headers["authorization"] == "Bearer t"
        by_cookie.setdefault(one.headers["cookie"], set()).add(one.client)
    assert set(by_cookie) == {"sid=u0", "sid=u1", "sid=u2"}
    assert all(len(clients) == 1 for clients in by_cookie.values())


def test_in_a_mix_too_each_session_has_a_connection_of_its_own(tmp_path):
    """Of three places one is given up to a fourth session, that of whom nobody asked for longest."""
    asked = "abcabcabcdbcda"
    requests = [request(30 * n, "GET", f"/of/{name}", session=name) for n, name in enumerate(asked)]
    with serving() as made:
        found, report = driven(tmp_path, made.url, requests, pool=3)
    assert {outcome for of in found.values() for outcome in of} == {("ok", 200)}
    over = {name: [one.client for one in made.of(f"/of/{name}")] for name in "abcd"}
    assert [len(set(over[name])) for name in "abcd"] == [2, 1, 1, 1]
    assert len(set(over["a"][:3])) == 1
    assert len({client for of in over.values() for client in of}) == 5
    assert report.workers[0].opened == 5


def test_a_login_by_a_form_has_the_pages_token_and_cookies():
    with serving() as made:
        client = LoginClient(service.find(made.url), Clients(), b"s")
        assert client.token == ""
        assert client.get("/form").status == 200
        answer = client.post("/login", f"name=u1&authenticity_token={client.token}")
    assert answer.json() == {"token": "t"}
    (sent,) = made.of("/login")
    assert sent.body == b"name=u1&authenticity_token=tok-1"
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["cookie"] == "csrftoken=c1"


def test_a_login_that_fails_says_whose_and_why(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "hook.py").write_text(f"from people_of_staging import NAMES\n{LOGIN}")
    (tmp_path / "people_of_staging.py").write_text("NAMES = 7")  # beside it
    refuses, text = (hook(f"{tmp_path}/hook.py:{name}") for name in ("refuses", "text"))
    with serving() as made:
        where = service.find(made.url)
        with pytest.raises(EnvironmentFaultError, match=r"session 0 .* ValueError: no such user"):
            log_in(refuses, where, Clients(), [b"s"])
        with pytest.raises(EnvironmentFaultError, match=r"session 0 could not log in: ValueError"):
            log_in(text, where, Clients(), [b"s"])
    with pytest.raises(InputError, match="no attribute 'nobody'"):
        hook(f"{tmp_path}/hook.py:nobody")
    (tmp_path / "hook.py").write_text("1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        hook(f"{tmp_path}/hook.py:login")


@pytest.mark.parametrize(
    ("said", "is_staging"),
    [
        ((200, [], b"staging\n"), True),
        ((404, [("Replay-Staging", "staging")], b"no such page"), True),
        ((404, [], b"staging"), False),
        ((200, [], b"<script>const links = {staging: 'https://staging.shop.test'}"), False),
        ((200, [("Replay-Staging", "no")], b"ok"), False),
    ],
)
def test_another_machine_must_say_that_it_is_staging(monkeypatch, said, is_staging):
    """A page that answers to everything, and speaks of staging somewhere, does not say so."""
    monkeypatch.setattr(service, "_is_loopback", lambda _: False)
    with serving() as made:
        made.marks["/base" + service.MARKER] = said
        where = service.find(f"{made.url}/base")
        if is_staging:
            service.require_staging(where)
        else:
            with pytest.raises(RefusedError, match="is not proven to be staging"):
                service.require_staging(where)
    assert [one.path for one in made.asked] == ["/base" + service.MARKER]


def test_who_lets_the_first_connection_go_is_asked_once_more():
    """A service that is busy, or begins anew just now."""
    asked = []

    def serve(listening):
        while len(asked) < 2:
            connection, _ = listening.accept()
            with connection:
                if said := connection.recv(4096):
                    asked.append(said)
                    if len(asked) == 2:
                        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        service.require_staging(service.find(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        thread.join()
    assert [said.split()[1].decode() for said in asked] == [service.MARKER] * 2


def test_of_several_addresses_the_one_that_is_asked_is_the_one_that_is_used(monkeypatch):
    """`localhost` is two addresses, and a service often listens at one of them alone."""
    with serving() as made, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # and does not listen
        port = int(made.url.rpartition(":")[2])
        way = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        ways = [(*way, dead.getsockname()), (*way, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ways)
        where = service.find(f"http://shop.test:{port}")
        assert where.address == ("127.0.0.1", port)
        service.require_staging(where)
    assert made.asked[0].headers["host"] == f"shop.test:{port}"


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_tls_with_a_certificate_of_ones_own(tmp_path):
    """One at a time, on the connection that was used last: of a pool of four no other is opened."""
    certificate = new_certificate(tmp_path)
    with serving(certificate) as made:
        found, _ = driven(
            tmp_path, made.url, [request(n * 80, "GET", "/quick") for n in range(5)], ca=certificate
        )
        assert len({one.client for one in made.of("/quick")}) == 1
        assert found["GET /quick"] == {("ok", 200): 5}
        service.require_staging(service.find(made.url, insecure=True))
        (tmp_path / "other").mkdir()
        other = new_certificate(tmp_path / "other")
        with pytest.raises(EnvironmentFaultError, match="certificate"):
            service.require_staging(service.find(made.url, ca=other))


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed here")
def test_through_nginx_which_closes_now_and_then_and_gives_up(tmp_path):
    """nginx lets a connection go after three requests, and does not wait for a slow service."""
    often = "keepalive_requests 3; proxy_read_timeout 300ms;"
    with serving() as made, nginx(tmp_path, made.url, more=often) as url:
        requests = [request(20 * n, "GET", "/quick") for n in range(10)]
        requests.append(request(210, "GET", "/slow"))
        found, report = driven(tmp_path, url, requests, pool=2)
    assert found["GET /quick"] == {("ok", 200): 10}
    assert found["GET /slow"] == {("http 504", 504): 1}
    assert report.workers[0].lost_connections == 0
