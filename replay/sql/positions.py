"""Numbers that are no values: ORDER BY 2 and GROUP BY 1 name a column of the select list.

Another number there is another statement, with another plan and another query_id, so they stay in
its identity and in its text. Source: PostgreSQL manual, SELECT, "ORDER BY Clause".
"""

from collections.abc import Iterator, Sequence

from replay.sql.scanner import Lexeme, lexeme

BY = frozenset({"by", "BY", "By", "bY"})
_NUMBERS = frozenset(map(str, range(1, 100)))  # no select list is longer, where columns are counted
_BEFORE_NUMBER = BY | {","}
_BEFORE_BY = frozenset({"order", "group"})
_OPENING = frozenset("([")
_PARTING = frozenset({","})
_CLOSING = frozenset(")]")
# Words that end the list; commas behind them part something else.
_BEHIND_LIST = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "limit offset fetch for having window order group union intersect except select values returning "
        "set from where on ;"
    ).split()
)


def positions(tokens: Sequence[str]) -> frozenset[int]:
    """Places of those tokens that stand alone, as whole numbers, in ORDER BY or GROUP BY."""
    if BY.isdisjoint(tokens):
        return frozenset()
    numbers = (at for n in _NUMBERS.intersection(tokens) for at in _places(tokens, n))
    if not any(tokens[at - 1] in _BEFORE_NUMBER for at in numbers):
        return frozenset()
    return frozenset(
        place
        for word in BY
        for at in _places(tokens, word)
        if at and tokens[at - 1].lower() in _BEFORE_BY
        for place in _alone(tokens, at + 1)
    )


def _places(tokens: Sequence[str], word: str) -> Iterator[int]:
    """Where a token stands, without a look at each of the others."""
    at = -1
    for _ in range(tokens.count(word)):
        at = tokens.index(word, at + 1)
        yield at


def _alone(tokens: Sequence[str], at: int) -> Iterator[int]:
    depth = 0
    begins = True  # whether an item of the list begins here
    for place in range(at, len(tokens)):
        token = tokens[place]
        if begins and token in _NUMBERS and _ends(tokens, place + 1):
            yield place
        if token in _OPENING:
            depth += 1
        elif token in _CLOSING:
            depth -= 1
            if depth < 0:
                return
        elif not depth and token.lower() in _BEHIND_LIST:
            return
        begins = not depth and token in _PARTING


def _ends(tokens: Sequence[str], at: int) -> bool:
    """Whether a number before this place is all of its item, but for the item's direction."""
    if at == len(tokens) or tokens[at] in {",", ")", ";"}:
        return True
    return lexeme(tokens[at]) is Lexeme.WORD
