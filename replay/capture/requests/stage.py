"""Request logs in, what a workload holds of requests out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from replay.capture import warm
from replay.capture.bottomk import Weights
from replay.capture.formats.columns import Ints
from replay.capture.inputs import Input, Known, find_inputs
from replay.capture.memory import collected_by_hand
from replay.capture.requests import formats, patterns
from replay.capture.requests.assemble import (
    build_requests,
    build_routes,
    calibrated,
    request_log,
    route_id,
)
from replay.capture.requests.formats import RequestFormat, access
from replay.capture.requests.reading import Reading
from replay.capture.requests.routes import Routes
from replay.capture.requests.sample import Kept
from replay.capture.scrub import scrubber
from replay.errors import InputError
from replay.requests import Requests
from replay.sql.comment import shape_of
from replay.workload import Place

if TYPE_CHECKING:
    from replay.capture.links.linker import Linker
    from replay.capture.links.told import Told

_ADVICE = (
    "name the server's log_format (nginx) or LogFormat (Apache) with --http-format; known by "
    "themselves are nginx's and Apache's combined, common and main, HAProxy's httplog, JSON of nginx, "
    "Envoy and Caddy, ALB, HAR and GoReplay's files"
)
_ALL = 1 << 40  # requests of a stratum
_REFUSED_SHARE = 0.5  # of the lines, that are no requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """What to take of request logs, and how."""

    format: str = ""  # log_format or LogFormat; empty: recognised
    routes: tuple[Path, ...] = ()  # the user's patterns, OpenAPI documents
    begin: datetime | None = None
    end: datetime | None = None
    seed: int = 0
    per_stratum: int = 64
    everything: bool = False  # no sample: all requests are kept
    keep_values: bool = False
    linked: bool = True  # transactions may be linked with them
    apart: frozenset[int] = (
        frozenset()
    )  # hashes of paths that are routes of their own: see links.words
    kept: frozenset[str] = field(default_factory=frozenset)  # values that stand in the schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequests:
    """Request logs, read: what is known of them still has production's values."""

    reading: Reading
    inputs: Sequence[Input]
    options: RequestOptions
    rows: Sequence[Kept]  # that stay, by begin
    weights: Weights

    @property
    def interrupted(self) -> bool:
        """By Ctrl-C."""
        return self.reading.interrupted

    def made(self, key: bytes, told: "Told | None" = None) -> Requests:
        """What a workload holds of them, scrubbed with that key; `told` is how they are linked."""
        with collected_by_hand():
            return self._made(key, told)

    def _made(self, key: bytes, told: "Told | None") -> Requests:
        reading, rows = self.reading, self.rows
        figures = reading.tally.by_route(reading.routes)
        today = datetime.fromtimestamp(reading.tally.end_us / 1_000_000, UTC).date()
        scrub = scrubber(
            key=key,
            kept=self.options.kept,
            today=today,
            keep_values=self.options.keep_values,
        )
        weights = calibrated(reading, rows, self.weights, figures)
        return Requests(
            log=request_log(reading, self.inputs, scrub),
            routes=build_routes(reading, figures, Counter(self._routes().tolist())),
            kept=build_requests(reading, rows, weights, scrub),
            links=told.links if told is not None else (),
            ran=told.ran if told is not None else (),
            places=self._places(),
        )

    def linker(self) -> "Linker":
        """What links them with the transactions of their time."""
        # What keeps transactions: a capture of requests alone starts without it.
        from replay.capture.links.found import Routed  # noqa: PLC0415
        from replay.capture.links.linker import Linker  # noqa: PLC0415

        reading, keys = self.reading, self.reading.routes.keys
        figures = reading.tally.by_route(reading.routes)
        routes = [
            Routed(
                route_id(key),
                " ".join(key),
                shape_of(key[1]),
                figures[number].calls if number in figures else 0,
            )
            for number, key in enumerate(keys)
        ]
        return Linker(reading.sky, self.rows, reading.routes.now(np.arange(len(keys))), routes)

    def _places(self) -> tuple[Place, ...]:
        if self.options.everything:
            return ()
        ids = [route_id(key) for key in self.reading.routes.keys]
        return tuple(self.reading.sample.places(ids, self.rows))

    def _routes(self) -> Ints:
        return self.reading.routes.now(np.array([row.route for row in self.rows], np.int64))


def read_requests(
    inputs: Sequence[Path],
    *,
    options: RequestOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ReadRequests:
    """Read request logs; Ctrl-C ends the reading, and what was read is returned.

    Raises InputError for input that is no request log, or is broken for the most part, and for
    patterns that cannot be read.
    """
    options = options or RequestOptions()
    warm.ensure(requests=True)
    known = patterns.read(*options.routes)
    own = access.given(options.format) if options.format else None

    def recognise(head: bytes) -> RequestFormat | None:
        return own or formats.recognise(head)

    found = find_inputs(inputs, Known(recognise=recognise, advice=_ADVICE))  # type: ignore[arg-type]
    reading = Reading(
        Routes(known, options.apart),
        seed=options.seed,
        k=_ALL if options.everything else options.per_stratum,
        begin_us=_epoch_us(options.begin),
        end_us=_epoch_us(options.end),
        linked=options.linked,
    )
    with collected_by_hand():
        reading.read(found.inputs, progress)
        _require(reading, [one.name for one in found.inputs])
        rows, weights = reading.sample.kept()
    return ReadRequests(
        reading=reading, inputs=found.inputs, options=options, rows=rows, weights=weights
    )


def _require(reading: Reading, names: Sequence[str]) -> None:
    lines = reading.records + reading.broken
    told = "; ".join(f"{s.count} times {s.reason} ({s.first})" for s in reading.skipped())
    if reading.broken > _REFUSED_SHARE * lines:
        raise InputError(
            f"{', '.join(names)}: {reading.broken} of {lines} lines are no requests: {told}; {_ADVICE}"
        )
    if not reading.tally.requests:
        if reading.interrupted:
            raise KeyboardInterrupt  # nothing to keep
        raise InputError(f"{', '.join(names)}: holds no request in the window that was asked for")


def _epoch_us(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000)
