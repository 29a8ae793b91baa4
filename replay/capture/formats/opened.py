"""Pieces of a prefix that its lines leave open: named where the server says who connected, else `%*`.

PostgreSQL has no `%*`: it stands for whatever is written there, and nobody asks what. So a log is read
whose prefix is told but for some names, and no name is taken for another.
"""

import re
from collections.abc import Iterator, Sequence

_CONNECTED = re.compile(
    rb"(?:connection authorized:|disconnection: session time: \S+) "
    rb"user=(?P<u>.*?) database=(?P<d>.*?)(?: (?:application_name=|SSL |GSS |host=).*)?\Z"
)
OPEN = "%*"


def named(
    columns: Sequence[Sequence[str]], told: Sequence[str | None], texts: Sequence[bytes]
) -> list[str | None]:
    """The pieces with users and databases among the open ones, as lines tell of connections.

    `columns` are the pieces of lines by place, `texts` what stands behind the prefix of each.
    """
    connected = [
        (row, match) for row, text in enumerate(texts) if (match := _CONNECTED.match(text))
    ]
    found = list(told)
    for place in [place for place, piece in enumerate(told) if connected and piece is None]:
        held = [columns[place][row].encode() for row, _ in connected]
        fits = [escape for escape in "ud" if held == [match[escape] for _, match in connected]]
        if len(fits) == 1 and f"%{fits[0]}" not in found:
            found[place] = f"%{fits[0]}"
    return found


def joined(kinds: Sequence[str], told: Sequence[str | None]) -> str:
    """The prefix; what is open, with the signs between, is one OPEN."""
    return "".join(_pieces(told, kinds))


def _pieces(told: Sequence[str | None], kinds: Sequence[str]) -> Iterator[str]:
    place = 0
    while place < len(told):
        piece = told[place]
        place += 1
        if piece is not None:
            yield piece
            continue
        behind = place
        while behind < len(told) and (told[behind] is None or kinds[behind] in ("sign", "blank")):
            if told[behind] is None:
                place = behind + 1
            behind += 1
        yield OPEN
