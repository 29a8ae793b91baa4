"""From where the kept keys of a slot lay to where all of production's lay: plain arithmetic."""

from collections.abc import Sequence

Span = tuple[int, int]  # first and last position


def span_of(cold: Sequence[tuple[int, float]], size: int) -> Span:
    """Where cold keys, kept as (position, weight), may have begun and ended among `size` positions.

    The ends of a uniform sample of n lie inside those of what it was drawn from, by 1 / (n - 1) of
    its width on either side, on average. And production touched about as many keys as the kept ones
    stand for, also where they are younger than the statistics and share the last position. One key
    alone, or none, says nothing of a width: then it is the whole domain.
    """
    if len(cold) < 2:
        return 0, size - 1
    low = min(position for position, _ in cold)
    high = max(position for position, _ in cold)
    margin = (high - low) // (len(cold) - 1)
    wanted = round(sum(weight for _, weight in cold))
    missing = max(wanted - (high - low + 1 + 2 * margin), 0)
    width = min(high - low + 2 * margin + missing, size - 1)
    first = min(max(low - margin - missing // 2, 0), size - 1 - width)
    return first, first + width
