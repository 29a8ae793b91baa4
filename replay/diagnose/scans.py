"""From EXPLAIN's document to what a plan reads and keeps: one figure set a scan node.

A node's rows are averages over its loops, parallel workers included, so they are multiplied by the
loops. A scan *keeps* what leaves it and every join, sort and limit above it: a million rows read,
sorted and cut to ten are ten rows kept, and so are those that a join drops. An aggregate or a write
uses all that reaches it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_gen.profile import SchemaProfile

# A scan that reads this many rows, and this many for each one that it keeps, is worth an index.
_ROWS_READ = 10_000
_ROWS_PER_KEPT = 100
_USES_ALL = frozenset({"Aggregate", "ModifyTable", "WindowAgg", "SetOp", "Unique", "Group"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan node of a plan."""

    node: str  # "Seq Scan", "Index Scan", "Bitmap Heap Scan" …
    relation: str  # qualified
    condition: str  # filter and index conditions, as EXPLAIN prints them
    rows_read: float
    rows_kept: float

    @property
    def rows_per_kept(self) -> float:
        """Rows read for each row kept; for all of them where none was kept."""
        return self.rows_read / max(self.rows_kept, 1.0)

    @property
    def wasteful(self) -> bool:
        """Whether it throws nearly all away that it reads, and reads much."""
        return self.rows_read >= _ROWS_READ and self.rows_per_kept >= _ROWS_PER_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What a foreign key's check, or another trigger, took of one execution."""

    name: str  # of the constraint, or of the trigger where it belongs to none
    relation: str  # as EXPLAIN has it: the table that fired it
    time_ms: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFigures:
    """One execution of a template, explained on the quiet server after the run."""

    sql: str  # the statement with `$n`
    analyzed: bool  # False: it failed or took too long, and the figures are the planner's
    execution_ms: float | None
    scans: tuple[Scan, ...]
    triggers: tuple[Trigger, ...] = ()
    shape: str = ""  # its nodes and their indexes, in words
    before: str = ""  # the shape that the planner chose before the run; "" where not asked
    generic: str = ""  # the shape of the generic plan; "" where it has no values
    generic_ms: float | None = None  # execution by the generic plan, where its shape is another
    locks: int = 0  # relations that one execution locks
    slow_locks: int = 0  # of those, past the backend's own fast path

    @property
    def wasteful(self) -> Scan | None:
        """The scan that throws the most away, if it is worth an index."""
        scans = [scan for scan in self.scans if scan.wasteful]
        return max(scans, key=lambda scan: scan.rows_read - scan.rows_kept, default=None)


def figures(entry: Mapping[str, Any], profile: SchemaProfile | None) -> PlanFigures | None:
    """Figures of one entry of plans.json; None where there is no plan."""
    if not entry.get("plan"):
        return None
    document = entry["plan"][0]
    analyzed = entry.get("how") == "analyze"
    return PlanFigures(
        sql=entry["sql"],
        analyzed=analyzed,
        execution_ms=document.get("Execution Time"),
        scans=tuple(_scans(document["Plan"], float("inf"), analyzed, profile)),
        triggers=tuple(
            Trigger(
                name=fired.get("Constraint Name") or fired.get("Trigger Name", ""),
                relation=fired.get("Relation", ""),
                time_ms=fired.get("Time", 0.0),
                calls=fired.get("Calls", 0),
            )
            for fired in document.get("Triggers", ())
        ),
        shape=shape(document["Plan"]),
        before=_shape_of(entry.get("before")),
        generic=_shape_of(entry.get("generic")),
        generic_ms=entry["generic"][0].get("Execution Time") if entry.get("generic") else None,
        locks=entry.get("locks", 0),
        slow_locks=entry.get("slow_locks", 0),
    )


def shape(node: Mapping[str, Any]) -> str:
    """A plan's nodes, from the top, with the relation and the index of each scan."""
    name = str(node["Node Type"])
    name += f" using {node['Index Name']}" if "Index Name" in node else ""
    name += f" on {node['Relation Name']}" if "Relation Name" in node else ""
    below = [shape(child) for child in node.get("Plans", ())]
    if not below:
        return name
    return f"{name} > {below[0]}" if len(below) == 1 else f"{name} > ({'; '.join(below)})"


def _shape_of(document: Any) -> str:
    return shape(document[0]["Plan"]) if document else ""


def _scans(
    node: Mapping[str, Any], above: float, analyzed: bool, profile: SchemaProfile | None
) -> Iterator[Scan]:
    """Scans at and below a node, of whose rows at most `above` are kept further up."""
    loops = node.get("Actual Loops", 1) if analyzed else 1
    out = (node.get("Actual Rows", 0.0) if analyzed else node.get("Plan Rows", 0.0)) * loops
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        yield _scan(node, out, min(out, above), loops if analyzed else 0, profile)
    kept = float("inf") if node["Node Type"] in _USES_ALL else min(out, above)
    for child in node.get("Plans", ()):
        # What a subplan returns is used by an expression: nothing above it counts its rows.
        aside = child.get("Parent Relationship") in {"InitPlan", "SubPlan"}
        yield from _scans(child, float("inf") if aside else kept, analyzed, profile)


def _scan(
    node: Mapping[str, Any], out: float, kept: float, loops: float, profile: SchemaProfile | None
) -> Scan:
    relation = f"{node['Schema']}.{node['Relation Name']}" if "Schema" in node else ""
    relation = relation or node["Relation Name"]
    table = profile.table(relation) if profile else None
    removed = sum(node.get(f"Rows Removed by {what}", 0.0) for what in ("Filter", "Index Recheck"))
    read = out + removed * (loops or 1)
    if not loops and node["Node Type"] == "Seq Scan" and table is not None:
        read = float(table.rows)  # an estimate: the planner does not say what it will remove
    conditions = (node.get(name, "") for name in ("Filter", "Index Cond", "Recheck Cond"))
    return Scan(
        node=node["Node Type"],
        relation=table.qualified if table else relation,
        condition=" AND ".join(filter(None, conditions)),
        rows_read=read,
        rows_kept=kept,
    )
