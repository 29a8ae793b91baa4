"""The figures of benchmarks/fidelity.py, each beside its goal."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from fidelity_measure import Seen
from fidelity_production import Truth
from psycopg import sql

from replay.workload import Workload

_TWICE = 2.0
_PAGES = {"r": 8, "i": 20}  # a table or index of fewer is rounding: a page more is over the goal


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    name: str
    value: str
    goal: str
    holds: bool


def tables_of_goals(figures: Sequence[Figure]) -> str:
    width = max(len(figure.name) for figure in figures)
    return "\n".join(
        f"  {'ok   ' if f.holds else 'SHORT'}  {f.name:<{width}}  {f.value:>22}   {f.goal}"
        for f in figures
    )


def by_template(
    workload: Workload,
    production: Mapping[str, Seen],
    again: Mapping[str, Seen],
    staging: Mapping[str, Seen],
    truth: Truth,
    *,
    verbose: bool,
) -> list[Figure]:
    """Plans, rows, errors and hits, weighted by calls."""
    total = same = copy = counted = twice = joined = flows = 0.0
    statements = failed = hit = hits = 0
    told = _told(workload, truth)
    new: Counter[str] = Counter()
    for template in workload.templates:
        theirs, ours = production.get(template.id), staging.get(template.id)
        if theirs is None or not theirs.calls or ours is None:
            continue
        statements += ours.calls
        known = {error.partition(" ")[0] for error in theirs.errors} | {
            state for state, _ in template.error_states
        }
        bad = {e: n for e, n in ours.errors.items() if e.partition(" ")[0] not in known}
        failed += sum(bad.values())
        new.update(bad)
        notes = [f"{n} × {e}" for e, n in bad.items()]
        if theirs.shapes:
            total += template.calls
            equal = overlap(theirs.shapes, ours.shapes)
            same += template.calls * equal
            copy += template.calls * overlap(theirs.shapes, again[template.id].shapes)
            if equal < 0.95:
                notes.append(f"plans {equal:.2f}")
            flows += template.calls
            there, here = np.mean(theirs.flows), np.mean(ours.flows or [0])
            joined += template.calls * within(there, here)
            if not within(there, here):
                notes.append(f"joined or scanned {there:,.1f} -> {here:,.1f}")
        true = [row for rows in told[template.id].values() for row in rows]
        mine = [row for _, _, row in ours.rows]
        if true:
            counted += template.calls
            twice += template.calls * within(np.mean(true), np.mean(mine or [0]))
            if not within(np.mean(true), np.mean(mine or [0])):
                notes.append(f"rows {np.mean(true):,.2f} -> {np.mean(mine or [0]):,.2f}")
        for number, ordinal, row in ours.rows:
            here = told[template.id].get((number, ordinal), ())
            if here and min(here) > 0:
                hits += 1
                hit += row > 0
        if verbose and notes:
            print(f"  {template.calls:>4} × {template.sql[:150]}\n         {'; '.join(notes)}")
    errors = 1 - failed / max(statements, 1)
    figure = [
        Figure(
            "plan shape equal, by calls (re-analysed copy)",
            f"{same / total:.3f} ({copy / total:.3f})",
            "≥ 0.98, within 0.01 of the copy",
            same / total >= 0.98 and same >= copy - 0.01 * total,
        ),
        _least("rows joined or scanned per call within 2×, by calls", joined / flows, 0.9),
        _least("rows returned per call within 2×, by calls", twice / max(counted, 1), 0.9),
        _least("statements without a new kind of error", errors, 0.995),
        _least("statements that touch ≥ 1 row where production's did", hit / max(hits, 1), 0.97),
    ]
    for error, count in new.most_common(5):
        print(f"  new error {count} × {error}")
    return figure


def _told(workload: Workload, truth: Truth) -> Mapping[str, dict[tuple[int, int], Sequence[int]]]:
    """What production's own execution of each kept statement touched."""
    found: dict[str, dict[tuple[int, int], Sequence[int]]] = defaultdict(dict)
    for transaction in workload.transactions:
        for ordinal, statement in enumerate(transaction.statements):
            rows = truth.get((statement.sql, statement.values))
            if rows:
                found[statement.template][transaction.id, ordinal] = rows
    return found


def overlap(one: Counter[str], other: Counter[str]) -> float:
    """How much two distributions of plans have in common: 1 is all."""
    total, others = max(one.total(), 1), max(other.total(), 1)
    return sum(min(n / total, other[shape] / others) for shape, n in one.items())


def within(one: float, other: float) -> bool:
    """Whether two means are within a factor of two; under half a row both are none."""
    low, high = sorted((float(one), float(other)))
    return high <= _TWICE * low or high < 0.5


def sizes(theirs: psycopg.Connection, ours: psycopg.Connection) -> list[Figure]:
    """Pages of tables and indexes; of those of few pages only how many are another number of pages."""
    figures = []
    for kind, name, goal in (("r", "relpages", 0.02), ("i", "index pages", 0.05)):
        there, here = _pages(theirs, kind), _pages(ours, kind)
        errors = {
            relation: abs(here.get(relation, 0) - pages) / pages
            for relation, pages in there.items()
            if pages >= _PAGES[kind]
        }
        worst = max(errors, key=lambda relation: errors[relation])
        mean = sum(errors.values()) / len(errors)
        small = [here.get(one, 0) - pages for one, pages in there.items() if one not in errors]
        off = sum(difference != 0 for difference in small)
        value = f"{mean:.1%}, worst {errors[worst]:.1%} of {len(errors)}"
        print(
            f"  {name:<11} of {len(small)} with under {_PAGES[kind]} pages {off} differ,"
            f" by {max(map(abs, small), default=0)} at most"
        )
        figures.append(
            Figure(f"{name}: mean, worst ({worst})", value, f"≤ {goal:.0%}", errors[worst] <= goal)
        )
    return figures


def _pages(connection: psycopg.Connection, kind: str) -> dict[str, int]:
    query = """SELECT relname, pg_relation_size(oid) / 8192 FROM pg_class
               WHERE relkind = %s AND relnamespace = 'public'::regnamespace"""
    return dict(connection.execute(query, (kind,)).fetchall())


def statistics(theirs: psycopg.Connection, ours: psycopg.Connection) -> list[Figure]:
    """pg_stats beside pg_stats, foreign keys beside foreign keys, constraints validated."""
    common, distinct, correlation = [], [], []
    here = dict(_stats(ours))
    for key, (freqs, n_distinct, correlated, rows) in _stats(theirs):
        if key not in here:
            continue
        mine, my_distinct, my_correlated, my_rows = here[key]
        common.append((_distance(freqs, mine), key))
        one, other = _number(n_distinct, rows), _number(my_distinct, my_rows)
        distinct.append((max(one, other) / max(min(one, other), 1), key))
        if correlated is not None and my_correlated is not None:
            correlation.append((abs(correlated - my_correlated), key))
    return [
        _most("MCV error", common, 0.07),
        _most("n_distinct ratio", distinct, 1.1),
        _most("correlation error", correlation, 0.05),
        *fan_outs(theirs, ours),
        _validated(theirs, ours),
    ]


def _stats(connection: psycopg.Connection) -> Iterator[tuple[str, tuple[Any, ...]]]:
    query = """SELECT tablename || '.' || attname, most_common_freqs, n_distinct, correlation, reltuples
               FROM pg_stats JOIN pg_class c ON c.oid = format('%I.%I', schemaname, tablename)::regclass
               WHERE schemaname = 'public' AND NOT inherited"""
    for key, *row in connection.execute(query):
        yield key, tuple(row)


def _distance(one: Sequence[float] | None, other: Sequence[float] | None) -> float:
    size = max(len(one or ()), len(other or ()))
    padded = [np.pad(np.array(f or []), (0, size - len(f or ()))) for f in (one, other)]
    return float(np.abs(padded[0] - padded[1]).sum())


def _number(n_distinct: float, rows: float) -> float:
    return n_distinct if n_distinct >= 0 else -n_distinct * rows


def fan_outs(theirs: psycopg.Connection, ours: psycopg.Connection) -> list[Figure]:
    """Σp² and the share of the hottest parents, per foreign key."""
    keys = theirs.execute("""SELECT conrelid::regclass::text, a.attname FROM pg_constraint
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
        WHERE contype = 'f' AND cardinality(conkey) = 1 ORDER BY 1, 2""").fetchall()
    square, shares = [], []
    for table, column in keys:
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} IS NOT NULL GROUP BY {} ORDER BY 1 DESC")
        place = sql.Identifier(column)
        query = query.format(sql.Identifier(table), place, place)
        try:
            there, here = (np.array(c.execute(query).fetchall(), float) for c in (theirs, ours))
        except psycopg.Error:
            square.append((1.0, f"{table}.{column}"))
            continue
        if not there.size or not here.size:
            continue
        p, q = there[:, 0] / there.sum(), here[:, 0] / here.sum()
        square.append((abs((q**2).sum() / (p**2).sum() - 1), f"{table}.{column}"))
        for top in (1, 10, 100):
            error = abs(q[:top].sum() / p[:top].sum() - 1)
            shares.append((error, f"{table}.{column} top {top}"))
    return [_most("Σp² per foreign key", square, 0.02), _most("top-k share", shares, 0.02)]


def _validated(theirs: psycopg.Connection, ours: psycopg.Connection) -> Figure:
    query = """SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u', 'c', 'f', 'x') AND convalidated
               AND connamespace = 'public'::regnamespace"""
    there, here = (c.execute(query).fetchone()[0] for c in (theirs, ours))
    return Figure("constraints validated", f"{here} of {there}", "100 %", here >= there)


def _least(name: str, value: float, goal: float) -> Figure:
    return Figure(name, f"{value:.3f}", f"≥ {goal}", value >= goal)


def _most(name: str, errors: Sequence[tuple[float, str]], goal: float) -> Figure:
    """The mean is held to the goal; the worst is named."""
    mean = sum(error for error, _ in errors) / max(len(errors), 1)
    worst, where = max(errors, default=(0.0, ""))
    return Figure(
        f"{name}: mean, worst ({where})", f"{mean:.3f}, {worst:.3f}", f"≤ {goal:g}", mean <= goal
    )
