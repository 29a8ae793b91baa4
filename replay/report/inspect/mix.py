"""The mix: what each template weighs in calls and in time, over the window and slice by slice."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from replay.report.inspect.brief import digits_needed
from replay.workload import Manifest, Template, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """A workload's templates, ranked; made once, for a workload may have a hundred thousand."""

    by_id: dict[str, Template]
    by_calls: tuple[Template, ...]
    by_time: tuple[Template, ...]
    rare: tuple[Template, ...]  # most time first
    calls: int
    total_ms: float
    digits: int  # of an id that tell it from all others
    rate: tuple[int, ...]  # calls by slice; empty where no log told when
    logged: bool  # False: all is from pg_stat_statements, which knows neither errors nor locks
    slice_s: float
    begin: datetime  # of the first slice

    def share_of_calls(self, template: Template) -> float:
        """Its part of all calls."""
        return template.calls / max(self.calls, 1)

    def share_of_time(self, template: Template) -> float:
        """Its part of the time that all statements took."""
        return template.total_ms / self.total_ms if self.total_ms else 0.0

    def rate_of(self, template: Template) -> tuple[int, ...]:
        """Its calls by slice."""
        return _by_slice([template], len(self.rate))

    def tables(self, template: str) -> tuple[str, ...]:
        """The tables of a template, by its id; none where the workload does not know it."""
        return self.by_id[template].tables if template in self.by_id else ()

    def at(self, number: int) -> datetime:
        """When a slice begins."""
        return self.begin + timedelta(seconds=self.slice_s * number)


def mix(workload: Workload) -> Mix:
    """Rank and sum a workload's templates."""
    templates = workload.templates
    first = _first_slice(workload.manifest)
    window_s = (workload.manifest.end - first).total_seconds()
    slices = max(math.ceil(window_s / workload.manifest.slice_s), 1)
    logged = any(template.calls_per_slice for template in templates)
    by_time = tuple(sorted(templates, key=lambda t: (-t.total_ms, t.id)))
    return Mix(
        by_id={template.id: template for template in templates},
        by_calls=tuple(sorted(templates, key=lambda t: (-t.calls, t.id))),
        by_time=by_time,
        rare=tuple(template for template in by_time if template.rare),
        calls=sum(template.calls for template in templates),
        total_ms=sum(template.total_ms for template in templates),
        digits=digits_needed([template.id for template in templates]),
        rate=_by_slice(templates, slices if logged else 0),
        logged=any(template.source != "statements" for template in templates),
        slice_s=workload.manifest.slice_s,
        begin=first,
    )


def mean_ms(template: Template) -> float | None:
    """Mean time of a call that was answered; None where none was."""
    answered = template.calls - template.errors
    return template.total_ms / answered if answered else None


def _first_slice(manifest: Manifest) -> datetime:
    """When the slice begins in which the window does; slices are numbered from 1970."""
    begin = manifest.begin.replace(microsecond=0)
    return begin - timedelta(seconds=begin.timestamp() % manifest.slice_s)


def _by_slice(templates: Iterable[Template], slices: int) -> tuple[int, ...]:
    """Calls by slice of the window; what failed before or after it is told at its ends."""
    calls = [0] * slices
    for template in templates:
        for number, more in template.calls_per_slice:
            calls[min(max(number, 0), slices - 1)] += more
    return tuple(calls)
