"""Which keys and values the kept transactions met, and which of them several met."""

from collections.abc import Callable, Iterator

from data_gen.keys import KeyDomain
from replay.bind.slots import Kind, Place
from replay.workload import Statement, Transaction, Workload

Places = Callable[[Statement], tuple[Place, ...]]


def hot_keys(workload: Workload, places: Places) -> set[tuple[str, str]]:
    """Space and captured value of all that two or more transactions met."""
    first: dict[tuple[str, str], int] = {}
    return {
        (place.space, token)
        for transaction, _, place, token in met(workload, places)
        if first.setdefault((place.space, token), transaction.id) != transaction.id
    }


def apart(
    hot: set[tuple[str, str]], workload: Workload, places: Places
) -> dict[tuple[str, str], int]:
    """A position of its own for each hot key, as near as can be to where it belongs."""
    domains: dict[str, KeyDomain] = {
        place.space: place.domain for _, _, place, _ in met(workload, places) if place.domain
    }
    taken = {space: set(domain.hot.values()) for space, domain in domains.items()}
    positions: dict[tuple[str, str], int] = {}
    for space, token in sorted(hot):
        domain = domains.get(space)
        if domain is None or token in domain.hot or len(taken[space]) >= domain.size:
            continue
        position = domain.place(token)
        while position in taken[space]:
            position = (position + 1) % domain.size
        taken[space].add(position)
        positions[space, token] = position
    return positions


def met(workload: Workload, places: Places) -> Iterator[tuple[Transaction, str, Place, str]]:
    """Captured keys and values, each with its transaction, template and place."""
    for transaction in workload.transactions:
        for statement in transaction.statements:
            for place, text in zip(places(statement), statement.values, strict=True):
                if text is not None and place.kind in {Kind.KEY, Kind.VALUE}:
                    for token in place.tokens(text):
                        yield transaction, statement.template, place, token
