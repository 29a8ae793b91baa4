"""The identity of a statement: its text without literals, white space, comments and list lengths.

What is kept apart: bound parameters from inline literals, casts, the order of a select list, BEGIN's
isolation level, IS NULL from IS TRUE. Never raises, also on truncated SQL.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replay.sql.passwords import is_bare_password
from replay.sql.positions import BY, positions
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
_LISTS = frozenset({"in", "array", "values"})  # what stands before a list that folds
_NESTED_AT_MOST = 100  # brackets in brackets: deeper, lists do not fold
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
    tokens = scan(sql)
    words = _masked(tokens) if BY.isdisjoint(tokens) else _masked_but_positions(tokens)
    if "password" in words:
        words = ["?" if is_bare_password(words, at) else word for at, word in enumerate(words)]
    if "in" in words or "values" in words or "array" in words:
        words = _folded(words)
    if "$" in sql:
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
                while (
                    words
                    and words[-1] in _SIGNS
                    and takes_sign(words[-2] if len(words) > 1 else "")
                ):
                    words.pop()
            elif not (words and words[-1] in _BEFORE_STATE):
                word = "?"
        add(word)
    return words


def _masked_but_positions(tokens: list[str]) -> list[str]:
    """The same, but ORDER BY 2 keeps its number: under a mark that no token begins with."""
    places = positions(tokens)
    if not places:
        return _masked(tokens)
    marked = [f"\0{token}" if at in places else token for at, token in enumerate(tokens)]
    return [word[1:] if word[0] == "\0" and len(word) > 1 else word for word in _masked(marked)]


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


def _folded(words: Sequence[str]) -> list[str]:
    """One of each shape kept of the lists (IN, ARRAY) and of the rows (VALUES).

    From the end, so that a list inside another is folded before it, on a stack whose top is the word
    that comes next. Every list is read once for each it stands in: where brackets nest deeper than
    any writer nests them, all stays as it is.
    """
    if words.count("(") + words.count("[") > _NESTED_AT_MOST < _depth(words):
        return list(words)
    behind: list[str] = []
    for word in reversed(words):
        if word in _LISTS and behind and behind[-1] in _OPENING:
            _fold(behind, word)
        behind.append(word)
    behind.reverse()
    return behind


def _fold(behind: list[str], opening: str) -> None:
    """Fold the list, or the rows, on top of what comes behind its opening word."""
    if opening == "values":
        rows, end = _rows(behind)
        behind[end:] = reversed(_listed(_distinct(rows)))
        return
    items, close = _items(behind, len(behind) - 1)
    if items and all(map(_has_value, items)) and not any("select" in item for item in items):
        kept = _distinct(item for item in items if item != ["..."])
        behind[close + 1 :] = [*reversed(_listed([*kept, ["..."]])), behind[-1]]


def _depth(words: Iterable[str]) -> int:
    """How deep brackets nest, those that are never closed included."""
    depth = deepest = 0
    for word in words:
        if word in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif word in _CLOSING:
            depth = max(depth - 1, 0)
    return deepest


def _items(behind: Sequence[str], at: int) -> tuple[list[list[str]], int]:
    """What stands between commas inside the bracket at `at`, and where that closes; -1: nowhere.

    Cut off between items, it closes at the end; cut off inside one, it has no items.
    """
    items: list[list[str]] = [[]]
    depth = 0
    for position in range(at - 1, -1, -1):
        word = behind[position]
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
    return ([] if depth else items), -1


def _rows(behind: Sequence[str]) -> tuple[list[list[str]], int]:
    """Whole rows in brackets, parted by commas, and the position of the last word of them."""
    rows: list[list[str]] = []
    begin = len(behind) - 1
    end = len(behind)
    while begin >= 0 and behind[begin] == "(":
        items, close = _items(behind, begin)
        if close < 0:
            break
        rows.append(["(", *_listed(items), ")"])
        end = close
        begin = end - 2 if behind[end - 1 : end] == [","] else -1
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
    if ";" not in words:
        return _kind_of(words, 0)
    begins = [0, *(at + 1 for at, word in enumerate(words) if word == ";")]
    kinds = [_kind_of(words, at) for at in begins]
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
    for position in range(at, len(words)):
        word = words[position]
        depth += (word == "(") - (word == ")")
        if word == ";" or (depth == 0 and word in _QUERIES):
            return "select" if word == ";" else word
    return "select"
