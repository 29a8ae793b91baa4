"""Messages of servers that speak another language, told in English: what `messages` and `contention` read.

PostgreSQL translates the frame of a message by fixed strings, never the SQL, the names and the numbers
in it; so a message that a string of the language's made is put into the English one's frame. Logs in
English never come here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa

from replay.capture.executions import Mask
from replay.capture.formats.columns import Columns, Told
from replay.capture.formats.leads import SEVERITY_IN_ENGLISH, spellings
from replay.capture.formats.spans import renamed
from replay.capture.formats.texts import Texts
from replay.capture.translations import BARE, FAILURES, LOCKS, OBJECTS, STATEMENTS, Strings, table

_CONVERSION = re.compile(r"%(?:(\d)\$)?(l?[du]|03d|s)")
_NAME = "%s%s%s"  # of a prepared statement, with its portal's
_FORMS = {"s": b"(.*?)", "03d": rb"(\d{3})"}
_NUMBER, _DURATION = rb"(\d+)", rb"(\d+\.\d{3})"
_PARAMETERS = re.compile(rb": (?:\xc2?\xab(?:\xc2?\xa0| )?)?(?=\$1 = (?:NULL|'))")
_TOLD = b"arameters: $1 = "


@dataclass(frozen=True, slots=True)
class _Frame:
    """One string's translation, and the English one's pieces around what stands in it."""

    pattern: re.Pattern[bytes]
    pieces: tuple[bytes, ...]
    groups: tuple[int, ...]  # what stands behind each piece but the last

    @classmethod
    def of(cls, english: str, foreign: bytes, *, head: bool) -> "_Frame":
        """`head`: what the last `%s` of both stands for is the text's rest, and may be anything."""
        own = list(_CONVERSION.finditer(english))
        source, at, order = b"", 0, []
        for number, found in enumerate(_CONVERSION.finditer(foreign.decode("latin-1"))):
            order.append(int(found[1]) - 1 if found[1] else number)
            form = _DURATION if english.startswith("duration: ") and not order[-1] else None
            source += re.escape(foreign[at : found.start()])
            source += form or _FORMS.get(found[2], _NUMBER)
            at = found.end()
        source += re.escape(foreign[at:])
        ends = [0, *(found.end() for found in own)]
        begins = [*(found.start() for found in own), len(english)]
        pieces = [english[end:begin] for end, begin in zip(ends, begins, strict=True)]
        if head:
            source = source.removesuffix(_FORMS["s"])
            pieces.pop()
            order.pop()
        groups = tuple(order.index(number) + 1 for number in range(len(order)))
        whole = b"" if head or english in FAILURES else rb"\Z"
        return cls(
            re.compile(source + whole, re.DOTALL),
            tuple(piece.encode() for piece in pieces),
            groups,
        )


class Language:
    """A language's strings."""

    def __init__(self, strings: Strings) -> None:
        self._heads = _frames(strings, STATEMENTS, head=True)
        self._bare = _frames(strings, (BARE,))
        self._locks = _frames(strings, (*LOCKS, *FAILURES))
        self._objects = _frames(strings, OBJECTS)

    def message(self, text: bytes) -> bytes:
        """What a record of a statement or a wait says, in English; another text as it is."""
        for frame in self._heads:
            found = frame.pattern.match(text)
            if found is not None:
                return _filled(frame, found.groups()) + text[found.end() :]
        return _told(text, self._bare) or self.of_lock(text)

    def of_lock(self, text: bytes) -> bytes:
        """What a message, or a line of its detail or context, says of locks; another as it is."""
        for frame in self._locks:
            found = frame.pattern.match(text)
            if found is not None:
                held = (_told(one, self._objects) or one for one in found.groups())
                return _filled(frame, tuple(held))
        return text


@cache
def language(name: str) -> Language | None:
    """The language of that name, None where its strings are not known."""
    strings = table().get(name)
    return Language(strings) if strings else None


def of_lock(text: bytes, languages: Iterable[str]) -> bytes:
    """What a record's text says of locks, line by line, where it is in one of the languages."""
    for name in languages:
        spoken = language(name)
        if spoken is not None:
            text = b"\n".join(map(spoken.of_lock, text.split(b"\n")))
    return text


def with_severities(columns: Columns) -> Columns:
    """The records with their severities in English."""
    severity = renamed(columns.severity, SEVERITY_IN_ENGLISH)
    return columns if severity is columns.severity else replace(columns, severity=severity)


def told(columns: Columns, rows: Mask, spoken: Language) -> Columns:
    """The records with those rows' messages in English."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes as long to load as all of this stage

    texts, which = Texts.of(columns.message).arrow(), pa.array(rows)
    messages = [spoken.message(text) for text in texts.filter(which).to_pylist()]
    message = pc.replace_with_mask(texts, which, pa.array(messages, pa.binary()))
    return replace(columns, message=message)


def in_english(columns: Columns, languages: Iterable[str]) -> Columns:
    """Records that are read again, of a log that has messages in those languages."""
    columns = with_severities(columns)
    for name in languages:
        spoken = language(name)
        assert spoken is not None  # it was read by its strings before
        columns = replace(
            told(columns, np.ones(len(columns), np.bool_), spoken),
            detail=_announced(columns.detail),
            context=_announced(columns.context),
        )
    return columns


def _announced(column: Told) -> pa.BinaryArray:
    """Texts that list parameters, with the English word ahead of them."""
    texts = Texts.of(column).to_pylist()
    return pa.array(
        [t if _TOLD in t else _PARAMETERS.sub(b": parameters: ", t, count=1) for t in texts],
        pa.binary(),
    )


def _told(text: bytes, frames: Iterable[_Frame]) -> bytes:
    for frame in frames:
        found = frame.pattern.match(text)
        if found is not None:
            return _filled(frame, found.groups())
    return b""


def _filled(frame: _Frame, held: tuple[bytes, ...]) -> bytes:
    parts = [frame.pieces[0]]
    for group, piece in zip(frame.groups, [*frame.pieces[1:], b""], strict=False):
        parts += (held[group - 1], piece)
    return b"".join(parts)


def _frames(strings: Strings, wanted: Iterable[str], *, head: bool = False) -> tuple[_Frame, ...]:
    return tuple(
        _Frame.of(english.replace(_NAME, "%s"), foreign, head=head)
        for english in wanted
        for text in strings.get(english, ())
        for foreign in spellings(text.replace(_NAME, "%s"))
    )
