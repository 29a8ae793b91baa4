"""Which captured keys and values were hot, and where the cold ones of a statement lay.

A value that two distinct kept transactions touched is hot: it keeps its one counterpart, so that
they meet again. A value that only one touched stands for many like it: each copy draws another.
"""

from collections import defaultdict
from collections.abc import Callable

from replay.bind.slots import Kind, Place
from replay.workload import Statement, Transaction, Workload


class Heat:
    """Hot values by space, and spans of cold key positions by template and slot."""

    def __init__(
        self, workload: Workload, places: Callable[[Statement], tuple[Place, ...]]
    ) -> None:
        seen: dict[tuple[str, str], int] = {}
        self._hot: set[tuple[str, str]] = set()
        for transaction in workload.transactions:
            for key in _touched(transaction, places):
                if seen.setdefault(key, transaction.id) != transaction.id:
                    self._hot.add(key)
        positions: dict[tuple[str, int], list[int]] = defaultdict(list)
        sizes: dict[tuple[str, int], int] = {}
        for transaction in workload.transactions:
            for statement in transaction.statements:
                for place, token in zip(places(statement), statement.values, strict=True):
                    if place.domain is None or token is None or place.array:
                        continue
                    slot = (statement.template, place.number)
                    sizes[slot] = place.domain.size
                    if (place.space, token) not in self._hot:
                        positions[slot].append(place.domain.place(token))
        self._spans = {slot: (min(at), max(at)) for slot, at in positions.items() if len(at) > 1}
        self._sizes = sizes

    def is_hot(self, space: str, token: str) -> bool:
        """Whether at least two kept transactions touched this value."""
        return (space, token) in self._hot

    def span(self, template: str, place: Place) -> tuple[int, int]:
        """First and last position that cold keys of this slot may take."""
        found = self._spans.get((template, place.number))
        if found is not None:
            return found
        assert place.domain is not None
        return 0, place.domain.size - 1


def _touched(
    transaction: Transaction, places: Callable[[Statement], tuple[Place, ...]]
) -> set[tuple[str, str]]:
    return {
        (place.space, token)
        for statement in transaction.statements
        for place, token in zip(places(statement), statement.values, strict=True)
        if token is not None and place.kind in {Kind.KEY, Kind.VALUE}
    }
