"""From what was counted to the workload's templates, and the weights of the sample."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.calibrate import calibrate
from replay.capture.formats.columns import Ints
from replay.capture.origins import Origins
from replay.capture.rarity import is_rare
from replay.capture.registry import Registry
from replay.capture.store import Store
from replay.capture.tally import Figures, Tallied, slices_between
from replay.made import Made
from replay.workload import Template

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HELD_AT_MOST = 4096  # templates, in memory; they are looked at several times


class Span(Protocol):
    """What templates are counted over; a Tally is one."""

    @property
    def begin_us(self) -> int:
        """Epoch; of the window."""

    @property
    def end_us(self) -> int:
        """Epoch."""

    @property
    def slice_s(self) -> int:
        """Width of slices."""

    @property
    def executions(self) -> int:
        """Of all templates."""


def moment(at_us: int) -> datetime:
    """An aware datetime of epoch µs."""
    return _EPOCH + timedelta(microseconds=at_us)


def build_templates(
    registry: Registry,
    span: Span,
    figures: list[Figures] | Tallied,
    kept: Counter[int],
    routes: Origins | None = None,
) -> Sequence[Template]:
    """Every template of the log with its exact figures, most called first.

    `figures`, `kept`, the kept executions, and `routes`, what is known of them, are by template
    number.
    """
    named = routes or {}
    begin = span.begin_us // 1_000_000 // span.slice_s
    slices = slices_between(span.begin_us, span.end_us, span.slice_s)

    def build(number: int) -> Template:
        found, of = registry.templates[number], figures[number]
        return Template(
            id=found.id,
            sql=found.sql,
            kind=found.kind,
            tables=found.tables,
            calls=of.calls,
            errors=of.errors,
            total_ms=of.total_us / 1000,
            histogram=tuple(sorted(of.histogram.items())),
            calls_per_slice=tuple(sorted((n - begin, calls) for n, calls in of.slices.items())),
            first_seen=moment(of.first_us),
            last_seen=moment(of.last_us),
            kept=kept[number],
            rare=is_rare(
                kind=found.kind,
                calls=of.calls,
                executions=span.executions,
                slices_seen=len(of.slices),
                slices=slices,
            ),
            query_ids=tuple(sorted(of.query_ids.items(), key=lambda item: (-item[1], item[0]))),
            error_states=tuple(
                sorted((registry.states[state], errors) for state, errors in of.states.items())
            ),
            routes=named[number].routes if number in named else (),
            routes_by=named[number].how if number in named else "",
            routes_sure=named[number].sure if number in named else 0.0,
        )

    calls = [of.calls for of in figures] if isinstance(figures, list) else figures.calls.tolist()
    order = [number for number, count in enumerate(calls) if count]
    order.sort(key=lambda number: (-calls[number], registry.templates[number].id))
    if len(order) <= _HELD_AT_MOST:
        return tuple(map(build, order))
    return Made(len(order), lambda: map(build, order))


def fitted(
    registry: Registry, store: Store, numbers: Ints, weights: Weights, calls: Weights
) -> tuple[Weights, Ints, Ints]:
    """The kept units' weights, fitted to the templates' calls; the executions, and each one's unit.

    See Store.executions.
    """
    executions, unit = store.executions(numbers)
    return calibrated(registry, weights, unit, executions[0], calls), executions, unit


def calibrated(
    registry: Registry, weights: Weights, unit: Ints, template: Ints, calls: Weights
) -> Weights:
    """Weights of units, fitted to the templates' calls; `unit` and `template` are the executions'.

    Floats are summed in the order of the templates' ids, which no order of the input changes.
    """
    order = np.lexsort((registry.identities()[template], unit))
    return calibrate(weights, unit[order], template[order], calls)
