"""PostgreSQL's frontend/backend protocol, version 3, as far as a replay needs it: pure, no socket.

Messages that carry one statement, and what the server says to it until it is ready for the next.
What has come is counted and let go: an answer of a million rows is never held.

Source: PostgreSQL 18, "Message Flow" and "Message Formats" (chapter 54 of the manual).
"""

from collections.abc import Sequence

from replay.load.record import CODE_OK

HEAD = 5  # bytes of a message's kind, and of its length, in which the kind does not count
_DONE, ROW, _ERROR, _DESCRIBED, _READY, _PARSED = b"CDETZ1"
_BEFORE_ROWS = b"12Tn"  # parsed, bound, and what the rows are, or that there are none
_COPIES = b"GHW"
_IDLE = ord("I")  # of _READY: no transaction is open
_UNKNOWN_ERROR = b"08P01"  # an error without a SQLSTATE is a protocol violation
_NULL = b"\xff\xff\xff\xff"
_READY_AND = b"Z\0\0\0\x05I"  # as long as any of its kind
_ENDS = 4096  # that are known at most


def _sized(number: int) -> bytes:
    return number.to_bytes(4, "big")


# Results as text; describe what comes; run it to its end; that is all.
_AND_RUN = b"\0\0" + b"D\0\0\0\x06P\0" + b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\x04"


def query(text: bytes) -> bytes:
    """A text by the simple protocol."""
    return b"Q%b%b\0" % (_sized(len(text) + 5), text)


def parse(name: bytes, text: bytes) -> bytes:
    """Prepare a statement; the types of its parameters are the server's to find."""
    return b"P%b%b\0%b\0\0\0" % (_sized(len(name) + len(text) + 8), name, text)


def execute(name: bytes, values: Sequence[bytes | None]) -> bytes:
    """Bind a prepared statement's values, as text, and run it."""
    parts = [b"\0", name, b"\0\0\0", len(values).to_bytes(2, "big")]
    for value in values:
        parts += (_NULL,) if value is None else (_sized(len(value)), value)
    bound = b"".join(parts)
    return b"".join((b"B", _sized(len(bound) + 6), bound, _AND_RUN))


def values_of(message: bytes) -> tuple[bytes | None, ...]:
    """The values that a statement is executed with."""
    at = message.index(b"\0", HEAD + 1) + 3  # no portal, the name, no formats
    count = int.from_bytes(message[at : at + 2], "big")
    at += 2
    found: list[bytes | None] = []
    for _ in range(count):
        size = int.from_bytes(message[at : at + 4], "big", signed=True)
        at += 4
        found.append(None if size < 0 else message[at : at + size])
        at += max(size, 0)
    return tuple(found)


class Answer:
    """What the server says to one statement: `begin`, then `feed` until the server is ready."""

    __slots__ = (
        "_described",
        "_rows",
        "_to_skip",
        "asks_for_data",
        "code",
        "in_transaction",
        "parsed",
        "partial",
        "rows",
    )

    def __init__(self) -> None:
        self.partial = b""  # the beginning of a message
        self._to_skip = 0  # bytes still to come of a row, of which nothing is needed
        self.in_transaction = False  # the server has one open, failed or not
        self.begin()

    def begin(self) -> None:
        """Another statement is sent."""
        self.code = CODE_OK  # or the SQLSTATE
        self.rows = -1  # over all of a text's statements; -1: none of them counts rows
        self.parsed = False  # it is prepared now
        self.asks_for_data = False  # COPY
        self._described = False  # rows may come …
        self._rows = 0  # … and so many have

    def feed(self, data: bytes) -> bool:
        """Take in what has come; whether the server is ready for the next statement."""
        if self._to_skip:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        if self.partial:
            data = self.partial + data
        ready = False
        at, end = 0, len(data)
        while end - at >= HEAD:
            kind = data[at]
            after = at + _size(data, at)
            if kind == ROW:
                self._rows += 1
                self._to_skip = max(after - end, 0)
                after = min(after, end)
            elif after > end:
                break
            elif kind == _READY:
                ready = True
                self.in_transaction = data[at + HEAD] != _IDLE
            elif (
                not ready
            ):  # what comes behind, as the end of the session, is not of this statement
                self._take_in(kind, data[at + HEAD : after])
            at = after
        self.partial = data[at:]
        return ready

    def _take_in(self, kind: int, content: bytes) -> None:
        if kind == _DONE:
            count = _counted(content)
            if count is None and self._described:
                count = self._rows
            if count is not None:
                self.rows = max(self.rows, 0) + count
            self._described, self._rows = False, 0
        elif kind == _DESCRIBED:
            self._described = True
        elif kind == _PARSED:
            self.parsed = True
        elif kind == _ERROR:
            fields = content.split(b"\0")
            found = (field[1:] for field in fields if field[:1] == b"C")
            self.code = next(found, _UNKNOWN_ERROR)
        elif kind in _COPIES:
            self.asks_for_data = True


def _counted(tag: bytes) -> int | None:
    """The rows that a command's tag speaks of, as in `INSERT 0 5`."""
    last = tag.rstrip(b"\0").rpartition(b" ")[2]
    return int(last) if last.isdigit() else None


class Usual:
    """How the server usually answers: byte by byte the same each time, but for the rows.

    To look whether an answer is as the one before costs a tenth of taking it in. `begins` has, by
    call, what comes before the rows; `ends` what comes after them: how many there were, and whether
    a transaction is open. An answer that has both, and whole rows between them, is understood.
    """

    def __init__(self) -> None:
        self.begins: dict[int, tuple[bytes, int]] = {}  # and its length
        self.ends: dict[bytes, tuple[int, bool]] = {}

    def learn(self, call: int, data: bytes) -> None:
        """Keep how this answer looks, the only one in the data, where it is a plain one."""
        begin = _past(data, 0, _BEFORE_ROWS)
        end = _past(data, begin, b"D")
        done = data[end:]
        if done[:1] != b"C" or _size(done, 0) + len(_READY_AND) != len(done):
            return
        count = _counted(done[HEAD : -len(_READY_AND)])
        if count is None and b"T" in data[:begin]:
            return  # only the rows themselves tell how many they are
        self.begins[call] = data[:begin], begin
        if len(self.ends) < _ENDS:
            self.ends[done] = (-1 if count is None else count, done[-1] != _IDLE)


def _past(data: bytes, at: int, kinds: bytes) -> int:
    """Behind the messages of some kinds that begin here."""
    while at < len(data) and data[at] in kinds:
        at += _size(data, at)
    return at


def _size(data: bytes, at: int) -> int:
    """Bytes of the message that begins here."""
    return 1 + int.from_bytes(data[at + 1 : at + HEAD], "big")
