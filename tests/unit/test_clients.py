"""What a captured session's client keeps of answers: cookies as long as they last, pages, little else."""

import gzip

import pytest

from replay.load.clients import PAGE, Clients
from replay.load.httpsession import _Answer


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("sid=1; Path=/; HttpOnly", True),
        ("sid=1; Max-Age=3600", True),
        ("sid=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT", True),
        ("sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", True),  # Max-Age comes first
        ("sid=1; Expires=Fri, 31 Dec 99999 00:00:00 GMT", True),
        ("sid=1; Expires=soon", True),
        ("sid=; Path=/", False),
        ("sid=gone; Max-Age=0", False),
        ("sid=gone; max-age=-1", False),
        ("sid=gone; expires=Thu, 01-Jan-1970 00:00:01 GMT", False),
    ],
)
def test_a_cookie_lasts_as_long_as_it_says(line, is_kept):
    clients = Clients()
    clients.set_cookies(b"s", ["sid=0", "other=2"])
    clients.set_cookies(b"s", [line])
    assert clients.client(b"s").cookies == ({"sid": "1"} if is_kept else {}) | {"other": "2"}
    assert clients.client(b"another").cookies == {}


@pytest.mark.parametrize(
    ("kind", "held"), [("text/html; charset=utf-8", True), ("video/mp4", False)]
)
def test_of_what_comes_only_the_beginning_of_a_page_is_held(kind, held):
    """A route that sends gigabytes is no reason to hold them."""
    answer, size = _Answer("GET"), 4 * PAGE
    answer.feed(
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    for _ in range(size // 65_536):
        answer.feed(b"x" * 65_536)
    assert answer.message_complete
    assert len(answer._body_buffer) == (PAGE if held else 0)


def test_a_page_that_comes_packed_is_read():
    clients, page = Clients(), b'<input name="_csrf" value="tok-7">' + b" " * 5 * PAGE
    for content, token in ((gzip.compress(page), "tok-7"), (b"no gzip at all", "")):
        answer = _Answer("GET")
        answer.feed(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
        )
        session = token.encode()
        clients.take(session, answer)
        assert clients.client(session).token == token


def test_headers_of_a_login_take_the_place_of_captured_ones():
    clients = Clients()
    head = b"GET / HTTP/1.1\r\nHost: here\r\nUser-Agent: x\r\nAccept: a/b\r\nRange: bytes=0-\r\n"
    assert clients.bare(b"s", head) is head
    clients.client(b"s").headers.update({"accept": "c/d", "range": "bytes=9-", "user-agent": "y"})
    assert clients.bare(b"s", head) == b"GET / HTTP/1.1\r\nHost: here\r\n"
    assert clients.bare(b"other", head) is head


def test_an_interim_answer_is_not_the_answer():
    answer = _Answer("GET")
    answer.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    assert (answer.message_complete, answer.is_final) == (True, False)
    answer.feed(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
    assert (answer.message_complete, answer.is_final, answer.status_code) == (True, True, 201)
