"""Statements straight over a connection's socket: what the protocol needs, and nothing else.

libpq makes an object of every answer and is asked five times whether there is more of it; that
costs more than the statement's way through the kernel. It opens the connection and closes it, and
in between nobody asks it.
"""

import struct
from os import read, write
from typing import Any

from replay.load.carrier import READ, WRITE, Heard, Owner
from replay.load.native.layout import FRESH, PREPARED, RENAMED
from replay.load.protocol import HEAD, ROW, Answer, Usual, execute, parse, query
from replay.load.record import CODE_OK
from replay.load.shard import Call, Line

_CHUNK = 1 << 14
_NONE = Call(template=-1, text=b"", name=b"", simple=True, number=-1)
_NO_BEGIN = (b"", 0)
_length = struct.Struct(">I").unpack_from


class Direct:
    """Carries one session's statements over a socket without TLS."""

    __slots__ = (
        "_anew",
        "_answer",
        "_answered",
        "_begins",
        "_call",
        "_ends",
        "_expecting",
        "_fd",
        "_first",
        "_heard",
        "_owner",
        "_preparing",
        "_reader",
        "_ready",
        "_renamed",
        "_unsent",
        "_usual",
        "_whole",
        "_writer",
    )

    def __init__(self, owner: Owner, fd: int, loop: Any, usual: Usual, heard: Heard) -> None:
        """`usual` is what all sessions have learned of the server's answers."""
        self._owner = owner
        self._fd = fd
        self._usual = usual
        self._begins, self._ends = usual.begins, usual.ends
        self._heard = heard
        self._answered = heard.answered
        self._answer = Answer()
        self._ready: set[bytes] = set()  # statements that are prepared under their own name
        self._anew: dict[bytes, bytes] = {}  # those that had to be prepared again, and their name
        self._renamed = 0
        self._preparing = (b"", b"")
        self._call = _NONE
        self._whole = True  # nothing but whole messages has come
        self._first = False  # nothing of the answer has come
        self._expecting = False
        self._unsent = b""  # what the socket had no room for
        self._reader, self._writer = loop.io(fd, READ), loop.io(fd, WRITE)
        self._reader.start(self.readable)

    def close(self) -> None:
        """Stop watching."""
        for watcher in (self._reader, self._writer):
            watcher.stop()
            watcher.close()

    def stop_reading(self) -> int:
        """Leave it to others to see that something has come; the socket's descriptor."""
        self._reader.stop()
        return self._fd

    def take_over(self, call: Call, line: Line, sent: int | None = None) -> None:
        """A statement was sent by others, whole or `sent` bytes of it: hear what comes of it."""
        self._call = call
        self._first = self._whole
        self._expecting = True
        if call.name and call.name not in self._ready:
            self._preparing = call.name, call.name
        if sent is not None:
            self._unsent = self._message(call, line)[max(sent, 0) :]
            self._writer.start(self._writable)

    def readiness(self, name: bytes) -> int:
        """How far a statement is: FRESH, PREPARED or RENAMED (see native.layout)."""
        if name in self._ready:
            return PREPARED
        return RENAMED if self._renamed else FRESH

    def was_prepared(self, name: bytes) -> None:
        """Others have prepared a statement, under its own name."""
        self._ready.add(name)

    def prepare_anew(self, name: bytes) -> None:
        """The server no longer takes this prepared statement: another takes its place."""
        self._ready.discard(name)
        self._anew.pop(name, None)
        self._renamed += 1

    def send(self, call: Call, line: Line) -> None:
        """Send one statement."""
        self._call = call
        self._first = self._whole
        self._expecting = True
        message = self._message(call, line)
        try:
            sent = write(self._fd, message)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._heard.broken(self._owner)
            return
        if sent != len(message):
            self._unsent = message[sent:]
            self._writer.start(self._writable)

    def _message(self, call: Call, line: Line) -> bytes:
        """What asks the server to run it, and before that to prepare it where it is not yet."""
        if call.name in self._ready:
            return line.message
        if call.simple and not line.values:
            return query(call.text)
        if not call.name:
            return parse(b"", call.text) + line.bare()
        if anew := self._anew.get(call.name):
            return execute(anew, line.bound())
        name = call.name
        if self._renamed:
            name = b"%b_%d" % (name, self._renamed)
        self._preparing = call.name, name
        return parse(name, call.text) + execute(name, line.bound())

    def readable(self) -> None:
        """Take in what has come: this runs once a statement, so the usual answer is told here."""
        try:
            data = read(self._fd, _CHUNK)
            if self._first:
                begin, at = self._begins.get(self._call.number, _NO_BEGIN)
                if data[:at] == begin:
                    rest = len(data) - HEAD
                    while at < rest and data[at] == ROW:
                        at += 1 + _length(data, at + 1)[0]
                    end = self._ends.get(data[at:])
                    if end is not None:
                        self._first = self._expecting = False
                        rows, self._owner.in_transaction = end
                        self._answered(self._owner, CODE_OK, rows)
                        return
            self.take_in(data)
        except BlockingIOError:
            return
        except OSError:
            self._heard.broken(self._owner)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._heard.trap(error)

    def take_in(self, data: bytes) -> None:
        """An answer that is not as usual, or a part of one, or what comes in between."""
        answer = self._answer
        first, self._first = self._first, False
        ready = answer.feed(data)
        self._whole = not answer.partial
        if not data or answer.asks_for_data:  # for which only another connection helps
            self._heard.broken(self._owner)
        elif ready:
            self._owner.in_transaction = answer.in_transaction
            if answer.parsed and self._preparing[0]:
                own, name = self._preparing
                if own == name:
                    self._ready.add(own)
                else:
                    self._anew[own] = name
            elif first and answer.code is CODE_OK:
                self._usual.learn(self._call.number, data)
            self._preparing = (b"", b"")
            code, rows = answer.code, answer.rows
            answer.begin()
            if self._expecting:
                self._expecting = False
                self._answered(self._owner, code, rows if code is CODE_OK else -1)

    def _writable(self) -> None:
        try:
            self._unsent = self._unsent[write(self._fd, self._unsent) :]
            if not self._unsent:
                self._writer.stop()
        except BlockingIOError:
            return
        except OSError:
            self._heard.broken(self._owner)
        except BaseException as error:  # noqa: BLE001 - the hub would swallow it
            self._heard.trap(error)
