"""One connection to a service, driven by the event loop: send a request, hear its status.

As `session`, but HTTP/1.1: geventhttpclient's parser reads the answer, a plain non-blocking socket
carries it. A connection that the service closes behind an answer, or lets go while it is idle, is
opened again when the next request needs it, as browsers and clients do; how long that takes is part
of that request's time. What a kept connection took and did not answer is sent again only where twice is
as good as once (RFC 9110, 9.2.2: idempotent methods); of anything else the service may have done it.

A connection is a client's (see `free`): where another gets its place it is closed, and the other has its own.
"""

import contextlib
import errno
import os
import socket
from typing import Any

from geventhttpclient.response import HTTPParseError, HTTPResponse

from replay.load.carrier import READ, WRITE, Heard
from replay.load.clients import PAGE, Clients, is_page
from replay.load.free import OfClient
from replay.load.record import CODE_OK, CODE_UNANSWERED
from replay.load.session import LOST, RUNNING
from replay.load.shard import Call, Line
from replay.load.wire import Plain, Tls
from replay.outcome import http_code
from replay.service import Service

_CHUNK = 1 << 16
_END = b"\r\n"
_IDEMPOTENT = (b"GET ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"TRACE ")


_FINAL = 200  # what comes ahead of it (100 Continue, 103 Early Hints) is not the answer …
_SWITCHED = 101  # … but for this one: another protocol follows, which nobody speaks here


class _Answer(HTTPResponse):
    """What the service answers to one request."""

    @property
    def is_final(self) -> bool:
        """Whether its status is the answer's."""
        code = self.status_code
        return code >= _FINAL or code == _SWITCHED

    def _on_body(self, part: bytearray) -> None:
        """Hold the beginning of a page, which has tokens; of a download of gigabytes nothing."""
        if len(self._body_buffer) < PAGE and is_page(self.get("content-type")):
            self._body_buffer += part


class _Closed:
    def close(self) -> None:
        """There is nothing left to close."""


_CLOSED = _Closed()


class HttpSession(OfClient):
    """A pool slot: its connection to the service, and the request that it carries.

    A request's values are its head without the last line, its captured session, and the body of one
    that writes.
    """

    __slots__ = (
        "_clients",
        "_fresh",
        "_of",
        "_outgoing",
        "_reader",
        "_request",
        "_response",
        "_service",
        "_sock",
        "_taken",
        "_wire",
        "_writer",
    )

    def __init__(
        self,
        slot: int,
        loop: Any,
        heard: Heard,
        *,
        service: Service,
        clients: Clients,
        per_client: int,
    ) -> None:
        super().__init__(slot, loop, heard, per_client)
        self.carrier = self
        self._service = service
        self._clients = clients
        self._sock: socket.socket | None = None
        self._outgoing = b""  # what the socket had no room for

    def detach(self) -> Any:
        """Close the connection; what is given back is closed already."""
        self.close()
        self.state = LOST
        return _CLOSED

    def prepare_anew(self, name: bytes) -> None:
        """Nothing is prepared here."""

    def send(self, _call: Call, line: Line) -> None:
        """Send one request; `answered` follows with its status, or `broken`."""
        head, session, body = line.values
        assert head is not None
        assert session is not None
        self._of = session
        if session != self.client and self.may_be_anothers():
            self.close()
            self.client, self.asked = session, 0
        self.asked += 1
        clients = self._clients
        head = clients.bare(session, head)
        if body is None:
            self._request = head + clients.headers(session, None) + _END
        else:
            method = head[: head.index(b" ")].decode()
            body = clients.filled(session, body)
            self._request = (
                b"%s%sContent-Length: %d\r\n\r\n"
                % (head, clients.headers(session, method), len(body))
            ) + body
        self._transmit()

    def _transmit(self) -> None:
        self._response = _Answer("HEAD" if self._request.startswith(b"HEAD ") else "GET")
        self._taken = False
        if self._sock is not None and not self._may_come_twice() and self._is_let_go(self._sock):
            self.close()
        self._fresh = self._sock is None
        try:
            if self._fresh:
                self._connect()
            else:
                self._put(self._wire.encode(self._request))
        except OSError:
            self._failed()

    def _connect(self) -> None:
        """Begin to connect: the request goes out when the socket can be written to."""
        service = self._service
        sock = socket.socket(service.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock, self.is_open = sock, True
        self.opened += 1
        self._wire = Plain() if service.tls is None else Tls(service.tls, service.host)
        self._outgoing = b""
        self._reader = self.loop.io(sock.fileno(), READ)
        self._writer = self.loop.io(sock.fileno(), WRITE)
        begun = sock.connect_ex(service.address)
        if begun not in (0, errno.EINPROGRESS):
            raise OSError(begun, os.strerror(begun))
        self._writer.start(self._connected)

    def _connected(self) -> None:
        try:
            assert self._sock is not None
            self._writer.stop()
            if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._failed()
            else:
                self._reader.start(self._readable)
                self._put(self._wire.encode(self._request))
        except OSError:
            self._failed()
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self.heard.trap(error)

    def _put(self, data: bytes) -> None:
        """Send bytes; what finds no room waits."""
        assert self._sock is not None
        if not self._outgoing and data:
            with contextlib.suppress(BlockingIOError):
                data = data[self._sock.send(data) :]
                self._taken = True
        if data and not self._outgoing:
            self._writer.start(self._writable)
        self._outgoing += data

    def _writable(self) -> None:
        try:
            data, self._outgoing = self._outgoing, b""
            self._writer.stop()
            self._put(data)
        except OSError:
            self._failed()
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self.heard.trap(error)

    def _readable(self) -> None:
        """Take in what has come; this runs once a request."""
        try:
            assert self._sock is not None
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._ended()
                return
            plain = self._wire.decode(data)
            if pending := self._wire.pending():
                self._put(pending)
            if self.state != RUNNING:
                self.close()  # nothing was asked for
            elif plain:
                self._response.feed(plain)
                if self._response.message_complete and self._response.is_final:
                    self._over()
        except (OSError, HTTPParseError):
            self._failed()
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self.heard.trap(error)

    def _ended(self) -> None:
        """The service has closed the connection: where nothing tells a length, that is the end."""
        response = self._response
        if self.state != RUNNING:
            self.close()
        elif (
            response.headers_complete
            and response.is_final
            and not (response.get("content-length") or response.get("transfer-encoding"))
        ):
            self._over(closed=True)
        else:
            self._failed()

    def _over(self, *, closed: bool = False) -> None:
        """The answer is whole."""
        response = self._response
        self._clients.take(self._of, response)
        if closed or response.should_close():
            self.close()
        code = http_code(response.status_code)
        self.heard.answered(self, code.encode() if code else CODE_OK, response.status_code)

    def _failed(self) -> None:
        """The connection broke. One that was idle before may just have been let go: try a new one."""
        stale = not self._fresh and not self._response.message_begun
        self.close()
        if self.state != RUNNING:
            return
        if not stale:
            self.heard.broken(self)
        elif self._may_come_twice() or not self._taken:
            self._transmit()
        else:
            self.heard.answered(self, CODE_UNANSWERED, -1)

    def _may_come_twice(self) -> bool:
        return self._request.startswith(_IDEMPOTENT)

    @staticmethod
    def _is_let_go(sock: socket.socket) -> bool:
        """Whether the service has ended an idle connection, or said on it what nobody asked for."""
        try:
            sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """End the connection, if there is one; the next request opens another."""
        if self._sock is not None:
            for watcher in (self._reader, self._writer):
                watcher.stop()
                watcher.close()
            self._sock.close()
            self._sock, self.is_open = None, False
