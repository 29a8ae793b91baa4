"""Which keys and values the kept transactions met, and which of them several met."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from data_gen.keys import KeyDomain
from replay.bind.slots import Kind, Place
from replay.workload import Statement, Transaction, Workload

Places = Callable[[Statement], tuple[Place, ...]]
Name = tuple[str, int]  # of a slot: template, number


def hot_keys(workload: Workload, places: Places) -> set[tuple[str, str]]:
    """Space and captured value of all that two or more transactions met."""
    first: dict[tuple[str, str], int] = {}
    return {
        (place.space, token)
        for transaction, _, place, token in met(workload, places)
        if first.setdefault((place.space, token), transaction.id) != transaction.id
    }


@dataclass(slots=True)
class Slot:
    """The keys of one slot of a template; a transaction meets each once."""

    domain: KeyDomain
    seen: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)  # met by no slot before in its transaction
    weights: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def slots_of(workload: Workload, places: Places) -> Mapping[Name, Slot]:
    """All slots that take a key."""
    slots: dict[Name, Slot] = {}
    known: set[tuple[str, ...]] = set()  # to one transaction
    newest = -1
    for transaction, template, place, token in met(workload, places):
        if place.domain is None:
            continue
        if transaction.id != newest:
            newest, known = transaction.id, set()
        slot = slots.setdefault((template, place.number), Slot(place.domain))
        in_space, in_slot = (place.space, token), (template, str(place.number), token)
        if in_slot not in known:
            slot.seen[token] += 1
            slot.weights[token] += transaction.weight
            if in_space not in known:
                slot.first[token] += 1
        known |= {in_space, in_slot}
    return slots


def apart(
    hot: set[tuple[str, str]], domains: Mapping[str, KeyDomain]
) -> dict[tuple[str, str], int]:
    """A position of its own for each hot key, as near as can be to where it belongs.

    Those whose rows are known to look as production's come first, for they lose most elsewhere.
    """

    def turn(name: tuple[str, str]) -> tuple[bool, tuple[str, str]]:
        domain = domains.get(name[0])
        return domain is None or name[1] not in domain.known, name

    taken = {space: set(domain.hot.values()) for space, domain in domains.items()}
    positions: dict[tuple[str, str], int] = {}
    for space, token in sorted(hot, key=turn):
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
