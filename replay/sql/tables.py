"""Which tables a statement names: a light look at its words, no parse.

A guess for people and for caches: what the words FROM, JOIN, INTO, UPDATE and their like stand
before. Where it must be certain, resolve.py parses.
"""

from collections.abc import Iterator, Sequence

_OPENERS = frozenset({"from", "join", "into", "update", "using", "table"})
_FIRST_OPENERS = frozenset({"copy", "truncate", "lock", "vacuum", "analyze"})
_BEFORE_A_TABLE = frozenset({"only", "lateral", "table", "if", "not", "exists"})
_FROM_INSIDE = frozenset({"extract", "substring", "trim", "overlay", "position"})
_NO_UPDATE_AFTER = frozenset({"for", "key", "do", "then", "on", "before", "after", "or"})
_USING_STATEMENTS = frozenset({"delete", "merge"})
_NOT_A_TABLE = frozenset(
    "select values set skip nowait of where on as with stdin stdout rows row "
    "( ) , ; . ? = * ...".split()
)


def tables_of(words: Sequence[str]) -> tuple[str, ...]:
    """Names of tables in order of appearance, each once, unquoted; CTEs are none."""
    found: dict[str, None] = {}
    for at, word in enumerate(words):
        if word in _OPENERS and _opens(words, at):
            listed = word in {"from", "using"}
            found |= dict.fromkeys(_names(words, at + 1, listed=listed))
        elif not at and word in _FIRST_OPENERS:
            found |= dict.fromkeys(_names(words, 1, listed=True))
    if found and "with" in words:
        for cte in _ctes(words):
            found.pop(cte, None)
    return tuple(found)


def _opens(words: Sequence[str], at: int) -> bool:
    word = words[at]
    before = words[at - 1] if at else ""
    if before == ".":
        return False
    if word == "from":
        return before != "distinct" and _function_around(words, at) not in _FROM_INSIDE
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


def _names(words: Sequence[str], at: int, *, listed: bool) -> Iterator[str]:
    """The table at a position, and with `listed` those behind commas; sub-selects are passed over."""
    while True:
        while words[at : at + 1] and words[at] in _BEFORE_A_TABLE:
            at += 1
        parts: list[str] = []
        while at < len(words) and words[at] not in _NOT_A_TABLE and words[at][0] not in "$;":
            parts.append(_plain(words[at]))
            at += 1
            if words[at : at + 1] != ["."]:
                break
            at += 1
        is_call = listed and words[at : at + 1] == ["("]
        if parts and not is_call:
            yield ".".join(parts)
        at = _behind_alias(words, at)
        if not listed or words[at : at + 1] != [","]:
            return
        at += 1


def _behind_alias(words: Sequence[str], at: int) -> int:
    at = _behind_bracket(words, at)
    if words[at : at + 1] == ["as"]:
        at += 1
    if at < len(words) and words[at] not in _NOT_A_TABLE:
        at += 1
    return _behind_bracket(words, at)


def _behind_bracket(words: Sequence[str], at: int) -> int:
    """Position behind the bracket that opens at `at`; `at` itself where none does."""
    if words[at : at + 1] != ["("]:
        return at
    depth = 0
    for position in range(at, len(words)):
        depth += (words[position] == "(") - (words[position] == ")")
        if not depth:
            return position + 1
    return len(words)


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word[0] == '"' else word


def _ctes(words: Sequence[str]) -> Iterator[str]:
    """Names before `AS (` and `AS MATERIALIZED (`, past a list of columns."""
    for at, word in enumerate(words):
        if word != "as" or words[at + 1 : at + 2] not in (["("], ["materialized"], ["not"]):
            continue
        name = at - 1
        if name > 0 and words[name] == ")":
            while name > 0 and words[name] != "(":
                name -= 1
            name -= 1
        yield _plain(words[name])
