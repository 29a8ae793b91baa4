"""What a literal means, and a literal that means a value.

Lexical rules: PostgreSQL manual, 4.1.2 "Constants". A literal that was cut off means what is there.
"""

import re

from replay.sql.scanner import ESCAPED, NEW_LINE, PLAIN

_PLAIN_PIECE = re.compile(rf"({PLAIN})(?:{NEW_LINE})?")
_ESCAPED_PIECE = re.compile(rf"({ESCAPED})(?:{NEW_LINE})?", re.DOTALL)
_CLOSED = re.compile(r"'([^']*+(?:''[^']*+)*+)'?")
_CLOSED_ESCAPED = re.compile(r"'((?:[^'\\]++|\\.?|'')*+)'?", re.DOTALL)
_UESCAPE = re.compile(r"(?<=')\s*[uU][eE]\w+[^']*'([^'])'?\Z")
_HIGH = "[dD][89abAB][0-9a-fA-F]{2}"
_LOW = "[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(
    rb"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})"
    rb"|(u%s\\u%s|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|(.))|''" % (_HIGH.encode(), _LOW.encode()),
    re.DOTALL,
)
_SHORT_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BITS = re.compile(r"[bBxX]'[^']*'")
_UNKNOWN = "\ufffd"  # no character: a broken escape


def text_of(token: str) -> str:
    """The value of a string literal of any kind."""
    first = token[0]
    if first == "'" and token[-1] == "'" and "\n" not in token and "\r" not in token:
        return token[1:-1].replace("''", "'")  # in one piece; one that was cut off ends in a pair
    if first == "$":
        tag = token[: token.index("$", 1) + 1]
        return token[len(tag) :].removesuffix(tag)
    if first in "eE":
        pieces = _ESCAPED_PIECE.findall(token, 1)
        return "".join(_unescaped(_inside(_CLOSED_ESCAPED, piece)) for piece in pieces)
    start = token.index("'")
    if first in "uU":
        given = _UESCAPE.search(token)
        mark = given[1] if given else "\\"
        body = token[start : given.start()] if given else token[start:]
        pieces = _PLAIN_PIECE.findall(body)
        text = "".join(_inside(_CLOSED, piece) for piece in pieces).replace("''", "'")
        return _unicode(text, mark)
    pieces = _PLAIN_PIECE.findall(token, start)
    return "".join(_inside(_CLOSED, piece) for piece in pieces).replace("''", "'")


def number_of(token: str) -> str:
    """A numeric literal in plain decimals: 0x1F is 31, 1_000 is 1000, .5 is 0.5; 1e5 stays."""
    digits = token.replace("_", "")
    if digits[:2].lower() in {"0x", "0o", "0b"}:
        return str(int(digits, 0))
    whole, point, fraction = digits.partition(".")
    if point:
        if not fraction[:1].isdecimal():
            fraction = f"0{fraction}"
        return f"{_without_zeros(whole)}.{fraction}"
    return _without_zeros(whole)


def bits_of(token: str) -> str:
    """A bit string literal, whole and in one piece: B'…' or X'…'; quotes inside are no digits."""
    pieces = _PLAIN_PIECE.findall(token, 1)
    digits = "".join(_inside(_CLOSED, piece) for piece in pieces).replace("'", "")
    return f"{token[0]}'{digits}'"


def number_literal(value: str) -> str:
    """A literal for a value that was written as a number; quoted where it is none."""
    return value if _NUMBER.fullmatch(value) else string_literal(value)


def bits_literal(value: str) -> str:
    """A literal for a value that was written as a bit string."""
    return value if _BITS.fullmatch(value) else string_literal(value)


def string_literal(value: str) -> str:
    """A string literal that means the value under any setting of standard_conforming_strings."""
    body = value.replace("'", "''")
    return f"E'{body.replace(chr(92), chr(92) * 2)}'" if "\\" in body else f"'{body}'"


def _inside(closed: re.Pattern[str], piece: str) -> str:
    found = closed.fullmatch(piece)
    assert found is not None  # the pieces were cut by the same rule
    return found[1]


def _without_zeros(digits: str) -> str:
    """Whole digits, perhaps with an exponent, without the zeros before them."""
    kept = digits.lstrip("0")
    return kept if kept[:1].isdecimal() else f"0{kept}"


def _unescaped(body: str) -> str:
    """Escapes name bytes of the text's encoding, which is UTF-8."""
    if "\\" not in body:
        return body.replace("''", "'")
    raw = _ESCAPE.sub(_escaped, body.encode("utf-8", "replace"))
    return raw.decode("utf-8", "replace").replace("\0", _UNKNOWN)


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes([int(found[1], 16)])
    if found[2]:
        return bytes([int(found[2], 8) & 0xFF])
    if found[3]:
        digits = [int(part, 16) for part in re.split(rb"\\?[uU]", found[3]) if part]
        return _character(*digits).encode()
    return _SHORT_ESCAPES.get(found[4], found[4]) if found[4] else b"'"


def _unicode(text: str, mark: str) -> str:
    if mark not in text:
        return text
    one = re.escape(mark)
    escape = re.compile(
        rf"{one}(?:({_HIGH}){one}({_LOW})|\+([0-9a-fA-F]{{6}})|([0-9a-fA-F]{{4}})|{one})"
    )

    def decoded(found: re.Match[str]) -> str:
        digits = [int(part, 16) for part in found.groups() if part]
        return _character(*digits) if digits else mark

    return escape.sub(decoded, text)


def _character(code: int, low: int = 0) -> str:
    """The character of a code point, or of a pair of surrogates."""
    if low:
        code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else _UNKNOWN
