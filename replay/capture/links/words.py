"""Words that were taken for values of their route, and run other statements than the route does.

`/users/export` is no user, and may be asked for once a month, when `/users/{name}` stands there long since. What
its request ran tells: statements that next to nobody else's does, and not those that most of them do.
Only ids tell well enough which request ran what; and a comment that names a path names it for good.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from replay.capture.executions import Mask
from replay.capture.formats.columns import Ints
from replay.capture.formats.texts import Texts
from replay.capture.kernels import Hashes
from replay.capture.links.found import TEMPLATES, Routed
from replay.capture.requests.shapes import NAME, segments, worded_hashes
from replay.sql.comment import shape_of

_WORDS_AT_LEAST = 5  # of a route, so that there is something that most of them run
_TYPICAL = 0.5  # share of a route's words that run it
_PECULIAR = 0.02  # the same, at most
_APART_AT_MOST = 100  # words of a route; where there are more, its words are no names
_PAIRS_AT_MOST = 1 << 20  # until they are looked at for those that are there twice


class Words:
    """Takes what requests ran, by their place among the flights."""

    def __init__(self, worded: Hashes, route: Ints, routes: Sequence[Routed]) -> None:
        """`worded` are hashes of the flights' paths, `route` their places in `routes`."""
        self._routes = routes
        is_folded = np.array([NAME in one.name for one in routes], np.bool_)
        self._route, self._is_folded = route, is_folded[route]
        self._distinct, self._word = np.unique(worded, return_inverse=True)
        self._pairs: list[Ints] = []
        self._held = 0

    def take(self, flight: Ints, template: Ints) -> None:
        """Requests of flights ran these templates."""
        folded = np.flatnonzero(self._is_folded[flight])
        if not folded.size:
            return
        self._pairs.append(np.unique(flight[folded] * TEMPLATES + template[folded]))
        self._held += self._pairs[-1].size
        if self._held > _PAIRS_AT_MOST:
            self._pairs = [np.unique(np.concatenate(self._pairs))]
            self._held = 2 * self._pairs[0].size - _PAIRS_AT_MOST

    def apart(self, is_control: Mask, named: Iterable[str]) -> frozenset[int]:
        """Hashes of paths that are no more than a word of their route, but run something else."""
        return frozenset([*self._told(is_control), *self._named(named)])

    def _told(self, is_control: Mask) -> list[int]:
        if not self._pairs:
            return []
        flight, template = np.divmod(np.unique(np.concatenate(self._pairs)), TEMPLATES)
        work = ~is_control[template]
        flight, template = flight[work], template[work]
        found: list[int] = []
        for route in np.unique(self._route[flight]).tolist():
            own = self._route[flight] == route
            words = _odd(flight[own], self._word[flight[own]], template[own])
            if words.size <= _APART_AT_MOST:
                found += self._distinct[words].tolist()
        return found

    def _named(self, named: Iterable[str]) -> list[int]:
        """Paths that comments name, and no route does, but for one that takes a word of them for a value."""
        own = {shape_of(one.name.partition(" ")[2]) for one in self._routes if one.calls}
        folded = [one.name.split(" ", 1) for one in self._routes if one.calls and NAME in one.name]
        methods, paths = [], []
        for path in set(map(shape_of, named)):
            for method, route in folded if "{" not in path and path not in own else ():
                if _fits(path, route):
                    methods.append(method.encode())
                    paths.append(path.encode())
        hashes = worded_hashes(Texts.holding(methods), Texts.holding(paths))
        there: list[int] = hashes[np.isin(hashes, self._distinct)].tolist()
        return there


def _fits(path: str, route: str) -> bool:
    one, other = segments(path), segments(route)
    return len(one) == len(other) and all(b in (a, NAME) for a, b in zip(one, other, strict=True))


def _odd(flight: Ints, word: Ints, template: Ints) -> Ints:
    """Words of one route whose requests all ran something peculiar, and none all that is typical."""
    words, place = np.unique(word, return_inverse=True)
    if words.size < _WORDS_AT_LEAST:
        return words[:0]
    templates, kind = np.unique(template, return_inverse=True)
    pairs = np.unique(place * templates.size + kind)
    runners = np.bincount(pairs % templates.size, minlength=templates.size)
    typical = runners >= _TYPICAL * words.size
    peculiar = runners <= max(1.0, _PECULIAR * words.size)
    ran_typical = np.bincount(pairs // templates.size, typical[pairs % templates.size], words.size)
    flights, first = np.unique(flight, return_index=True)
    ran_peculiar = np.unique(flight[peculiar[kind]], return_index=True)[0]
    of_word = place[first]
    requests = np.bincount(of_word, minlength=words.size)
    odd = np.bincount(of_word[np.searchsorted(flights, ran_peculiar)], minlength=words.size)
    found: Ints = words[(odd == requests) & (ran_typical < typical.sum())]
    return found
