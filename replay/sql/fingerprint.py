"""The identity of a statement: its text without literals, white space, comments and list lengths.

What is kept apart: bound parameters from inline literals, casts, the order of a select list, BEGIN's
isolation level. Never raises, also on truncated SQL.
"""

import hashlib
from dataclasses import dataclass

from replay.sql.scanner import Lexeme, Token, scan
from replay.sql.text import joined

_SLOTS = {Lexeme.PARAMETER, Lexeme.STRING, Lexeme.NUMBER, Lexeme.BITS}
_CONSTANT_WORDS = frozenset({"null", "true", "false"})
_KINDS = {
    "select": "select",
    "values": "select",
    "table": "select",
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    "merge": "merge",
    "begin": "begin",
    "start": "begin",
    "commit": "commit",
    "end": "commit",
    "rollback": "rollback",
    "abort": "rollback",
    "savepoint": "savepoint",
    "release": "savepoint",
    "set": "set",
    "reset": "set",
    "copy": "copy",
}
_WRITES = frozenset({"insert", "update", "delete", "merge"})
_FROM_INSIDE = frozenset({"extract", "substring", "trim", "overlay", "position"})
_NOT_A_TABLE = frozenset({"select", "lateral", "only", "values", "unnest", "skip", "nowait", "of"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a statement is, blind to its values."""

    id: str  # 16 hex digits
    sql: str  # canonical text: parameters $n, literals ?, lists folded
    kind: str  # see workload.Template
    tables: tuple[str, ...]  # in order of appearance, as written


def fingerprint(sql: str) -> Fingerprint:
    """Identity, canonical text, kind and tables of a statement, or of several sent as one."""
    tokens = scan(sql)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    text = joined(_folded(tokens))
    return Fingerprint(
        id=hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        sql=text,
        kind=_kind(tokens),
        tables=_tables(tokens),
    )


def _folded(tokens: list[Token]) -> list[str]:
    """Texts of the tokens with lists folded and parameters numbered by appearance."""
    numbers: dict[str, str] = {}
    words: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == "values" and token.lexeme is Lexeme.WORD:
            words.append("values")
            at = _fold_rows(tokens, at + 1, words, numbers)
            continue
        if token.text in {"(", "["} and words and words[-1] in {"in", "array"}:
            close = _end_of_list(tokens, at)
            if close:
                first = _slot(tokens[at + 1], numbers)
                words += [token.text, first, ",", "...", tokens[close].text]
                at = close + 1
                continue
        words.append(_slot(token, numbers))
        at += 1
    return words


def _slot(token: Token, numbers: dict[str, str]) -> str:
    if token.lexeme is Lexeme.PARAMETER:
        return numbers.setdefault(token.text, f"${len(numbers) + 1}")
    if token.lexeme is Lexeme.WORD and token.text in _CONSTANT_WORDS:
        return "?"
    return token.text


def _is_value(token: Token) -> bool:
    return token.lexeme in _SLOTS or token.text in _CONSTANT_WORDS


def _end_of_list(tokens: list[Token], at: int) -> int:
    """Position of the bracket that closes a list of nothing but values; 0 where it is no such."""
    position = at + 1
    while position + 1 < len(tokens) and _is_value(tokens[position]):
        if tokens[position + 1].text in {")", "]"}:
            return position + 1
        if tokens[position + 1].text != ",":
            return 0
        position += 2
    return 0


def _fold_rows(tokens: list[Token], at: int, words: list[str], numbers: dict[str, str]) -> int:
    """Write the first row of VALUES and fold those of the same shape behind it."""
    first: list[str] | None = None
    folded = False
    while at < len(tokens) and tokens[at].text == "(":
        close = _matching(tokens, at)
        row = tokens[at:close]
        shape = ["$" if t.lexeme is Lexeme.PARAMETER else _slot(t, {}) for t in row]
        if first is None:
            first = shape
            words += [_slot(t, numbers) for t in row]
        elif shape == first:
            folded = True
        else:
            break
        at = close
        if at + 1 < len(tokens) and tokens[at].text == "," and tokens[at + 1].text == "(":
            at += 1
        else:
            break
    if folded:
        words += [",", "..."]
    return at


def _matching(tokens: list[Token], at: int) -> int:
    """Position behind the bracket that closes the one at `at`, or the end."""
    depth = 0
    for position in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0)
        if depth == 0:
            return position + 1
    return len(tokens)


def _kind(tokens: list[Token]) -> str:
    words = [t.text for t in tokens if t.text != "("]
    if not words:
        return "other"
    first = words[0]
    if first == "with":
        return _kind_of_with(tokens)
    if first in {"rollback", "abort"} and "to" in words[1:4]:
        return "savepoint"
    if first in {"commit", "rollback"} and words[1:2] == ["prepared"]:
        return "other"
    return _KINDS.get(first, "other")


def _kind_of_with(tokens: list[Token]) -> str:
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if (
            depth == 0
            and token.lexeme is Lexeme.WORD
            and (token.text in _WRITES or token.text == "select")
        ):
            return token.text
    return "select"


def _tables(tokens: list[Token]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    ctes: set[str] = set()
    functions: list[str] = []
    for at, token in enumerate(tokens):
        if token.text == "(":
            functions.append(tokens[at - 1].text if at else "")
            if at > 1 and tokens[at - 1].text == "as":
                ctes.add(tokens[at - 2].text)
        elif token.text == ")" and functions:
            functions.pop()
        elif token.lexeme is Lexeme.WORD and _opens_tables(tokens, at, functions):
            at_name = at + 1
            while name := _name_at(tokens, at_name):
                text, behind = name
                if text not in ctes:
                    found[text] = None
                at_name = _next_in_list(tokens, behind) if token.text == "from" else 0
                if not at_name:
                    break
    return tuple(found)


def _opens_tables(tokens: list[Token], at: int, functions: list[str]) -> bool:
    word = tokens[at].text
    before = tokens[at - 1].text if at else ""
    if word == "from":
        inside = functions[-1] if functions else ""
        return inside not in _FROM_INSIDE and before != "distinct"
    if word == "update":
        return before not in {"for", "key", "do"}
    return word in {"join", "into"} or (
        word == "using" and "delete" in {t.text for t in tokens[:1]}
    )


def _name_at(tokens: list[Token], at: int) -> tuple[str, int] | None:
    if at < len(tokens) and tokens[at].text == "only":
        at += 1
    parts: list[str] = []
    while at < len(tokens) and tokens[at].lexeme in {Lexeme.WORD, Lexeme.QUOTED}:
        if not parts and tokens[at].text in _NOT_A_TABLE:
            return None
        parts.append(_plain(tokens[at]))
        at += 1
        if at < len(tokens) and tokens[at].text == ".":
            at += 1
        else:
            break
    if not parts or (at < len(tokens) and tokens[at].text == "(" and tokens[at - 1].text != ","):
        is_insert = bool(parts) and _is_insert(tokens, at - len(parts))
        return (".".join(parts), at) if is_insert else None
    return ".".join(parts), at


def _is_insert(tokens: list[Token], at: int) -> bool:
    return any(t.text == "into" for t in tokens[max(at - 3, 0) : at + 1])


def _plain(token: Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.lexeme is Lexeme.QUOTED else token.text


def _next_in_list(tokens: list[Token], at: int) -> int:
    """Position of the next table of a comma-parted FROM list, past an alias; 0 for none."""
    if at < len(tokens) and tokens[at].text == "as":
        at += 1
    if at < len(tokens) and tokens[at].lexeme in {Lexeme.WORD, Lexeme.QUOTED}:
        at += 1
    return at + 1 if at < len(tokens) and tokens[at].text == "," else 0
