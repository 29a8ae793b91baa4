"""The stage's one function: read the source, stream the logs, sample, scrub, assemble."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_gen.introspect import schema_literals
from data_gen.profile import SchemaProfile
from replay import __version__
from replay.capture.assemble import build_templates, build_transactions, moment
from replay.capture.inputs import HOW_TO_LOG, Input, find_inputs
from replay.capture.reading import Reading
from replay.capture.scrub import POLICY, Scrubber
from replay.capture.snapshot import Window
from replay.capture.source import Asked, ask, sampled_share
from replay.capture.statements import join
from replay.errors import InputError
from replay.workload import Manifest, Source, Template, Workload

log = logging.getLogger(__name__)

_WARNED_SHARE = 0.01  # of the records; above it, malformed ones are a warning
_REFUSED_SHARE = 0.5  # above it, the input is not what it seems


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What capture gives: write it with bundle.write."""

    workload: Workload
    profile: SchemaProfile | None  # scrubbed; None where no server was asked
    interrupted: bool = False  # by Ctrl-C: the workload holds what was read until then


def capture(
    inputs: Sequence[Path],
    *,
    stats_dsn: str | None,
    key: bytes,
    seed: int = 0,
    per_stratum: int = 64,
    window: Window | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Captured:
    """Read log files or directories, and the server at `stats_dsn`, into a workload.

    `key` scrubs values, `seed` draws the sample, `per_stratum` is its k; `progress` is told bytes
    read and bytes in all. With `stats_dsn`, the log's lines of other databases are left out.
    `window` is what pg_stat_statements counted while the log was written; without it, what it has
    counted until now.
    Ctrl-C ends the reading, and what was read is returned.
    Raises InputError for input that is no log, or holds no statement with a duration, or is broken
    for the most part, and EnvironmentFaultError where the server cannot be reached.
    """
    found = find_inputs(inputs)
    asked = ask(stats_dsn) if stats_dsn is not None else None
    reading = Reading(database=asked.source.database if asked else "", seed=seed, k=per_stratum)
    reading.read(found, progress)
    if reading.interrupted and not reading.transactions.timed:
        raise KeyboardInterrupt  # nothing to keep
    _require_statements(reading, ", ".join(str(log_file.path) for log_file in found))
    today = moment(reading.tally.end_us).date()
    scrubber = Scrubber(key, kept_values(asked), today)
    kept = reading.sampler.kept()
    templates = build_templates(
        reading.templates, reading.tally, kept, reading.transactions.executions
    )
    transactions = build_transactions(
        kept,
        templates,
        reading.tally.begin_us,
        scrubber,
        share=sampled_share(asked.source.settings) if asked else 1.0,
    )
    manifest = _manifest(found, reading, asked, window, seed=seed, per_stratum=per_stratum)
    return Captured(
        workload=Workload(
            manifest=manifest,
            templates=_joined(templates, asked, window, reading.own),
            transactions=transactions,
        ),
        profile=scrubber.profile(asked.profile) if asked else None,
        interrupted=reading.interrupted,
    )


def _manifest(
    found: Sequence[Input],
    reading: Reading,
    asked: Asked | None,
    window: Window | None,
    *,
    seed: int,
    per_stratum: int,
) -> Manifest:
    tally, seen = reading.tally, reading.transactions
    return Manifest(
        tool_version=__version__,
        format=found[0].format.name,
        inputs=tuple(log_file.path.name for log_file in found),
        begin=moment(tally.begin_us),
        end=moment(tally.end_us),
        slice_s=float(tally.slice_s()),
        seed=seed,
        per_stratum=per_stratum,
        scrub=POLICY,
        records=reading.records,
        executions=seen.executions,
        transactions=seen.units,
        sessions=seen.sessions,
        skipped=reading.skipped(),
        complete=reading.complete,
        notes=_notes(reading, asked, window),
        peak_concurrency=tally.peak_concurrency(),
        source=asked.source if asked else Source(),
    )


def _require_statements(reading: Reading, names: str) -> None:
    lines = reading.records + reading.malformed
    if reading.malformed > _REFUSED_SHARE * lines:
        raise InputError(
            f"{names}: {reading.malformed} of {lines} lines are no records "
            f"({reading.first_malformed}); is this the whole log, in one format?"
        )
    if not reading.transactions.timed:
        left_out = sum(skip.count for skip in reading.skipped())
        among = f" ({left_out} are of other databases or of this program)" if left_out else ""
        raise InputError(
            f"{names}: none of its {reading.records} records is a statement with its duration"
            f"{among}; {HOW_TO_LOG}; messages must be in English (lc_messages = 'C')"
        )


def kept_values(asked: Asked | None) -> frozenset[str]:
    """Values that stand in the schema: literals, and the names of relations."""
    if asked is None:
        return frozenset()
    names = {name for t in asked.profile.tables for name in (t.qualified, t.name)}
    names |= {c.sequence for t in asked.profile.tables for c in t.columns if c.sequence}
    names |= {name.rpartition(".")[2] for name in names}
    return schema_literals(asked.profile) | names


def _joined(
    templates: list[Template], asked: Asked | None, window: Window | None, own: frozenset[str]
) -> tuple[Template, ...]:
    if asked is None and window is None:
        return tuple(templates)
    counted = window.entries if window else asked.statements if asked else ()
    joined = join(templates, counted, (asked.own if asked else frozenset()) | own)
    return tuple(sorted(joined, key=lambda template: (-template.calls, template.id)))


def _notes(reading: Reading, asked: Asked | None, window: Window | None) -> tuple[str, ...]:
    told = (*(asked.notes if asked else ()), *(window.notes if window else ()))
    notes = [*reading.notes(), *dict.fromkeys(told)]
    share = reading.malformed / max(reading.records + reading.malformed, 1)
    if share > _WARNED_SHARE:
        percent = math.ceil(share * 1000) / 10
        notes.append(f"{percent:g} % of the log's lines are no records and were passed over")
    for note in notes:
        log.warning("%s", note)
    return tuple(notes)
