"""Which of the templates that production ran came through capture and replay; rare ones by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from replay.report.attempts import Attempts
from replay.workload import Template, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One template on its way from the log to the run."""

    id: str
    sql: str
    tables: tuple[str, ...]
    in_log: int  # calls in the captured window
    share: float  # of all captured executions
    kept: int  # kept with parameters
    replayed: int  # sent in the run
    ok: int  # of those, answered without an error
    boosted: bool
    source: str  # log, statements or both

    @property
    def why_not(self) -> str:
        """Why a rare path was not replayed; empty where it was."""
        if self.replayed:
            return ""
        if not self.kept:
            return "only counted: pg_stat_statements knows it, the log holds no call of it"
        return "kept, but none was due in this run: let it run longer, or boost it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many templates are in the log, kept and replayed; the rare ones one by one."""

    in_log: int  # templates
    only_counted: int  # more of them that pg_stat_statements knows and the log does not
    kept: int
    replayed: int
    rare: tuple[Covered, ...]  # by calls, fewest first

    @property
    def rare_replayed(self) -> int:
        """How many rare paths the run really sent."""
        return sum(1 for path in self.rare if path.replayed)


def coverage(workload: Workload, attempts: Attempts, boosted: set[str]) -> Coverage:
    """Compare the workload's templates with what the run sent."""
    sent = dict(zip(attempts.templates, attempts.sent.tolist(), strict=True))
    ok = dict(zip(attempts.templates, attempts.ok.tolist(), strict=True))
    executions = max(workload.manifest.executions, 1)
    rare = [
        _covered(template, executions, sent, ok, boosted)
        for template in workload.templates
        if template.rare
    ]
    only_counted = sum(1 for template in workload.templates if template.source == "statements")
    return Coverage(
        in_log=len(workload.templates) - only_counted,
        only_counted=only_counted,
        kept=sum(1 for template in workload.templates if template.kept),
        replayed=sum(1 for template in workload.templates if sent.get(template.id)),
        rare=tuple(sorted(rare, key=lambda path: (path.in_log, path.id))),
    )


def _covered(
    template: Template,
    executions: int,
    sent: Mapping[str, int],
    ok: Mapping[str, int],
    boosted: set[str],
) -> Covered:
    return Covered(
        id=template.id,
        sql=template.sql,
        tables=template.tables,
        in_log=template.calls,
        share=template.calls / executions,
        kept=template.kept,
        replayed=sent.get(template.id, 0),
        ok=ok.get(template.id, 0),
        boosted=template.id in boosted,
        source=template.source,
    )
