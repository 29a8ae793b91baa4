"""Links of several workloads, between what the merged one keeps."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from replay.capture.merge_sample import starts_us
from replay.capture.requests.merge import begins_us, identity
from replay.requests import Link, Ran, Requests
from replay.workload import Workload

Part = tuple[Workload, Requests]


def merged_links(parts: Sequence[Part], workload: Workload, requests: Requests) -> tuple[Link, ...]:
    """The parts' links whose requests and transactions are both kept."""
    request_of = {identity(at_us, one): one.id for at_us, one in begins_us(requests)}
    transaction_of = dict(_transactions(workload))
    found = []
    for part, asked in parts:
        request = {one.id: request_of.get(identity(at_us, one)) for at_us, one in begins_us(asked)}
        transaction = {number: transaction_of.get(key) for key, number in _transactions(part)}
        for link in asked.links:
            to = request[link.request], transaction[link.transaction]
            if to[0] is not None and to[1] is not None:
                found.append(Link(request=to[0], transaction=to[1], how=link.how, sure=link.sure))
    return tuple(sorted(found, key=lambda link: (link.request, link.transaction)))


def merged_ran(parts: Sequence[Requests], workload: Workload) -> tuple[Ran, ...]:
    """What routes ran, summed."""
    calls = {template.id: template.calls for template in workload.templates}
    grouped: Mapping[tuple[str, str], list[Ran]] = defaultdict(list)
    for part in parts:
        for one in part.ran:
            grouped[one.route, one.template].append(one)
    found = (_summed(several, calls) for several in grouped.values())
    return tuple(sorted(found, key=lambda one: (one.route, -one.calls, one.template)))


def _summed(several: Sequence[Ran], calls: Mapping[str, int]) -> Ran:
    whole = sum(one.calls for one in several)
    return Ran(
        route=several[0].route,
        template=several[0].template,
        how=max(several, key=lambda one: one.calls).how,
        sure=round(sum(one.sure * one.calls for one in several) / whole, 4),
        calls=round(whole, 3),
        requests=sum(one.requests for one in several),
        share=round(min(whole / max(calls[several[0].template], 1), 1.0), 6),
    )


def _transactions(part: Workload) -> Iterator[tuple[tuple[int, int, str], int]]:
    for at_us, one in starts_us(part):
        yield (at_us, one.priority, one.session), one.id
