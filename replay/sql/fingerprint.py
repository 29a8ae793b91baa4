"""The identity of a statement: its text without literals, white space, comments and list lengths.

What is kept apart: bound parameters from inline literals, casts, the order of a select list, BEGIN's
isolation level, IS NULL from IS TRUE. Never raises, also on truncated SQL.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replay.sql.scanner import Lexeme, lexeme, scan, takes_sign
from replay.sql.tables import tables_of
from replay.sql.text import folded, joined

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
_QUERIES = frozenset({"select", "insert", "update", "delete", "merge"})
_VALUES = frozenset({"?", "null", "true", "false"})
_BEFORE_STATE = frozenset({"is", "not"})  # IS NULL asks for a state, and compares with no value
_SIGNS = frozenset({"-", "+"})
_LISTS = ("in", "array", "values")  # what stands before a list that folds
_OPENING = frozenset("([")
_CLOSING = frozenset(")]")
_LITERALS = frozenset({Lexeme.STRING, Lexeme.NUMBER, Lexeme.BITS})
_KNOWN_AT_MOST = 16_384
_known: dict[str, str] = {}  # words, names and marks as written -> as they are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a statement is, blind to its values."""

    id: str  # 16 hex digits
    sql: str  # canonical text: parameters $n, literals ?, lists folded
    kind: str  # see workload.Template
    tables: tuple[str, ...]  # in order of appearance, as written, unquoted


def fingerprint(sql: str) -> Fingerprint:
    """Identity, canonical text, kind and tables of a statement, or of several sent as one."""
    words = _masked(scan(sql))
    for opening in _LISTS:
        if opening in words:
            _fold(words, opening)
    _close_ranks(words)
    text = joined(words)
    return Fingerprint(
        id=hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        sql=text,
        kind=_kind(words),
        tables=tables_of(words),
    )


def _masked(tokens: list[str]) -> list[str]:
    """The tokens with words in lower case and each value, with its sign, as `?`."""
    words: list[str] = []
    add = words.append
    known = _known.get
    for token in tokens:
        word = known(token) or _mask(token)
        if word in _VALUES:
            if word == "?":
                while words and words[-1] in _SIGNS and takes_sign(words[-2] if words[1:] else ""):
                    words.pop()
            elif not (words and words[-1] in _BEFORE_STATE):
                word = "?"
        add(word)
    return words


def _mask(token: str) -> str:
    """The token as it is compared; all but literals are remembered, for they come again."""
    kind = lexeme(token)
    if kind in _LITERALS:
        return "?"
    word = folded(token) if kind is Lexeme.WORD else token
    if len(_known) >= _KNOWN_AT_MOST:
        _known.clear()
    _known[token] = word
    return word


def _fold(words: list[str], opening: str) -> None:
    """Keep one of each shape of the lists (IN, ARRAY) or of the rows (VALUES) behind a word."""
    at = 0
    while (at := _behind(words, opening, at)) < len(words):
        if words[at] not in _OPENING:
            continue
        if opening == "values":
            rows, end = _rows(words, at)
            words[at:end] = _listed(_distinct(rows))
            continue
        items, close = _items(words, at)
        if items and all(map(_has_value, items)) and "select" not in words[at:close]:
            kept = _distinct(item for item in items if item != ["..."])
            words[at + 1 : close] = _listed([*kept, ["..."]])


def _behind(words: list[str], word: str, at: int) -> int:
    """Position behind the next such word, or the end."""
    try:
        return words.index(word, at) + 1
    except ValueError:
        return len(words)


def _items(words: Sequence[str], at: int) -> tuple[list[list[str]], int]:
    """What stands between commas inside the bracket at `at`, and where that closes.

    Cut off between items, it closes at the end; cut off inside one, it has no items.
    """
    items: list[list[str]] = [[]]
    depth = 0
    for position in range(at + 1, len(words)):
        word = words[position]
        if word in _OPENING:
            depth += 1
        elif word in _CLOSING:
            depth -= 1
            if depth < 0:
                return items, position
        elif word == "," and not depth:
            items.append([])
            continue
        items[-1].append(word)
    return ([] if depth else items), len(words)


def _rows(words: Sequence[str], at: int) -> tuple[list[list[str]], int]:
    """Whole rows in brackets, parted by commas, and the position behind the last."""
    rows: list[list[str]] = []
    begin = end = at
    while words[begin : begin + 1] == ["("]:
        items, close = _items(words, begin)
        if close == len(words):
            break
        rows.append(["(", *_listed(items), ")"])
        end = close + 1
        begin = end + 1 if words[end : end + 1] == [","] else len(words)
    return rows, end


def _distinct(items: Iterable[list[str]]) -> list[list[str]]:
    """The first item of each shape, whatever its parameters' numbers."""
    first: dict[tuple[str, ...], list[str]] = {}
    for item in items:
        first.setdefault(tuple("$" if word[0] == "$" else word for word in item), item)
    return list(first.values())


def _listed(items: Sequence[list[str]]) -> list[str]:
    words = [word for item in items for word in (*item, ",")]
    return words[:-1]


def _has_value(item: Sequence[str]) -> bool:
    return any(word in {"?", "..."} or word[0] == "$" for word in item)


def _close_ranks(words: list[str]) -> None:
    """Number parameters without the gaps that folded lists leave."""
    numbers = {word for word in words if word[0] == "$" and lexeme(word) is Lexeme.PARAMETER}
    ranked = sorted(numbers, key=lambda word: int(word[1:]))
    if ranked and ranked[-1] != f"${len(ranked)}":
        new = {word: f"${rank}" for rank, word in enumerate(ranked, 1)}
        words[:] = [new.get(word, word) for word in words]


def _kind(words: Sequence[str]) -> str:
    """The first statement's kind; of several, the first that reads or writes rows."""
    kinds = [_kind_of(words, 0)]
    if ";" in words:
        kinds += [_kind_of(words, at + 1) for at, word in enumerate(words) if word == ";"]
    return next((kind for kind in kinds if kind in _QUERIES), kinds[0])


def _kind_of(words: Sequence[str], at: int) -> str:
    while at < len(words) and words[at] == "(":
        at += 1
    if at == len(words):
        return "other"
    first = words[at]
    if first == "with":
        return _kind_of_with(words, at)
    if first in {"rollback", "abort"} and "to" in words[at + 1 : at + 3]:
        return "savepoint"
    if first in {"commit", "rollback"} and words[at + 1 : at + 2] == ["prepared"]:
        return "other"
    return _KINDS.get(first, "other")


def _kind_of_with(words: Sequence[str], at: int) -> str:
    depth = 0
    for word in words[at:]:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in _QUERIES:
            return word
    return "select"
