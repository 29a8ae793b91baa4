"""Values out of a statement and back into it: every literal becomes a numbered slot.

`extract` gives text in which each bound parameter and each literal is a `$n`, so that it can be
parsed and planned; `render` puts literals back inline, quoted anew, for sending.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from replay.sql.literals import (
    bits_literal,
    bits_of,
    number_literal,
    number_of,
    string_literal,
    text_of,
)
from replay.sql.passwords import is_bare_password
from replay.sql.positions import positions
from replay.sql.scanner import LETTER, Lexeme, lexeme, scan, takes_sign
from replay.sql.text import folded, joined

_LETTERS = {Lexeme.STRING: "s", Lexeme.NUMBER: "n", Lexeme.BITS: "b", Lexeme.PARAMETER: "p"}
_NO_LITERAL = ("", "p")
_BEGINS = {"'": "s", **dict.fromkeys("0123456789", "n")}  # what most literals are known by
_LITERAL = {"s": string_literal, "n": number_literal, "b": bits_literal}
_SCALE = 3  # words between a type and its scale
_KNOWN_AT_MOST = 16_384
_known: dict[str, tuple[str, str]] = {}  # tokens but literals -> letter, as they stand in the text
_PIECE = re.compile(rf'"(?:[^"]|"")*+"|{LETTER}[\w$]*+|\$([0-9]++)')
# Types whose length is no expression in PostgreSQL's grammar: varchar(40) stays as it is.
_MODIFIED = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "varchar character char varying nchar bpchar numeric decimal dec timestamp timestamptz "
        "time timetz interval second float bit varbit"
    ).split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    """A statement with its values taken out; see workload for slots."""

    sql: str
    slots: str  # a letter a slot: p, s, n, b
    literals: tuple[str, ...]  # values of the slots that are no parameters, in order
    fixed: tuple[int, ...] = ()  # which of the text's literals are no values: they stay in `sql`


class Linked(str):
    """A value that the target makes in the replay itself, such as a sequence's next one.

    The text is one that exists there already, for whoever sends the statement by itself.
    """

    __slots__ = ("expression",)

    def __new__(cls, text: str, expression: str) -> Self:
        """The text, and the SQL that gives the value inside the transaction."""
        made = super().__new__(cls, text)
        made.expression = expression
        return made

    expression: str


def extract(sql: str) -> Slotted:
    """Take the literals out; comments and trailing semicolons go too. Never raises.

    A number's value holds its sign. Lengths of types, positions (ORDER BY 2), NULL, true and false stay
    in the text.
    """
    scanned = scan(sql)
    known = _known.get
    tokens = [
        known(token) or ((_BEGINS[token[0]], token) if token[0] in _BEGINS else _look(token))
        for token in scanned
    ]
    places = positions(scanned)
    parameters = [int(word[1:]) for letter, word in tokens if letter == "p"] if "$" in sql else []
    slots = ["p"] * max(parameters, default=0)
    words: list[str] = []
    literals: list[str] = []
    fixed: list[int] = []
    passwords = "password" in sql.lower()
    for at, (letter, word) in enumerate(tokens):
        if not letter or letter == "p":
            words.append(word)
        elif at in places or (letter == "n" and _is_modifier(words)):
            fixed.append(len(literals) + len(fixed))
            words.append(word)
        else:
            literals.append(_value(word, letter, words))
            slots.append(letter)
            words.append(f"${len(slots)}")
        if passwords and words[-2:-1] == ["password"] and is_bare_password(words, len(words) - 1):
            literals.append(words.pop().strip('"'))
            slots.append("s")
            words.append(f"${len(slots)}")
    return Slotted(
        sql=joined(words), slots="".join(slots), literals=tuple(literals), fixed=tuple(fixed)
    )


def render(
    sql: str, slots: str, values: Sequence[str | None], *, linked: bool = False
) -> tuple[str, tuple[str | None, ...]]:
    """Put literals back: the text to send, with `$n` for bound parameters only, and their values.

    With `linked`, values that the transaction itself makes are put in as the expressions that give them.
    """
    if len(values) != len(slots):
        raise ValueError(f"{len(values)} values for {len(slots)} slots: {sql}")
    if linked and any(isinstance(value, Linked) for value in values):
        return _with_expressions(sql, slots, values)
    pieces, inline = _cut(sql, slots)
    parameters = tuple(value for letter, value in zip(slots, values, strict=True) if letter == "p")
    if not inline:
        return sql, parameters
    filled = list(pieces)
    for place, number in inline:
        value = values[number]
        filled[place] = "NULL" if value is None else _LITERAL[slots[number]](value)
    return "".join(filled), parameters


def _with_expressions(
    sql: str, slots: str, values: Sequence[str | None]
) -> tuple[str, tuple[str | None, ...]]:
    """The text with expressions in it; the parameters that remain are numbered anew."""
    numbers: dict[int, int] = {}
    parameters: list[str | None] = []
    for slot, (letter, value) in enumerate(zip(slots, values, strict=True)):
        if letter == "p" and not isinstance(value, Linked):
            parameters.append(value)
            numbers[slot] = len(parameters)

    def piece(found: re.Match[str]) -> str:
        slot = int(found[1]) - 1 if found[1] else -1
        if not 0 <= slot < len(slots):
            return found[0]
        value = values[slot]
        if isinstance(value, Linked):
            return value.expression
        if slot in numbers:
            return f"${numbers[slot]}"
        return "NULL" if value is None else _LITERAL[slots[slot]](value)

    return _PIECE.sub(piece, sql), tuple(parameters)


@lru_cache(maxsize=4096)
def _cut(sql: str, slots: str) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Pieces of the text, and (place among them, slot from 0) of those that literals fill."""
    pieces: list[str] = []
    inline: list[tuple[int, int]] = []
    at = 0
    for found in _PIECE.finditer(sql):
        slot = int(found[1]) - 1 if found[1] else -1
        if 0 <= slot < len(slots) and slots[slot] != "p":
            inline.append((len(pieces) + 1, slot))
            pieces += [sql[at : found.start()], ""]
            at = found.end()
    return (*pieces, sql[at:]), tuple(inline)


def _look(token: str) -> tuple[str, str]:
    """A token's letter, if it is a value, and what it is in the text; all but literals come again."""
    kind = lexeme(token)
    letter = _LETTERS.get(kind, "")
    if letter not in _NO_LITERAL:
        return letter, token
    if len(_known) >= _KNOWN_AT_MOST:
        _known.clear()
    found = _known[token] = letter, folded(token) if kind is Lexeme.WORD else token
    return found


def _value(token: str, letter: str, words: list[str]) -> str:
    """What the literal means; takes the signs before a number off the words."""
    if letter == "s":
        return text_of(token)
    if letter == "b":
        return bits_of(token)
    negative = False
    while words and words[-1] in {"-", "+"} and takes_sign(words[-2] if len(words) > 1 else ""):
        negative ^= words.pop() == "-"
    return f"-{number_of(token)}" if negative else number_of(token)


def _is_modifier(words: Sequence[str]) -> bool:
    """Whether a number comes next that is a type's length, precision or scale."""
    last = words[-1] if words else ""
    if last == "(":
        return len(words) > 1 and words[-2] in _MODIFIED
    return last == "," and len(words) > _SCALE and words[-3] == "(" and words[-4] in _MODIFIED
