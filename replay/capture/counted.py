"""A workload from counters and table statistics alone, where there is no log.

What ran and how often is exact. What belonged together in a transaction nobody counted, so every
statement is one of its own; and values are drawn from the columns' statistics.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from data_gen.profile import SchemaProfile
from replay import __version__
from replay.capture.assemble import moment
from replay.capture.captured import Captured, kept_values
from replay.capture.joints import joined_as_used
from replay.capture.rarity import is_rare
from replay.capture.sample import shape_id
from replay.capture.scrub import POLICY, scrubber
from replay.capture.snapshot import Window
from replay.capture.source import Asked
from replay.capture.statements import join
from replay.capture.synthesise import Made, synthesise
from replay.errors import InputError
from replay.workload import Manifest, Source, Statement, Template, Transaction, Workload

log = logging.getLogger(__name__)

FORMAT = "pg_stat_statements"
_ALONE = (
    "no log was read: which statements make a transaction is not known, so each is replayed as a "
    "transaction of its own, and locks are held for less long than in production; values are "
    "synthesised from the columns' statistics"
)


def capture_counted(
    asked: Asked | None,
    window: Window | None,
    *,
    key: bytes,
    seed: int = 0,
    per_stratum: int = 64,
    inputs: tuple[str, ...] = (),
    keep_values: bool = False,
) -> Captured:
    """A workload of what a server counted since its last reset, or between two snapshots.

    Without `asked` there are no table statistics, so templates are counted only. Raises InputError
    where nothing was counted.
    """
    assert asked is not None or window is not None
    entries = window.entries if window else asked.statements if asked else ()
    templates = join([], entries, asked.own if asked else frozenset())
    told = (*(window.notes if window else ()), *(asked.notes if asked else ()))
    notes = [*dict.fromkeys(told), _ALONE]
    if not templates:
        raise InputError(f"pg_stat_statements holds no statement to capture; {'; '.join(notes)}")
    begin_us, end_us = _times(asked, window)
    notes.append(
        f"rates are the mean over {(end_us - begin_us) / 3.6e9:,.2f} h: two snapshots around the "
        "peak (replay snapshot, capture --between) tell more"
    )
    profile: SchemaProfile | None = None
    policy: Mapping[str, str] = POLICY
    transactions: list[Transaction] = []
    if asked is not None:
        scrub = scrubber(
            key=key,
            kept=kept_values(asked),
            today=moment(end_us).date(),
            keep_values=keep_values,
        )
        profile = scrub.profile(joined_as_used(asked.profile, templates))
        policy = scrub.policy
        rng = np.random.default_rng(seed)
        transactions, left_out, guessed = _made(
            templates, profile, per_stratum, end_us - begin_us, rng
        )
        notes += [f"{count} templates are only counted: {why}" for why, count in left_out.items()]
        if guessed:
            notes.append(f"{guessed} values meet no column, and were guessed from their context")
    else:
        notes.append("without --stats DSN no statement is synthesised: nothing can be replayed")
    for note in notes:
        log.warning("%s", note)
    manifest = _manifest(asked, window, templates, transactions, begin_us, end_us)
    return Captured(
        workload=Workload(
            manifest=replace(
                manifest,
                notes=tuple(notes),
                inputs=inputs,
                seed=seed,
                per_stratum=per_stratum,
                scrub=policy,
            ),
            templates=_figured(templates, transactions),
            transactions=tuple(transactions),
        ),
        profile=profile,
    )


def _times(asked: Asked | None, window: Window | None) -> tuple[int, int]:
    if window is not None:
        return window.begin_us, window.end_us
    assert asked is not None
    now_us = asked.asked_us or int(datetime.now(UTC).timestamp() * 1e6)
    return min(asked.counted_since_us or now_us - 1, now_us - 1), now_us


def _made(
    templates: list[Template],
    profile: SchemaProfile,
    copies: int,
    window_us: int,
    rng: np.random.Generator,
) -> tuple[list[Transaction], Mapping[str, int], int]:
    """Transactions in order of start, templates left out by reason, and how many slots were guessed."""
    left_out: Counter[str] = Counter()
    guessed = 0
    found: list[Transaction] = []
    for template in templates:
        made = synthesise(template, profile, min(template.calls, copies), rng)
        if isinstance(made, str):
            left_out[made] += 1
            continue
        guessed += made.guessed
        found += _copies(template, made, window_us, rng)
    found.sort(key=lambda transaction: transaction.start_us)
    return (
        [replace(transaction, id=number) for number, transaction in enumerate(found)],
        left_out,
        guessed,
    )


def _copies(
    template: Template, made: Made, window_us: int, rng: np.random.Generator
) -> list[Transaction]:
    return [
        Transaction(
            id=0,
            session=f"{int(rng.integers(1 << 62)):016x}",
            start_us=int(rng.integers(max(window_us, 1))),
            weight=template.calls / len(made.copies),
            shape=shape_id([template.id]),
            statements=(
                Statement(
                    template=template.id,
                    sql=made.sql,
                    slots=made.slots,
                    values=values,
                    prepared=None,
                    offset_us=0,
                    duration_us=int(template.total_ms * 1000 / template.calls),
                ),
            ),
        )
        for values in made.copies
    ]


def _figured(templates: list[Template], transactions: list[Transaction]) -> tuple[Template, ...]:
    kept = Counter(transaction.statements[0].template for transaction in transactions)
    executions = sum(template.calls for template in templates)
    figured = (
        replace(
            template,
            kept=kept[template.id],
            rare=is_rare(
                kind=template.kind,
                calls=template.calls,
                executions=executions,
                slices_seen=1,
                slices=1,
            ),
        )
        for template in templates
    )
    return tuple(sorted(figured, key=lambda template: (-template.calls, template.id)))


def _manifest(
    asked: Asked | None,
    window: Window | None,
    templates: list[Template],
    transactions: list[Transaction],
    begin_us: int,
    end_us: int,
) -> Manifest:
    window_s = (end_us - begin_us) / 1e6
    # Little's law: how many are in flight on average.
    in_flight = sum(template.total_ms for template in templates) / 1e3 / window_s
    return Manifest(
        tool_version=__version__,
        format=FORMAT,
        inputs=(),
        begin=moment(begin_us),
        end=moment(end_us),
        slice_s=window_s,
        seed=0,
        per_stratum=0,
        scrub=POLICY,
        records=len(window.entries if window else asked.statements if asked else ()),
        executions=sum(template.calls for template in templates),
        transactions=round(sum(transaction.weight for transaction in transactions)),
        sessions=0,
        peak_concurrency=math.ceil(in_flight),
        source=asked.source if asked else window.source if window else Source(),
    )
