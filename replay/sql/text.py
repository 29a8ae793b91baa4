"""Tokens back into text, spaced as people write SQL."""

from collections.abc import Iterable

_NO_SPACE_BEFORE = frozenset({")", ",", ".", "]", "[", ";", "::"})
_NO_SPACE_AFTER = frozenset({"(", ".", "[", "::"})
_DOTS = frozenset({".", "..", "...", ":", "::", ":="})  # would run together
# Keywords that an opening bracket follows with a space; behind any other name it is a call.
_SPACE_BEFORE_PAREN = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "in and or not values as on exists any all some select where from join using over filter "
        "by union intersect except set returning then when else case with into array is like "
        "between conflict limit offset lateral insert update delete partition within materialized "
        "if"
    ).split()
)
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(word: str) -> str:
    """An unquoted identifier as the server takes it: only ASCII letters go to lower case."""
    return word.lower() if word.isascii() else word.translate(_LOWER)


def joined(words: Iterable[str]) -> str:
    """One text of the words; scanning it gives the same words again."""
    parts: list[str] = []
    add = parts.append
    before = "("
    tight = True  # whether the next word stands close to the one before
    for word in words:
        if word in _NO_SPACE_BEFORE:
            if word in _DOTS and before in _DOTS:
                add(" ")
        elif word == "(":
            if not tight and not _is_call(before):
                add(" ")
        elif not tight or (word in _DOTS and before in _DOTS):
            add(" ")
        add(word)
        tight = word in _NO_SPACE_AFTER
        before = word
    return "".join(parts)


def _is_call(name: str) -> bool:
    return (name[0].isalpha() or name[0] in '_"') and name not in _SPACE_BEFORE_PAREN
