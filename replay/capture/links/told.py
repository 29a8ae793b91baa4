"""Links as the workload has them, and the routes behind each template."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from replay.capture.bottomk import Weights
from replay.capture.executions import Mask
from replay.capture.formats.columns import Ints
from replay.capture.kept import Kept
from replay.capture.links.found import Count, Linked
from replay.capture.links.linker import Linker
from replay.capture.links.timed import by_time
from replay.capture.origins import Behind, Origins
from replay.requests import BY_COMMENT, Link, Ran
from replay.sql.comment import shape_of

_SURE_AT_LEAST = 0.2  # that a route runs a template
_CALLS_AT_LEAST = 0.5
_ROUTES_AT_MOST = 100  # of a template


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What linking has found."""

    links: tuple[Link, ...]  # by request, and by transaction
    ran: tuple[Ran, ...]  # by route, and by calls, most first
    behind: Origins = field(default_factory=dict)  # comments' routes first
    apart: frozenset[int] = (
        frozenset()
    )  # hashes of paths that are no more than a word of their route


def link(
    linker: Linker,
    kept: Kept,
    numbers: Ints,
    weights: Weights,
    *,
    templates: Sequence[str],
    calls: Ints,
    is_control: Mask,
    named: Origins,
) -> Told:
    """All links of the kept units; `templates` are ids, `calls` exact and `named` what comments say."""
    linked = linker.linked(kept, numbers)
    if not linker.is_told:
        guessed = by_time(linker, kept, numbers, weights, is_control)
        linked.found += guessed.found
        linked.counts = {**guessed.counts, **linked.counts}
        linked.requests = guessed.requests
    counts = {**_commented(linker, linked, named, calls), **linked.counts}
    ran = list(_ran(linker, linked, counts, templates, calls))
    return Told(
        links=tuple(
            Link(request=one.request, transaction=one.unit, how=one.how, sure=round(one.sure, 4))
            for one in sorted(linked.found, key=lambda one: (one.request, one.unit))
        ),
        ran=tuple(sorted(ran, key=lambda one: (one.route, -one.calls, one.template))),
        behind={**_behind(linker, ran, templates), **named},
        apart=linker.words.apart(is_control, (r for b in named.values() for r, _ in b.routes)),
    )


def _ran(
    linker: Linker,
    linked: Linked,
    counts: Mapping[tuple[int, int], Count],
    templates: Sequence[str],
    calls: Ints,
) -> Iterator[Ran]:
    for (number, template), count in counts.items():
        route, looked = linker.routes[number], int(linked.requests[number])
        if not count.calls:
            continue
        of_all = count.calls * route.calls / max(looked, 1) if looked else count.calls
        sure = count.squares / count.calls
        if sure >= _SURE_AT_LEAST and of_all >= _CALLS_AT_LEAST:
            yield Ran(
                route=route.id,
                template=templates[template],
                how=count.how,
                sure=round(sure, 4),
                calls=round(of_all, 3),
                requests=looked,
                share=round(min(of_all / max(int(calls[template]), 1), 1.0), 6),
            )


def _commented(
    linker: Linker, linked: Linked, named: Origins, calls: Ints
) -> dict[tuple[int, int], Count]:
    """What comments alone say of templates that nothing else is known of: among routes of one path."""
    known = {template for _, template in linked.counts}
    by_shape: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(linker.routes):
        if one.calls:
            by_shape[one.shape].append(number)
    found: dict[tuple[int, int], Count] = {}
    for template, behind in named.items():
        for route, share in behind.routes if template not in known else ():
            fitting = by_shape.get(shape_of(route), [])
            whole = sum(linker.routes[number].calls for number in fitting)
            for number in fitting:
                part = linker.routes[number].calls / whole
                of_route = share * float(calls[template]) * part
                looked = linked.requests[number]
                scaled = of_route * looked / linker.routes[number].calls if looked else of_route
                found[number, template] = Count(scaled, scaled * part, BY_COMMENT)
    return found


def _behind(linker: Linker, ran: Sequence[Ran], templates: Sequence[str]) -> Origins:
    """By a template's number the routes that ran it."""
    names = {route.id: route.name for route in linker.routes}
    number_of = {template: number for number, template in enumerate(templates)}
    grouped: dict[str, list[Ran]] = defaultdict(list)
    for one in ran:
        grouped[one.template].append(one)
    found = {}
    for template, several in grouped.items():
        several.sort(key=lambda one: (-one.share, one.route))
        most = several[:_ROUTES_AT_MOST]
        whole = sum(one.calls for one in most)
        found[number_of[template]] = Behind(
            routes=tuple((names[one.route], one.share) for one in most),
            how=most[0].how,
            sure=round(sum(one.calls * one.sure for one in most) / whole, 4),
        )
    return found
