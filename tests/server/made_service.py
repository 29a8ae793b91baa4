"""A service for tests: what it was asked, and answers by path that services give at times."""

import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Said = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and content."""


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    client: tuple[str, int]


@dataclass
class Made:
    """A running service."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    marks: dict[str, "Said"] = field(default_factory=dict)  # answers of its own, by path

    def of(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    made: Made

    def handle_error(self, request, client_address):
        """A client that gave up is no matter."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    _answered = False  # something, on this connection

    def log_message(self, *_):
        """Nothing is said."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body, self.client_address)
        self.server.made.asked.append(asked)
        if self.path.startswith("/drops") and self._answered:  # it did it, and did not say so
            self.close_connection = True
            return
        self._answered = True
        status, more, content = self.server.made.marks.get(self.path) or answer(asked)
        if self.path == "/early":  # what is ahead of the answer comes by itself
            self.send_response_only(103)
            self.send_header("Link", "</a.css>; rel=preload")
            self.end_headers()
            time.sleep(0.05)
        self.send_response(status)
        for name, value in more:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if self.path == "/lets-go":  # without a word of it ahead
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's own names


def answer(asked: Asked) -> Said:
    """What a service says to that."""
    path, cookies = asked.path, asked.headers.get("cookie", "")
    if path == "/slow":
        time.sleep(2.0)
    if path == "/broken":
        return 500, [], b"no"
    if path == "/moved":
        return 302, [("Location", "/elsewhere")], b""
    if path == "/closes":
        return 200, [("Connection", "close")], b"bye"
    if path == "/form":
        page = b'<form><input type="hidden" name="authenticity_token" value="tok-1"></form>'
        return 200, [("Content-Type", "text/html"), ("Set-Cookie", "csrftoken=c1; Path=/")], page
    if path == "/login":
        return 200, [("Set-Cookie", f"sid={asked.body.decode()}")], b'{"token": "t"}'
    if path == "/mine":
        return (200 if "sid=" in cookies else 401), [], b"{}"
    return 200, [], b"ok"


@contextmanager
def serving(certificate: str | None = None) -> Iterator[Made]:
    """The service, over TLS where a file with key and certificate is given."""
    server = _Server(("127.0.0.1", 0), _Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    server.made = Made(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def new_certificate(directory) -> str:
    """A file with a key and its self-signed certificate, for 127.0.0.1."""
    file = directory / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text((directory / "key.pem").read_text() + (directory / "cert.pem").read_text())
    return str(file)
