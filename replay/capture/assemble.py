"""From what was counted and sampled to the workload's frozen types; here values meet the scrubber."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.calibrate import calibrate
from replay.capture.everything import Everything
from replay.capture.executions import NONE
from replay.capture.extractor import Extractor
from replay.capture.formats.columns import Ints
from replay.capture.policy import is_secretive
from replay.capture.rarity import is_rare
from replay.capture.registry import Registry
from replay.capture.retell import Told, retold
from replay.capture.sample import Strata, shape_id
from replay.capture.sampling import Sampling
from replay.capture.scrub import Scrubber
from replay.capture.store import Store, Stored, StoredExecution
from replay.capture.tally import Figures, Tallied, slices_between
from replay.made import Made
from replay.sql.slots import Slotted
from replay.workload import Place, Statement, Template, Transaction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Settings of the session that say how, not what: their values stay as they are.
_PLAIN_SETTING = re.compile(
    r"set (?:session |local )?(?:time zone|timezone|datestyle|intervalstyle|client_encoding|names"
    r"|search_path|statement_timeout|lock_timeout|idle_in_transaction_session_timeout"
    r"|extra_float_digits|bytea_output|client_min_messages|standard_conforming_strings"
    r"|default_transaction_[a-z_]+|(?:session characteristics|transaction)\b.*)",
)
_SESSION_ID = re.compile(rb"([0-9a-f]{8})\.[0-9a-f]+")
_RADIX = re.compile(r"0[xXoObB][0-9a-fA-F_]+|\d[\d_]*")
_LONG = 1000  # digits that are no number to anybody
_DATA, _PLAIN, _SECRET = range(3)  # what a template's literals are
_TOGETHER = 2000  # units that are read again at once


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
    registry: Registry, span: Span, figures: list[Figures] | Tallied, kept: Counter[int]
) -> Sequence[Template]:
    """Every template of the log with its exact figures, most called first.

    `figures` and `kept`, the kept executions, are by template number.
    """
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
        )

    calls = [of.calls for of in figures] if isinstance(figures, list) else figures.calls.tolist()
    order = [number for number, count in enumerate(calls) if count]
    order.sort(key=lambda number: (-calls[number], registry.templates[number].id))
    return Made(len(order), lambda: map(build, order))


def fitted(
    registry: Registry, store: Store, numbers: Ints, weights: Weights, calls: Weights
) -> tuple[Weights, Ints]:
    """The kept units' weights, fitted to the templates' calls; and the executions' templates."""
    template, unit = store.templates(numbers)
    return calibrated(registry, weights, unit, template, calls), template


def calibrated(
    registry: Registry, weights: Weights, unit: Ints, template: Ints, calls: Weights
) -> Weights:
    """Weights of units, fitted to the templates' calls; `unit` and `template` are the executions'.

    Floats are summed in the order of the templates' ids, which no order of the input changes.
    """
    order = np.lexsort((registry.identities()[template], unit))
    return calibrate(weights, unit[order], template[order], calls)


def build_transactions(
    registry: Registry,
    store: Store | Everything,
    numbers: Ints,
    weights: Weights,
    begin_us: int,
    scrubber: Scrubber,
    sampling: Sampling,
) -> Iterator[Transaction]:
    """The kept units, in order of start, with whole-slotted SQL and scrubbed values."""
    build = _Builder(registry, begin_us, scrubber, sampling)
    for start in range(0, numbers.size, _TOGETHER):
        units = list(store.units(numbers[start : start + _TOGETHER]))
        for place, (unit, told) in enumerate(retold(units, registry), start):
            yield build.transaction(place, unit, told, float(weights[place]))


def build_places(registry: Registry, strata: Strata, numbers: Ints) -> Iterator[Place]:
    """All places of the sample, by group, stratum and rank; `numbers` are the kept units', in order."""
    ids = {number: place for place, number in enumerate(numbers.tolist())}
    templates, states = registry.templates, registry.states
    name: dict[str, Callable[..., str]] = {
        "template": lambda template: templates[template].id,
        "slowest": lambda template: templates[template].id,
        "error": lambda template, state: f"{templates[template].id} {states[state]}",
        "bucket": str,
        "shape": lambda shape: f"{shape:016x}",
    }
    for group, meant, places in strata.places():
        named = [
            (name[group](*(meant[stratum] if meant is not None else (stratum,))), begin, end)
            for stratum, begin, end in places.strata
        ]
        named.sort()
        for stratum, begin, end in named:
            ranks, units = places.ranks[begin:end].tolist(), places.units[begin:end].tolist()
            for rank, unit in zip(ranks, units, strict=True):
                yield Place(group=group, stratum=stratum, rank=rank, transaction=ids.get(unit))


class _Builder:
    def __init__(
        self, registry: Registry, begin_us: int, scrubber: Scrubber, sampling: Sampling
    ) -> None:
        self._templates = registry.templates
        self._states = registry.states
        self._begin_us = begin_us
        self._scrubber = scrubber
        self._sampling = sampling
        self._cares: dict[str, int] = {}  # by template
        self._slotted: Callable[[str], Slotted] = lru_cache(maxsize=4096)(Extractor())

    def transaction(
        self, number: int, unit: Stored, told: Sequence[Told], weight: float
    ) -> Transaction:
        executions = unit.executions
        probability = self._sampling.probability(
            max(e.spent_us for e in executions),
            len(executions),
            failed=executions[0].state != NONE,
        )
        statements, untold = [], []
        for execution, call in zip(executions, told, strict=True):
            statement = self._statement(execution, call, unit.start_us)
            if statement is None:
                untold.append(self._templates[execution.template].id)
            else:
                statements.append(statement)
        return Transaction(
            id=number,
            session=self._scrubber.token(unit.session.decode("latin-1")),
            start_us=max(unit.start_us - self._begin_us, 0),
            weight=weight / probability,
            shape=shape_id([self._templates[e.template].id for e in executions]),
            statements=tuple(statements),
            untold=tuple(untold),
            priority=unit.priority,
            logged=probability,
            early_us=max(self._begin_us - unit.start_us, 0),
            session_us=self._session_us(unit),
        )

    def _session_us(self, unit: Stored) -> int | None:
        """When the unit's session began, where its name is PostgreSQL's own: %c of log_line_prefix."""
        told = _SESSION_ID.match(unit.session)
        if told is None:
            return None
        began_us = int(told[1], 16) * 1_000_000
        return began_us - self._begin_us if began_us <= unit.start_us else None

    def _statement(self, execution: StoredExecution, call: Told, start_us: int) -> Statement | None:
        """The statement; None where the log does not tell what was sent: values of a failed call."""
        found = self._slotted(call.sql)
        known = self._templates[execution.template]
        if call.is_failed and any(
            number not in call.parameters
            for number, letter in enumerate(found.slots, 1)
            if letter == "p"
        ):
            return None
        prepared = call.prepared
        if prepared is None and "p" in found.slots:
            prepared = ""  # a failed call whose bind the log does not show
        return Statement(
            template=known.id,
            sql=found.sql,
            slots=found.slots,
            values=self._values(call.parameters, found, self._care(known.id, known.sql)),
            prepared=prepared,
            offset_us=execution.start_us - start_us,
            duration_us=execution.spent_us,
            error="" if execution.state == NONE else self._states[execution.state],
        )

    def _care(self, template: str, sql: str) -> int:
        """How the template's literals are to be taken."""
        care = self._cares.get(template)
        if care is None:
            care = _SECRET if is_secretive(sql) else _PLAIN if _PLAIN_SETTING.match(sql) else _DATA
            self._cares[template] = care
        return care

    def _values(
        self, bound: Mapping[int, str | None], slotted: Slotted, care: int
    ) -> tuple[str | None, ...]:
        scrubber = self._scrubber
        literals = iter(slotted.literals)
        values: list[str | None] = []
        for number, letter in enumerate(slotted.slots, 1):
            if letter == "p":
                values.append(scrubber.value(bound.get(number)))
                continue
            literal = next(literals)
            if care == _PLAIN:
                values.append(literal)
            elif care == _SECRET:
                values.append(scrubber.secret(literal))
            elif letter == "b":
                values.append(scrubber.bits(literal))
            elif letter == "n" and len(literal) < _LONG and _RADIX.fullmatch(literal):
                values.append(scrubber.value(str(_whole(literal))))
            else:
                values.append(scrubber.value(literal))
        return tuple(values)


def _whole(literal: str) -> int:
    """A whole number as SQL writes it: 1_000, 0x1F, and 007, which is 7."""
    digits = literal.replace("_", "")
    return int(digits, 0) if digits[:2].lower() in ("0x", "0o", "0b") else int(digits)
