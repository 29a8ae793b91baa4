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
        "..."
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
    for at in openers:
        if _opens(padded, at):
            for name in _names(padded, at + 1, padded[at]):
                found[name] = None
    if "with" in words:
        for cte in _ctes(padded):
            found.pop(cte, None)
    return tuple(found)


def _opens(words: Sequence[str], at: int) -> bool:
    word = words[at]
    before = words[at - 1] if at else ""
    if before == ".":
        return False
    if word == "from":
        if before == "distinct":
            return False
        return _FROM_INSIDE.isdisjoint(words) or _function_around(words, at) not in _FROM_INSIDE
    if word == "update":
        return before not in _NO_UPDATE_AFTER
    if word == "using":
        return not _USING_STATEMENTS.isdisjoint(words)
    return True


def _function_around(words: Sequence[str], at: int) -> str:
    """The word before the bracket that is open at a FROM; "" where it is a query's own."""
    depth = 0
    for position in range(at - 1, 0, -1):
        word = words[position]
        if word == ")":
            depth += 1
        elif word == "(":
            if not depth:
                return words[position - 1]
            depth -= 1
        elif not depth and word in {"select", "delete"}:
            return ""
    return ""


def _names(words: Sequence[str], at: int, opener: str) -> Iterator[str]:
    """The table behind an opener, and those behind commas; sub-selects and calls are passed over."""
    while True:
        while words[at] in _BEFORE_A_TABLE:
            at += 1
        name, at = _name(words, at)
        if name and not (words[at] == "(" and opener in _BEFORE_A_CALL):
            yield name
        if opener in _OF_ONE:
            return
        at = _behind_alias(words, at)
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


def _behind_alias(words: Sequence[str], at: int) -> int:
    at = _behind_bracket(words, at)
    if words[at] == "as":
        at += 1
    if words[at] not in _NOT_A_TABLE:
        at += 1
    return _behind_bracket(words, at)


def _behind_bracket(words: Sequence[str], at: int) -> int:
    """Position behind the bracket that opens at `at`; `at` itself where none does."""
    if words[at] != "(":
        return at
    depth = 0
    for position in range(at, len(words) - 2):
        depth += (words[position] == "(") - (words[position] == ")")
        if not depth:
            return position + 1
    return len(words) - 2


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word[0] == '"' else word


def _ctes(words: Sequence[str]) -> Iterator[str]:
    """Names before `AS (` and `AS MATERIALIZED (`, past a list of columns."""
    for at, word in enumerate(words):
        if word != "as" or words[at + 1] not in {"(", "materialized", "not"}:
            continue
        name = at - 1
        if name > 0 and words[name] == ")":
            while name > 0 and words[name] != "(":
                name -= 1
            name -= 1
        yield _plain(words[name])
