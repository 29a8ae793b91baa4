"""Exact figures of several workloads, summed: templates, and what pg_stat_statements adds to them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from replay.capture.conflicts import epoch_us
from replay.capture.registry import Registry
from replay.capture.statements import Owners
from replay.capture.tally import Figures, slice_width
from replay.sql.fingerprint import Fingerprint
from replay.workload import Counters, Manifest, Template, Workload

_K = TypeVar("_K")
ALONE = "statements"  # the source of a template that no log showed


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """The window of several workloads."""

    begin_us: int
    end_us: int
    slice_s: int
    executions: int


def together(parts: Sequence[Workload]) -> Together:
    """The window that holds all of theirs, with slices as wide as a capture of it would have."""
    manifests = [part.manifest for part in parts]
    begin_us = min(epoch_us(manifest.begin) for manifest in manifests)
    end_us = max(epoch_us(manifest.end) for manifest in manifests)
    slice_s = max(int(manifest.slice_s) for manifest in manifests)
    return Together(
        begin_us=begin_us,
        end_us=end_us,
        slice_s=slice_width(begin_us, end_us, slice_s),
        executions=sum(manifest.executions for manifest in manifests),
    )


def merged_figures(registry: Registry, parts: Sequence[Workload], slice_s: int) -> list[Figures]:
    """The figures of the logs' templates, by their number in the registry, which learns them."""
    figures: list[Figures] = []
    for part in parts:
        for template in part.templates:
            if template.source == ALONE:
                continue
            found = Fingerprint(
                id=template.id, sql=template.sql, kind=template.kind, tables=template.tables
            )
            number = registry.template(found)
            if number == len(figures):
                figures.append(Figures())
            _add(figures[number], template, registry)
            figures[number].slices.update(_slices(template, part.manifest, slice_s))
    return figures


def _add(of: Figures, template: Template, registry: Registry) -> None:
    assert template.first_seen is not None  # a log showed it
    assert template.last_seen is not None
    of.calls += template.calls
    of.errors += template.errors
    of.total_us += round(template.total_ms * 1000)
    of.first_us = min(of.first_us, epoch_us(template.first_seen))
    of.last_us = max(of.last_us, epoch_us(template.last_seen))
    of.histogram.update(dict(template.histogram))
    of.query_ids.update(dict(template.query_ids))
    of.states.update({registry.state(state): errors for state, errors in template.error_states})


def _slices(template: Template, manifest: Manifest, slice_s: int) -> Counter[int]:
    """Calls by slice since 1970, in slices of that width."""
    width = int(manifest.slice_s)
    begin = epoch_us(manifest.begin) // 1_000_000 // width
    calls: Counter[int] = Counter()
    for number, more in template.calls_per_slice:
        calls[(begin + number) * width // slice_s] += more
    return calls


@dataclass(slots=True)
class _Count:
    """What one server's pg_stat_statements says of a template."""

    template: Template
    counters: Counters
    query_ids: Counter[int]

    def add(self, other: "_Count") -> None:
        self.counters += other.counters
        self.query_ids += other.query_ids


def with_counts(templates: Sequence[Template], parts: Sequence[Workload]) -> list[Template]:
    """The logs' templates with what was counted of them, and behind them those only counted.

    Servers are told apart by their identity. What two workloads say of one server is not added,
    for their windows may overlap: the later one's word counts.
    """
    known = {template.id: template for template in templates}
    owners = Owners(templates)
    latest: dict[tuple[object, str], _Count] = {}
    for number, part in enumerate(sorted(parts, key=lambda part: part.manifest.end)):
        source = part.manifest.source
        server = (source.system_identifier, source.database) if source.system_identifier else number
        of_part: dict[tuple[object, str], _Count] = {}
        for count in _counts(part):
            _gather(of_part, (server, _owner(count.template, known, owners)), count)
        latest.update(of_part)
    summed: dict[str, _Count] = {}
    for (_, owner), count in latest.items():
        _gather(summed, owner, count)
    joined = [
        replace(template, source="both", counted=summed[template.id].counters)
        if template.id in summed
        else template
        for template in templates
    ]
    return joined + [_alone(count) for owner, count in summed.items() if owner not in known]


def with_routes(templates: Sequence[Template], parts: Sequence[Workload]) -> list[Template]:
    """The templates with the routes that any of the workloads names, by their calls."""
    named: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    known: dict[str, Counter[tuple[str, float]]] = defaultdict(Counter)
    calls: Counter[str] = Counter()
    for template in chain.from_iterable(part.templates for part in parts):
        calls[template.id] += template.calls
        if template.routes:
            known[template.id][template.routes_by, template.routes_sure] += template.calls
        for route, share in template.routes:
            named[template.id][route] += share * template.calls
    return [
        replace(
            template,
            routes=tuple(
                (route, of / calls[template.id])
                for route, of in sorted(named[template.id].items(), key=lambda item: -item[1])
            ),
            routes_by=max(known[template.id].items(), key=itemgetter(1))[0][0],
            routes_sure=sum(sure * n for (_, sure), n in known[template.id].items())
            / known[template.id].total(),
        )
        if template.id in named
        else template
        for template in templates
    ]


def _counts(part: Workload) -> Iterator[_Count]:
    for template in part.templates:
        if template.counted is not None:
            yield _Count(template, template.counted, Counter(dict(template.query_ids)))


def _owner(template: Template, known: Iterable[str], owners: Owners) -> str:
    """Id of the template that a count belongs to: the log of another server may have shown it."""
    if template.id in known:
        return template.id
    found = (owners.of(query_id, template.sql) for query_id, _ in template.query_ids)
    return next((owner.id for owner in found if owner is not None), template.id)


def _gather(counts: dict[_K, _Count], key: _K, count: _Count) -> None:
    if key in counts:
        counts[key].add(count)
    else:
        counts[key] = replace(count, query_ids=count.query_ids.copy())


def _alone(count: _Count) -> Template:
    return replace(
        count.template,
        source=ALONE,
        calls=count.counters.calls,
        total_ms=count.counters.total_ms,
        query_ids=tuple(count.query_ids.items()),
        counted=count.counters,
    )
