"""Values out of a statement and back into it: every literal becomes a numbered slot.

`extract` gives text in which each bound parameter and each literal is a `$n`, so that it can be
parsed and planned; `render` puts literals back inline, quoted anew, for sending.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from replay.sql.scanner import Lexeme, scan
from replay.sql.text import joined

_LETTERS = {Lexeme.STRING: "s", Lexeme.NUMBER: "n", Lexeme.BITS: "b"}
_PIECES = re.compile(r"""("(?:[^"]|"")*")|\$(\d+)""")
_NUMBER = re.compile(
    r"-?(?:0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)"
)
_BITS = re.compile(r"[bBxX]'[0-9a-fA-F]*'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    """A statement with its values taken out; see workload for slots."""

    sql: str
    slots: str  # a letter a slot: p, s, n, b
    literals: tuple[str, ...]  # values of the slots that are no parameters, in order


def extract(sql: str) -> Slotted:
    """Take the literals out; comments and trailing semicolons go too. Never raises."""
    tokens = scan(sql)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    parameters = max((int(t.text[1:]) for t in tokens if t.lexeme is Lexeme.PARAMETER), default=0)
    pieces: list[str] = []
    slots = ["p"] * parameters
    literals: list[str] = []
    for token in tokens:
        text = token.text
        if token.lexeme in _LETTERS:
            slots.append(_LETTERS[token.lexeme])
            literals.append(token.value)
            text = f"${len(slots)}"
        pieces.append(text)
    return Slotted(sql=joined(pieces), slots="".join(slots), literals=tuple(literals))


def render(
    sql: str, slots: str, values: Sequence[str | None]
) -> tuple[str, tuple[str | None, ...]]:
    """Put literals back: the text to send, with `$n` for bound parameters only, and their values."""

    def inlined(found: re.Match[str]) -> str:
        if found.group(1):
            return found.group(1)  # a quoted identifier, whatever stands in it
        number = int(found.group(2))
        letter = slots[number - 1]
        return found.group() if letter == "p" else _literal(letter, values[number - 1])

    return _PIECES.sub(inlined, sql), tuple(
        value for letter, value in zip(slots, values, strict=True) if letter == "p"
    )


def quoted(value: str) -> str:
    """A string literal that means the value under any setting of standard_conforming_strings."""
    body = value.replace("'", "''")
    return f"E'{body.replace(chr(92), chr(92) * 2)}'" if "\\" in body else f"'{body}'"


def _literal(letter: str, value: str | None) -> str:
    if value is None:
        return "NULL"
    if letter == "n" and _NUMBER.fullmatch(value):
        return f" {value}" if value.startswith("-") else value
    if letter == "b" and _BITS.fullmatch(value):
        return value
    return quoted(value)
