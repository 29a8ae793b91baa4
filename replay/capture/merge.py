"""Workloads of several hosts into one: what a capture of all their logs together would have given.

Counts add up, samples merge by the ranks of their units (see `sample`), and weights are fitted
anew. Only what depends on how logs interleave is not exact: the most statements in flight.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from replay import __version__
from replay.capture.assemble import build_templates, moment
from replay.capture.conflicts import Conflicts
from replay.capture.counted import FORMAT
from replay.capture.merge_figures import (
    Together,
    merged_figures,
    together,
    with_counts,
    with_routes,
)
from replay.capture.merge_sample import merged_sample, starts_us
from replay.capture.registry import Registry
from replay.errors import InputError
from replay.requests import Request
from replay.workload import Activity, Manifest, Skip, Source, Workload


def merge(workloads: Mapping[str, Workload], requests: Sequence[Request] = ()) -> Workload:
    """The workload of all, whatever their order; they are given by their names.

    `requests` are the kept ones of all: what they ran is kept.

    Raises InputError where they cannot be merged: other keys, seeds, sizes or rules of scrubbing, no
    log, or the same transactions twice.
    """
    named = sorted(workloads.items(), key=lambda item: (item[1].manifest.begin, item[0]))
    _require_mergeable(named)
    parts = [workload for _, workload in named]
    span, registry = together(parts), Registry()
    figures = merged_figures(registry, parts, span.slice_s)
    calls = np.array([of.calls for of in figures], np.float64)
    sample = merged_sample(registry, parts, calls, span.begin_us, requests)
    templates = build_templates(registry, span, figures, sample.kept)
    conflicts = Conflicts()
    for part in parts:
        conflicts.merge(Conflicts.of(part.conflicts))
    counted = with_routes(with_counts(templates, parts), parts)
    return Workload(
        manifest=replace(_manifest(named, span), bucket_s=sample.bucket_s),
        templates=tuple(sorted(counted, key=lambda template: (-template.calls, template.id))),
        transactions=sample.transactions,
        conflicts=conflicts.told({template.id: template.sql for template in templates}),
        places=sample.places,
        activity=_activity(parts, span),
        standing=tuple(one for part in parts for one in part.standing),
    )


def _activity(parts: Sequence[Workload], span: Together) -> tuple[Activity, ...]:
    """Sessions on average over the whole window: of several hosts, or one after the other."""
    whole_s = max((span.end_us - span.begin_us) / 1e6, 1e-3)
    seen: dict[tuple[str, str, str, str], float] = defaultdict(float)
    for part in parts:
        for one in part.activity:
            kind = (one.state, one.wait_type, one.wait, one.template)
            seen[kind] += one.sessions * part.window_s / whole_s
    return tuple(
        Activity(
            state=state, wait_type=wait_type, wait=wait, template=template, sessions=round(many, 6)
        )
        for (state, wait_type, wait, template), many in sorted(
            seen.items(), key=lambda item: (-item[1], item[0])
        )
    )


def _manifest(named: Sequence[tuple[str, Workload]], span: Together) -> Manifest:
    parts = [workload.manifest for _, workload in named]
    formats = chain.from_iterable(part.format.split(", ") for part in parts)
    return replace(
        parts[0],
        tool_version=__version__,
        format=", ".join(dict.fromkeys(formats)),
        inputs=tuple(name for part in parts for name in part.inputs),
        begin=moment(span.begin_us),
        end=moment(span.end_us),
        slice_s=float(span.slice_s),
        records=sum(part.records for part in parts),
        executions=span.executions,
        transactions=sum(part.transactions for part in parts),
        sessions=sum(part.sessions for part in parts),
        skipped=_skipped(parts),
        complete=all(part.complete for part in parts),
        notes=tuple(dict.fromkeys(_notes(parts))),
        peak_concurrency=_peak(parts),
        source=_source(parts),
    )


def _skipped(parts: Sequence[Manifest]) -> tuple[Skip, ...]:
    skipped: dict[str, Skip] = {}
    for skip in chain.from_iterable(part.skipped for part in parts):
        before = skipped.get(skip.reason)
        skipped[skip.reason] = replace(before, count=before.count + skip.count) if before else skip
    return tuple(skip for _, skip in sorted(skipped.items()))


def _peak(parts: Sequence[Manifest]) -> int:
    """The sum of the peaks of the windows that overlap, at the moment where it is largest."""
    return max(
        sum(one.peak_concurrency for one in parts if one.begin <= part.begin <= one.end)
        for part in parts
    )


def _source(parts: Sequence[Manifest]) -> Source:
    """The first server that is known; the others stand beside it, for they are production too."""
    known: dict[tuple[str, str], Source] = {}
    for source in chain.from_iterable((part.source, *part.source.others) for part in parts):
        if source.system_identifier:
            known.setdefault(_identity(source), replace(source, others=()))
    if not known:
        return parts[0].source
    first, *others = known.values()
    return replace(first, others=tuple(replace(one, settings={}) for one in others))


def _notes(parts: Sequence[Manifest]) -> Iterator[str]:
    yield from chain.from_iterable(part.notes for part in parts)
    yield "workloads were merged: the most statements in flight at once is an estimate, the sum of theirs"
    source = _source(parts)
    if source.others:
        yield (
            f"the logs are of {len(source.others) + 1} servers; version and settings are those of "
            f"{source.database!r} on {source.system_identifier}"
        )
    if len({part.tool_version for part in parts}) > 1:
        yield "workloads of several versions of this program were merged: their templates may differ"


def _require_mergeable(named: Sequence[tuple[str, Workload]]) -> None:
    for name, workload in named:
        if FORMAT in workload.manifest.format.split(", "):
            raise InputError(
                f"{name}: is what pg_stat_statements counted, without a log, so it holds no sample to "
                "merge; capture it again with its LOGs"
            )
    first, one = named[0]
    for name, other in named[1:]:
        _require_alike(first, one.manifest, name, other.manifest)
    for pair in combinations(named, 2):
        _require_counted_apart(*pair)
    seen: dict[tuple[int, int, str], str] = {}
    for name, workload in named:
        for start_us, transaction in starts_us(workload):
            key = start_us, transaction.priority, transaction.session
            if seen.setdefault(key, name) != name:
                raise InputError(
                    f"{name}: holds transactions that {seen[key]} holds too, and they would count "
                    "twice; capture logs that overlap together, in one call"
                )


def _require_alike(first: str, one: Manifest, name: str, other: Manifest) -> None:
    for differs, what, way_out in (
        (
            one.key_id != other.key_id,
            "is scrubbed with another key",
            "one value has two tokens; capture both with the same --key-file",
        ),
        (
            one.scrub != other.scrub,
            "is scrubbed by other rules",
            "capture both with the same version, and both with or both without --keep-values",
        ),
        (
            one.everything or other.everything,
            "holds every transaction, not a sample" if other.everything else "is a sample",
            "capture the logs of all hosts with --all in one call",
        ),
        (
            one.seed != other.seed,
            f"is sampled with another seed ({other.seed}, not {one.seed})",
            "capture both with the same --seed",
        ),
        (
            one.per_stratum != other.per_stratum,
            f"keeps another number of transactions ({other.per_stratum}, not {one.per_stratum})",
            "capture both with the same --per-stratum",
        ),
    ):
        if differs:
            raise InputError(f"{name}: {what} than {first}: {way_out}")


def _require_counted_apart(one: tuple[str, Workload], two: tuple[str, Workload]) -> None:
    """A merged workload's counts are several servers'; another's of one of those cannot replace a part."""
    (name, part), (other, same) = one, two
    sources = part.manifest.source, same.manifest.source
    shared = _servers(sources[0]) & _servers(sources[1])
    counted = all(any(t.counted for t in workload.templates) for workload in (part, same))
    if shared and counted and any(source.others for source in sources):
        raise InputError(
            f"{name} and {other}: both hold what pg_stat_statements counted on one server, and one of "
            "them is merged already; merge what they were made of in one call"
        )


def _servers(source: Source) -> set[tuple[str, str]]:
    return {_identity(one) for one in (source, *source.others) if one.system_identifier}


def _identity(source: Source) -> tuple[str, str]:
    return source.system_identifier, source.database
