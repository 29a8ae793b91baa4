"""Which tables a statement names: a light look at its words, no parse.

A guess for people and for caches: what the words FROM, JOIN, INTO, UPDATE and their like stand
before. Where it must be certain, resolve.py parses.
"""

from collections.abc import Iterator, Sequence

_OPENERS = frozenset({"from", "join", "into", "update", "using", "table"})
_OF_ONE = frozenset({"join", "into", "update", "table"})  # no list of tables follows
_BEFORE_A_CALL = frozenset({"from", "join", "using"})  # else a bracket opens a list of columns
_FIRST_OPENERS = frozenset({"copy", "truncate", "lock", "vacuum", "analyze"})
_BEFORE_A_TABLE = frozenset({"only", "lateral", "table", "if", "not", "exists"})
_FROM_INSIDE = frozenset({"extract", "substring", "trim", "overlay", "position"})
_NO_UPDATE_AFTER = frozenset({"for", "key", "do", "then", "on", "before", "after", "or"})
_USING_STATEMENTS = frozenset({"delete", "merge"})
_NOT_A_TABLE = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "select values set skip nowait of where on as with stdin stdout row rows ( ) , ; . ? = * "
        "... from join into using"
    ).split()
) | {""}


def tables_of(words: Sequence[str]) -> tuple[str, ...]:
    """Names of tables in order of appearance, each once, unquoted; CTEs are none."""
    openers = [at for at, word in enumerate(words) if word in _OPENERS]
    if words and words[0] in _FIRST_OPENERS:
        openers.insert(0, 0)
    if not openers:
        return ()
    found: dict[str, None] = {}
    padded = [*words, "", ""]  # so that a look ahead finds something
    inside = _inside_functions(words) if "(" in words else frozenset()
    pairs: dict[int, int] = {}
    has_using = "using" in words and not _USING_STATEMENTS.isdisjoint(words)
    for at in openers:
        if at not in inside and _opens(padded, at, has_using=has_using):
            for name in _names(padded, at + 1, padded[at], pairs):
                found[name] = None
    if "with" in words:
        for cte in _ctes(padded):
            found.pop(cte, None)
    return tuple(found)


def _behind(words: Sequence[str], at: int, pairs: dict[int, int]) -> int:
    """Behind the other of the bracket that opens here, or the end; all are paired when first asked."""
    if not pairs:
        pairs.update(_pairs(words))
        pairs[-1] = -1  # so that it is not empty
    return pairs.get(at, len(words) - 3) + 1


def _pairs(words: Sequence[str]) -> dict[int, int]:
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for at, word in enumerate(words):
        if word == "(":
            opened.append(at)
        elif word == ")" and opened:
            pairs[opened.pop()] = at
    return pairs


def _opens(words: Sequence[str], at: int, *, has_using: bool) -> bool:
    word = words[at]
    before = words[at - 1] if at else ""
    if before == ".":
        return False
    if word == "from":
        return before != "distinct"
    if word == "update":
        return before not in _NO_UPDATE_AFTER
    return word != "using" or has_using


def _inside_functions(words: Sequence[str]) -> frozenset[int]:
    """Positions of each FROM that is an argument's, as in extract(epoch from x)."""
    if _FROM_INSIDE.isdisjoint(words):
        return frozenset()
    functions = [""]  # before each bracket that is open; "" once a query begins inside it
    found: list[int] = []
    for at, word in enumerate(words):
        if word == "(":
            functions.append(words[at - 1] if at else "")
        elif word == ")":
            functions[-1:] = [] if functions[1:] else [""]
        elif word in {"select", "delete"}:
            functions[-1] = ""
        elif word == "from" and functions[-1] in _FROM_INSIDE:
            found.append(at)
    return frozenset(found)


def _names(words: Sequence[str], at: int, opener: str, pairs: dict[int, int]) -> Iterator[str]:
    """The table behind an opener, and those behind commas; sub-selects and calls are passed over."""
    while True:
        while words[at] in _BEFORE_A_TABLE:
            at += 1
        name, at = _name(words, at)
        if name and not (words[at] == "(" and opener in _BEFORE_A_CALL):
            yield name
        if opener in _OF_ONE:
            return
        at = _behind_alias(words, at, pairs)
        if words[at] != ",":
            return
        at += 1


def _name(words: Sequence[str], at: int) -> tuple[str, int]:
    """A name with its schema, and the position behind it; "" where there is none."""
    name = ""
    while words[at] not in _NOT_A_TABLE and words[at][0] != "$":
        name += _plain(words[at])
        at += 1
        if words[at] != ".":
            break
        name += "."
        at += 1
    return name, at


def _behind_alias(words: Sequence[str], at: int, pairs: dict[int, int]) -> int:
    if words[at] == "(":
        at = _behind(words, at, pairs)
    if words[at] == "as":
        at += 1
    if words[at] not in _NOT_A_TABLE:
        at += 1
    return _behind(words, at, pairs) if words[at] == "(" else at


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word[0] == '"' else word


def _ctes(words: Sequence[str]) -> Iterator[str]:
    """Names before `AS (` and `AS MATERIALIZED (`, past a list of columns."""
    for at, word in enumerate(words):
        if word != "as" or words[at + 1] not in {"(", "materialized", "not"}:
            continue
        name = at - 1
        if name > 0 and words[name] == ")":
            name -= 1
            while name > 0 and words[name] not in {"(", ")"}:
                name -= 1
            name -= 1
        yield _plain(words[name])
