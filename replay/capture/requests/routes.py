"""Routes of shapes: one tree of segments, in which too many words at one place are values.

A route that the service or the user names is taken as it is. Of the others, a place below which more
than CHILDREN different words stand becomes `{name}`: user names, slugs, search words. Words that most
of the place's requests have stay words, and so do places that lead to different paths below: a service
runs other SQL for `/users/me/settings` than for `/users/anna`. So do words by which services call what they
do (`actions`), however rare they are and however late they come: `/users/export`.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.kernels import Hashes
from replay.capture.requests import shapes
from replay.capture.requests.actions import is_action
from replay.capture.requests.counted import Numbers
from replay.capture.requests.folds import Folds, folds, hash_of, way, way_of
from replay.capture.requests.patterns import Patterns

CHILDREN = 100  # different words at one place, at most
_STAYS = 0.05  # share of a place's requests with which a word stays a word
_KNOWN_AT_MOST = 1 << 18  # hashes

Key = tuple[str, str]  # method and route
Asked = Callable[[Ints], Iterable[tuple[str, bytes, str]]]
"""Of some rows method, target, and the route as the service names it."""


@dataclass(slots=True)
class _Node:
    """A place in the tree of segments."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    folded: bool = False  # words below are values
    calls: int = 0
    route: int = -1  # number of the route that ends here
    stays: bool = False  # is no value, however few ask for it


_NOWHERE = _Node()  # below a place that is not there yet


class Routes:
    """Numbers routes; a number may become another one's when a place folds (`moved`)."""

    def __init__(
        self, patterns: Patterns | None = None, apart: frozenset[int] = frozenset()
    ) -> None:
        """`apart` are worded hashes of paths that run other statements than those like them."""
        self._patterns = patterns or Patterns()
        self._apart = apart
        self.folds: Folds = folds(literals=self._patterns.words, apart=apart)
        self._known = Numbers(_KNOWN_AT_MOST)  # by a shape's hash
        self._numbers: dict[Key, int] = {}
        self._trees: dict[str, _Node] = {}  # by method
        self._of: list[int] = []  # number -> the number that it is now
        self._now: Ints = np.empty(0, np.int64)  # the same, as far as it was asked for
        self.keys: list[Key] = []
        self.given: list[bool] = []

    def numbers(self, hashes: Hashes, asked: Asked) -> Ints:
        """Every request's route by the hash of its shape; `asked` tells an example of a new one."""
        numbers, unknown = self._known.find(hashes)
        if unknown.size:
            order = np.argsort(hashes[unknown])  # so that it does not matter which came first
            given = np.empty(unknown.size, np.int64)
            for place, example in zip(order.tolist(), asked(unknown[order]), strict=True):
                is_apart = int(hashes[unknown[place]]) in self._apart
                given[place] = self._number(*example, is_apart=is_apart)
            self._known.give(hashes[unknown], given)
            new = np.flatnonzero(numbers < 0)
            numbers[new] = given[-1 - numbers[new]]
        return self.now(numbers)

    def now(self, numbers: Ints) -> Ints:
        """The numbers that numbers given out before are now."""
        if self._now.size < len(self._of):
            self._now = np.array(self._of, np.int64)
        return self._now[numbers]

    def count(self, numbers: Ints, calls: Ints) -> bool:
        """Take note of calls; whether places have folded by it, so that numbers have moved."""
        crowded: dict[int, tuple[str, _Node]] = {}
        for number, count in zip(numbers.tolist(), calls.tolist(), strict=True):
            method, route = self.keys[number]
            if self.given[number]:
                continue
            for node in self._nodes(method, route):
                node.calls += count
                if not node.folded and len(node.children) > CHILDREN:
                    crowded[id(node)] = method, node
        folded = [self._fold(method, node) for method, node in crowded.values()]
        if folded:
            self._tell_folds()
        return any(folded)

    def _tell_folds(self) -> None:
        """Let the loop over paths know where words are values."""
        places: list[int] = []
        words: list[int] = []
        for method, root in self._trees.items():
            waiting = [(way_of(hash_of(method.encode())), root)]
            while waiting:
                ahead, node = waiting.pop()
                below = {word: way(ahead, shapes.own_hash(word)) for word in node.children}
                waiting += [(below[word], child) for word, child in node.children.items()]
                if node.folded:
                    places.append(ahead)
                    words += below.values()
        self.folds = folds(places, words, literals=self._patterns.words, apart=self._apart)

    def _number(self, method: str, target: bytes, given: str, *, is_apart: bool) -> int:
        path = shapes.path_of(target)
        route = given or self._patterns.route(method, path)
        if route:
            return self._put((method, route), given=True)
        parts = [shapes.shown(part) for part in shapes.segments(path)]
        if is_apart:
            for node in self._nodes(method, "/".join(parts))[1:]:
                node.stays = True
        return self._put((method, "/".join(self._folded(method, parts))), given=False)

    def _put(self, key: Key, *, given: bool) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            self.given.append(given)
            self._of.append(number)
            if not given:
                self._nodes(*key)[-1].route = number
        return self._of[number]

    def _folded(self, method: str, parts: list[str]) -> list[str]:
        """The segments of a new path, with the words that are values by now."""
        node = self._trees.setdefault(method, _Node())
        shown = []
        for part in parts:
            if node.folded and part not in node.children and not _stays(part):
                part = shapes.NAME  # noqa: PLW2901
            shown.append(part)
            node = node.children.get(part, _NOWHERE)
        return shown

    def _nodes(self, method: str, route: str) -> list[_Node]:
        """The places of a route, made where they are not there."""
        node = self._trees.setdefault(method, _Node())
        nodes = [node]
        for part in shapes.segments(route):
            node = node.children.setdefault(part, _Node())
            nodes.append(node)
        return nodes

    def _fold(self, method: str, node: _Node) -> bool:
        """Make one of the words below a place that are values; whether there were any."""
        node.folded = True
        values = {
            word: child
            for word, child in node.children.items()
            if not (child.stays or _stays(word)) and child.calls <= _STAYS * node.calls
        }
        lengths = {word: _below(child) for word, child in values.items()}
        alike = Counter(lengths.values())
        values = {word: child for word, child in values.items() if alike[lengths[word]] > 1}
        into = node.children.pop(shapes.NAME, _Node())
        became: dict[int, int] = {}
        for word, child in values.items():
            del node.children[word]
            _merge(into, child, became)
        node.children[shapes.NAME] = into
        self._of = [became.get(number, number) for number in self._of]
        self._now = self._now[:0]
        self._rename(method)
        return bool(values)

    def _rename(self, method: str) -> None:
        """Keys of all routes of a method, from their places."""
        waiting = [("", self._trees[method])]
        while waiting:
            ahead, node = waiting.pop()
            if node.route >= 0:
                key = (method, ahead.removeprefix("/"))
                number = node.route
                old = self.keys[number]
                if old != key:
                    self._numbers[key] = number
                    self.keys[number] = key
            waiting += [(f"{ahead}/{word}", child) for word, child in node.children.items()]


def _stays(part: str) -> bool:
    """Whether that is no word that may be a value."""
    return part.startswith("{") or is_action(part)


def _below(node: _Node) -> tuple[int, ...]:
    """What tells which paths lead on from a place: how many segments each of them has more."""
    return tuple(
        sorted(
            {depth + 1 for child in node.children.values() for depth in _below(child)}
            | ({0} if node.route >= 0 else set())
        )
    )


def _merge(into: _Node, node: _Node, became: dict[int, int]) -> None:
    """Add a place to another; the routes of both that end alike become one."""
    into.calls += node.calls
    into.folded |= node.folded
    into.stays |= node.stays
    if node.route >= 0:
        if into.route < 0:
            into.route = node.route
        else:
            became[node.route] = into.route
    for part, child in node.children.items():
        _merge(into.children.setdefault(part, _Node()), child, became)
