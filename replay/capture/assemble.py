"""From counts and kept units to the workload's frozen types; here values meet the scrubber."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from replay.capture.calibrate import calibrate
from replay.capture.messages import parameters
from replay.capture.rarity import is_rare
from replay.capture.sample import shape_id
from replay.capture.scrub import Scrubber
from replay.capture.tally import Tally
from replay.capture.templates import Known, Templates
from replay.capture.units import Execution, Unit
from replay.sql.slots import Slotted, extract
from replay.workload import Statement, Template, Transaction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Settings of the session that say how, not what: their values stay as they are.
_PLAIN_SETTING = re.compile(
    r"set (?:session |local )?(?:time zone|timezone|datestyle|intervalstyle|client_encoding|names"
    r"|search_path|statement_timeout|lock_timeout|idle_in_transaction_session_timeout"
    r"|extra_float_digits|bytea_output|client_min_messages|standard_conforming_strings"
    r"|default_transaction_[a-z_]+|(?:session characteristics|transaction)\b.*)",
)
_RADIX = re.compile(r"0[xXoObB][0-9a-fA-F_]+|\d[\d_]*")


def moment(at_us: int) -> datetime:
    """An aware datetime of epoch µs."""
    return _EPOCH + timedelta(microseconds=at_us)


def build_templates(
    templates: Templates, tally: Tally, kept: Sequence[tuple[Unit, float]], executions: int
) -> list[Template]:
    """Every template of the log with its exact figures, most called first."""
    kept_of = Counter(e.template for unit, _ in kept for e in unit.executions)
    figures = tally.by_template(templates.variants, len(templates.known))
    slices = max(1, -(-(tally.end_us - tally.begin_us) // (tally.slice_s() * 1_000_000)))

    def build(number: int, known: Known) -> Template:
        of, found = figures[number], known.fingerprint
        calls_per_slice = tally.slices(of.bins)
        return Template(
            id=found.id,
            sql=found.sql,
            kind=found.kind,
            tables=found.tables,
            calls=of.calls,
            errors=of.errors,
            total_ms=of.total_us / 1000,
            histogram=tuple(sorted(of.histogram.items())),
            calls_per_slice=calls_per_slice,
            first_seen=moment(of.first_us),
            last_seen=moment(of.last_us),
            kept=kept_of[found.id],
            rare=is_rare(
                kind=found.kind,
                calls=of.calls,
                executions=executions,
                slices_seen=len(calls_per_slice),
                slices=slices,
            ),
            query_ids=tuple(of.query_ids.most_common()),
        )

    built = [build(number, known) for number, known in enumerate(templates.known)]
    return sorted(built, key=lambda template: (-template.calls, template.id))


def build_transactions(
    kept: Sequence[tuple[Unit, float]],
    templates: Iterable[Template],
    begin_us: int,
    scrubber: Scrubber,
    *,
    share: float = 1.0,
) -> tuple[Transaction, ...]:
    """The kept units with calibrated weights, whole-slotted SQL and scrubbed values.

    Where the server logged a `share` of its transactions only, each stands for 1/share of them;
    errors it logged all, so a unit of nothing else stands for itself.
    """
    by_id = {template.id: template for template in templates}
    slotted = lru_cache(maxsize=4096)(extract)
    weighted = calibrate(kept, {template.id: template.calls for template in by_id.values()})
    return tuple(
        Transaction(
            id=number,
            session=scrubber.token(unit.session),
            start_us=max(unit.start_us - begin_us, 0),  # an error may come before the window
            weight=weight if all(e.sqlstate for e in unit.executions) else weight / share,
            shape=shape_id([execution.template for execution in unit.executions]),
            statements=tuple(
                _statement(execution, unit, by_id, slotted, scrubber)
                for execution in unit.executions
                if _is_told(execution, slotted(execution.sql))
            ),
        )
        for number, (unit, weight) in enumerate(weighted)
    )


def _is_told(execution: Execution, slotted: Slotted) -> bool:
    """Whether the log tells what was sent: of a failed call it may lack the parameters."""
    if not execution.sqlstate:
        return True
    bound = parameters(execution.parameters)
    return all(number in bound for number, letter in enumerate(slotted.slots, 1) if letter == "p")


def _statement(
    execution: Execution,
    unit: Unit,
    templates: Mapping[str, Template],
    slotted: Callable[[str], Slotted],
    scrubber: Scrubber,
) -> Statement:
    found = slotted(execution.sql)
    plain = bool(_PLAIN_SETTING.match(templates[execution.template].sql))
    prepared = execution.prepared
    if prepared is None and "p" in found.slots:
        prepared = ""  # a failed call whose bind the log does not show
    return Statement(
        template=execution.template,
        sql=found.sql,
        slots=found.slots,
        values=_values(execution, found, scrubber, plain=plain),
        prepared=prepared,
        offset_us=execution.start_us - unit.start_us,
        duration_us=execution.duration_us,
        error=execution.sqlstate,
    )


def _values(
    execution: Execution, slotted: Slotted, scrubber: Scrubber, *, plain: bool
) -> tuple[str | None, ...]:
    bound = parameters(execution.parameters)
    literals = iter(slotted.literals)
    values: list[str | None] = []
    for number, letter in enumerate(slotted.slots, 1):
        if letter == "p":
            values.append(scrubber.value(bound.get(number)))
            continue
        literal = next(literals)
        if plain:
            values.append(literal)
        elif letter == "b":
            values.append(scrubber.bits(literal))
        elif letter == "n" and _RADIX.fullmatch(literal):
            values.append(scrubber.value(str(_whole(literal))))
        else:
            values.append(scrubber.value(literal))
    return tuple(values)


def _whole(literal: str) -> int:
    """A whole number as SQL writes it: 1_000, 0x1F, and 007, which is 7."""
    digits = literal.replace("_", "")
    return int(digits, 0) if digits[:2].lower() in ("0x", "0o", "0b") else int(digits)
