"""Tokens back into text, spaced as people write SQL."""

from collections.abc import Iterable

_NO_SPACE_BEFORE = frozenset({")", ",", ".", "]", "[", ";", "::"})
_NO_SPACE_AFTER = frozenset({"(", ".", "[", "::"})
# Keywords that an opening bracket follows with a space; behind any other name it is a call.
_SPACE_BEFORE_PAREN = frozenset(
    [
        "in",
        "and",
        "or",
        "not",
        "values",
        "as",
        "on",
        "exists",
        "any",
        "all",
        "some",
        "select",
        "where",
        "from",
        "join",
        "using",
        "over",
        "filter",
        "by",
        "union",
        "intersect",
        "except",
        "set",
        "returning",
        "then",
        "when",
        "else",
        "case",
        "with",
        "into",
        "array",
        "is",
        "like",
        "between",
        "conflict",
        "limit",
        "offset",
        "lateral",
        "insert",
        "update",
        "delete",
        "partition",
        "within",
        "materialized",
        "if",
    ]
)


def joined(words: Iterable[str]) -> str:
    """One text of the words; scanning it gives the same words again."""
    parts: list[str] = []
    before = "("
    for word in words:
        tight = (
            word in _NO_SPACE_BEFORE
            or before in _NO_SPACE_AFTER
            or (word == "(" and _is_name(before))
        )
        parts.append(word if tight else f" {word}")
        before = word
    return "".join(parts)


def _is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] in '_"') and word not in _SPACE_BEFORE_PAREN
