"""Counts over time as blocks of text."""

from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_STEPS = len(_BLOCKS) - 1


def spark(counts: Sequence[int], width: int) -> str:
    """One line of at most `width` blocks; what is not nothing shows at least the lowest."""
    return bars(counts, width, 1)[0]


def bars(counts: Sequence[int], width: int, height: int) -> tuple[str, ...]:
    """Bars of `height` lines, the top one first, in at most `width` columns."""
    columns = fitted(counts, width)
    highest = max(columns, default=0)
    filled = [-(-column * height * _STEPS // highest) if column else 0 for column in columns]
    return tuple(
        "".join(_BLOCKS[min(max(level - line * _STEPS, 0), _STEPS)] for level in filled)
        for line in reversed(range(height))
    )


def fitted(counts: Sequence[int], width: int) -> list[int]:
    """Counts by column: neighbours add up where there is no room, repeat where there is for two."""
    together = -(-len(counts) // max(width, 1)) or 1
    columns = [sum(counts[at : at + together]) for at in range(0, len(counts), together)]
    repeated = max(width // len(columns), 1) if columns else 1
    return [column for column in columns for _ in range(repeated)]
