"""log_line_prefix: what stands ahead of every line of a stderr log (manual, 20.8.3).

A prefix becomes items, escapes and the literals between them, and a pattern for one line's head. The
pattern says what a line is; `walk` reads the same items faster, whole blocks at a time.
"""

import re
from dataclasses import dataclass
from functools import cache

from replay.capture.formats.leads import LEAD_PATTERN

CLIENT = b"client backend"
_STAMP = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d%s (?:[A-Za-z]+|[+-]\d+)"
# Names have 63 bytes, an application's four times as many (`\xe9`). Without a bound, a foreign line
# with many blanks would be tried in too many ways.
TEXT_AT_MOST = {**dict.fromkeys("udi", 128), **dict.fromkeys("a*", 256)}
_HOST = rb"(?:\[\w+\]|[\w.:%-]*?(?:\(\d+\))?)"  # with a port: where only [local] told the prefix
_PATTERNS: dict[str, bytes] = {
    "m": _STAMP % rb"\.\d{3}",
    "t": _STAMP % b"",
    "s": _STAMP % b"",
    "n": rb"\d+\.\d{3}",
    "p": rb"\d+",
    "P": rb"\d*",
    "l": rb"\d+",
    "x": rb"\d+",
    "Q": rb"-?\d+",
    "e": rb"[0-9A-Z]{5}",
    "c": rb"[0-9a-f]+\.[0-9a-f]+",
    "v": rb"[0-9/]*",
    "r": rb"(?:\[\w+\]|[\w.:%-]+\(\d+\)|)",
    "h": _HOST,
    "L": _HOST,
    **{escape: rb"[^\n]{0,%d}?" % most for escape, most in TEXT_AT_MOST.items()},
    # Names with spaces in them, ahead of whatever an extension may call its own.
    "b": rb"(?:(?:dead-end )?client backend|not initialized|standalone backend"
    rb"|autovacuum (?:launcher|worker)|background (?:worker|writer)|(?:parallel|io|slotsync) worker"
    rb"|logical replication (?:(?:(?:parallel )?apply |tablesync )?worker|launcher)|[^\n]*?)",
}
_ITEM = re.compile(r"%(-?\d*)([a-zA-Z%*])|([^%]+|%)")
HEAD_AT_MOST = 1024  # bytes of a line that are searched for its prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One piece of a prefix."""

    escape: str = ""  # its letter, `*` for what is not known (see opened); empty: a literal
    literal: bytes = b""
    padded: bool = False


@dataclass(frozen=True, slots=True)
class Prefix:
    """A log_line_prefix, as the server has it."""

    text: str

    @property
    def items(self) -> tuple[Item, ...]:
        """Its pieces in order; neighbouring literals are one."""
        return _items(self.text)

    @property
    def escapes(self) -> tuple[str, ...]:
        """Letters of its fields in order; one that stands twice is twice here."""
        return tuple(item.escape for item in self.items if item.escape not in ("", "q"))

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """Matches a line's head up to its text: a group per field, and `lead`."""
        return _pattern(self.text)

    @property
    def beyond_q(self) -> str:
        """The first escape that only sessions have; empty where there is none."""
        names = [item.escape for item in self.items if item.escape]
        return next(iter(names[names.index("q") + 1 :]), "") if "q" in names else ""

    @property
    def stamp(self) -> str:
        """The escape that tells a line's time; empty where none does."""
        return next((escape for escape in "nmt" if escape in self.escapes), "")


@cache
def _items(text: str) -> tuple[Item, ...]:
    items: list[Item] = []
    for padding, escape, plain in _ITEM.findall(text):
        literal = (plain or ("%" if escape == "%" else "")).encode()
        if literal and items and items[-1].literal:
            literal = items.pop().literal + literal
        if literal:
            items.append(Item(literal=literal))
        elif escape in _PATTERNS or escape == "q":
            items.append(Item(escape=escape, padded=padding not in ("", "-")))
    return tuple(items)


@cache
def _pattern(text: str) -> re.Pattern[bytes]:
    source, cut = b"", 0
    for item in _items(text):
        if item.escape == "q":
            source += b"(?:"
            cut += 1
        elif not item.escape:
            source += re.escape(item.literal)
        elif item.padded:
            source += b" *(" + _PATTERNS[item.escape] + b") *"
        else:
            source += b"(" + _PATTERNS[item.escape] + b")"
    # What is not a session's stops at %q: the short form is tried first, for messages hold anything.
    return re.compile(source + b")??" * cut + LEAD_PATTERN)
