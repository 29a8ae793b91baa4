"""When which request of an incident's production comes: pure, seeded, in order of time."""

import random
from collections.abc import Iterator

from replay.gallery.incident import Request, Traffic


def arrivals(traffic: Traffic, rng: random.Random) -> list[tuple[float, Request]]:
    """(seconds since the beginning, request): Poisson where it has a rate, else evenly spread."""
    found = [
        (due_s, request)
        for request in traffic.requests
        for due_s in (_even(request, traffic) if request.calls else _poisson(request, traffic, rng))
    ]
    return sorted(found, key=lambda arrival: arrival[0])


def _poisson(request: Request, traffic: Traffic, rng: random.Random) -> Iterator[float]:
    due_s = 0.0
    while request.rate and (due_s := due_s + rng.expovariate(request.rate)) < traffic.seconds:
        yield due_s


def _even(request: Request, traffic: Traffic) -> Iterator[float]:
    step_s = traffic.seconds / request.calls
    yield from (step_s * (number + 0.5) for number in range(request.calls))
