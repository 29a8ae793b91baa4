"""Statements in few words: what tells them apart stays, what they list goes first."""

import re
from collections.abc import Sequence
from itertools import pairwise

from replay.workload import Template

_PIECE = re.compile(r'"[^"]*"?|[()]|\bfrom\b')
_SELECT = re.compile(r"select (?:distinct )?")
_COLUMNS = re.compile(r"insert into [^ (]+ ?(?=\()")
_VALUES = re.compile(r"\bvalues (?=\()")
_RETURNING = re.compile(r" returning .*")
_PLAIN = frozenset({"begin", "commit", "rollback", "savepoint", "set", "copy"})
_WORDS_OF_OTHERS = 3
_NAME = r'(?:"?\w+"?\.)*"?(\w+)"?'
_SET = re.compile(rf"\bset {_NAME} =")
_BY = re.compile(rf"\bwhere \(?{_NAME} (?:[=<>]|in\b|like\b|between\b|is\b)")


def brief(sql: str, room: int) -> str:
    """Canonical SQL in `room` characters: without its select list, columns and values if need be."""
    if len(sql) <= room:
        return sql
    for shorten in (_without_list, _without_columns, _without_returning, _without_from):
        sql = shorten(sql)
        if len(sql) <= room:
            return sql
    return f"{sql[: max(room - 1, 0)].rstrip(' …')}…"


def step(template: Template | None) -> str:
    """A statement of a transaction: what it does to which table, by which column it finds its rows."""
    if template is None:
        return "?"
    if template.kind in _PLAIN:
        return template.kind
    verb = template.kind
    if verb == "other":
        verb = " ".join(template.sql.split()[:_WORDS_OF_OTHERS])
    if not template.tables or template.tables[0] in verb.split():
        return verb
    tables = f"{template.tables[0]}{', …' if len(template.tables) > 1 else ''}"
    return f"{verb} {tables}{_detail(template)}"


def _detail(template: Template) -> str:
    if template.kind == "update" and (found := _SET.search(template.sql)):
        return f" set {found[1]}"
    if template.kind in ("select", "delete") and (found := _BY.search(template.sql)):
        return f" by {found[1]}"
    return ""


def digits_needed(names: Sequence[str]) -> int:
    """How many digits tell all ids apart; 8 at least."""
    ranked = sorted(names)
    alike = (_common(first, second) for first, second in pairwise(ranked))
    return max(8, 1 + max(alike, default=0))


def _common(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def _without_list(sql: str) -> str:
    """`select … from`: the list, in which other selects may stand, is left out."""
    start = _SELECT.match(sql)
    if start is None:
        return sql
    depth = 0
    for piece in _PIECE.finditer(sql, start.end()):
        depth += (piece[0] == "(") - (piece[0] == ")")
        if piece[0] == "from" and depth == 0:
            return f"{start[0]}… {sql[piece.start() :]}"
    return sql


def _without_columns(sql: str) -> str:
    for before in (_COLUMNS, _VALUES):
        found = before.search(sql)
        if found:
            sql = f"{sql[: found.end()]}(…){sql[_closing(sql, found.end()) :]}"
    return sql


def _without_from(sql: str) -> str:
    return sql.replace("select … from ", "select ", 1)


def _without_returning(sql: str) -> str:
    return _RETURNING.sub("", sql)


def _closing(sql: str, opening: int) -> int:
    """Position behind the bracket that closes the one at `opening`."""
    depth = 0
    for piece in _PIECE.finditer(sql, opening):
        depth += (piece[0] == "(") - (piece[0] == ")")
        if depth == 0:
            return piece.end()
    return len(sql)
