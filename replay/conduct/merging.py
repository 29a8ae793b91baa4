"""Workloads on disk into one on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_gen.profile import SchemaProfile
from replay import bundle
from replay.capture.links.merge import merged_links, merged_ran
from replay.capture.merge import merge
from replay.capture.requests.merge import merge_requests
from replay.errors import InputError
from replay.requests import Requests
from replay.workload import Workload


def merge_workloads(paths: Sequence[Path], out: Path) -> Workload:
    """Read workloads, merge them, and write the merged one; gives what was written.

    The schema's profile is that of the first that has one. Raises InputError where one of them is no
    workload, or they cannot be merged.
    """
    bundle.require_writable(out)
    by_name = {str(path): path for path in paths}
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError(f"{', '.join(map(str, paths))}: name every workload once")
    asked = {name: bundle.read_requests(path) for name, path in by_name.items()}
    parts = {name: bundle.read(path) for name, path in by_name.items()}
    requests = merge_requests(
        asked, per_stratum=max(part.manifest.per_stratum for part in parts.values())
    )
    merged = merge(parts, requests.kept if requests is not None else ())
    if requests is not None:
        requests = _linked(requests, merged, parts, asked)
    profiles = {
        name: bundle.read_profile(path)
        for name, path in by_name.items()
        if (path / bundle.TABLES).is_file()
    }
    notes = (*merged.manifest.notes, *_differences(profiles))
    merged = replace(merged, manifest=replace(merged.manifest, notes=notes))
    bundle.write(out, merged, next(iter(profiles.values()), None), requests)
    return merged


def _linked(
    requests: Requests,
    merged: Workload,
    parts: Mapping[str, Workload],
    asked: Mapping[str, Requests | None],
) -> Requests:
    both = [(parts[name], part) for name, part in asked.items() if part is not None]
    return replace(
        requests,
        links=merged_links(both, merged, requests),
        ran=merged_ran([part for _, part in both], merged),
    )


def _differences(profiles: Mapping[str, SchemaProfile]) -> list[str]:
    """What to say of schemas that are not that of the first."""
    if not profiles:
        return []
    (first, profile), *others = profiles.items()
    tables = _tables(profile)
    different = [name for name, other in others if _tables(other) != tables]
    if not different:
        return []
    note = f"{', '.join(different)}: the schema has other tables than that of {first}, from which "
    return [note + "staging data is generated"]


def _tables(profile: SchemaProfile) -> frozenset[str]:
    return frozenset(table.qualified for table in profile.tables)
