"""Generated tables against what was captured: the same figures, taken from two profiles alike.

Both come from the same questions (`introspect`), so what a sample or ANALYZE blurs is blurred in both.
Values are not compared by name, for those of the captured profile are tokens: shapes are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from data_gen.codes import children
from data_gen.fans import shares
from data_gen.profile import ColumnProfile, ForeignKey, SchemaProfile, TableProfile
from data_gen.shuffle import Ints

Floats = npt.NDArray[np.float64]

_PAGES = 16  # of fewer, one more or less says nothing
_TOPS = (1, 10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure of one thing, as it was in production and as it is here."""

    subject: str  # schema.table, schema.table.column, an index, a foreign key, a template's id
    figure: (
        str  # rows, pages, index pages, width, nulls, distinct, common, histogram, correlation …
    )
    captured: float
    generated: float
    error: float  # relative, but of shares and distances, which are as they are
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is near enough."""
        return self.error <= self.limit


def compare(
    captured: SchemaProfile, generated: SchemaProfile, *, scale: float = 1.0
) -> tuple[Check, ...]:
    """All figures of all tables that were captured; a table that is not there has no rows."""
    return tuple(
        check for table in captured.tables for check in _table(captured, table, generated, scale)
    )


def _table(
    captured: SchemaProfile, table: TableProfile, generated: SchemaProfile, scale: float
) -> Iterator[Check]:
    name = table.qualified
    made = generated.table(name)
    if made is None:
        yield _ratio(name, "rows", table.rows * scale, 0, 0.01)
        return
    yield _ratio(name, "rows", table.rows * scale, made.rows, 0.01)
    if table.pages * scale >= _PAGES:
        yield _ratio(name, "pages", table.pages * scale, made.pages, 0.02)
    sizes = {index.name: index.bytes for index in made.indexes}
    for index in table.indexes:
        if index.bytes * scale >= _PAGES * 8192:
            there, here = index.bytes * scale / 8192, sizes.get(index.name, 0) / 8192
            yield _ratio(f"{name} {index.name}", "index pages", there, here, 0.05)
    for column in table.columns:
        other = made.column(column.name)
        if other is not None and column.analyzed and other.analyzed:
            yield from _column(name, table, column, made, other, scale)
    for key in table.foreign_keys:
        yield from _fan_out(captured, table, key, generated, made)


def _column(
    name: str,
    table: TableProfile,
    column: ColumnProfile,
    made: TableProfile,
    other: ColumnProfile,
    scale: float,
) -> Iterator[Check]:
    subject = f"{name}.{column.name}"
    yield _share(subject, "nulls", column.null_fraction, other.null_fraction, 0.02)
    yield _ratio(subject, "width", column.average_width, other.average_width, 0.1)
    wanted = (
        column.n_distinct if column.n_distinct >= 0 else -column.n_distinct * table.rows * scale
    )
    found = other.n_distinct if other.n_distinct >= 0 else -other.n_distinct * made.rows
    yield _ratio(subject, "distinct", wanted, found, 0.1)
    if column.common_fractions or other.common_fractions:
        yield _apart(
            subject, "common", _distance(column.common_fractions, other.common_fractions), 0.07
        )
    bounds = [_numbers(one.histogram) for one in (column, other)]
    if all(len(one) > 1 for one in bounds):
        yield _apart(subject, "histogram", _histogram_distance(*bounds), 0.05)
    if column.correlation is not None and other.correlation is not None:
        yield _share(subject, "correlation", column.correlation, other.correlation, 0.05)


def _fan_out(
    captured: SchemaProfile,
    table: TableProfile,
    key: ForeignKey,
    generated: SchemaProfile,
    made: TableProfile,
) -> Iterator[Check]:
    subject = f"{table.qualified} {key.name}"
    there, here = (
        _shares(profile, child, key) for profile, child in ((captured, table), (generated, made))
    )
    if not there.size or not here.size:
        return
    yield _ratio(subject, "hot-key mass Σp²", float((there**2).sum()), float((here**2).sum()), 0.05)
    for top in _TOPS:
        if top < there.size:
            yield _ratio(
                subject,
                f"share of the {top} hottest",
                float(there[:top].sum()),
                float(here[:top].sum()),
                0.05,
            )
    fans = [
        _childless(profile, child, key) for profile, child in ((captured, table), (generated, made))
    ]
    if fans[0] is not None and fans[1] is not None:
        yield _share(subject, "parents without children", fans[0], fans[1], 0.02)


def _shares(profile: SchemaProfile, table: TableProfile, key: ForeignKey) -> Floats:
    """Each parent's share of the children, most first: as counted, else by statistics and sample."""
    column = table.column(key.columns[0])
    if column is None or len(key.columns) > 1 or not table.rows:
        return np.empty(0)
    if key.fan_out is not None:
        return shares(key.fan_out)
    present = max(1.0 - column.null_fraction, 1e-9)
    common = np.array(column.common_fractions) / present
    left = max(1.0 - float(common.sum()), 0.0)
    fans = np.sort(_fans(profile, table, key))[::-1][common.size :].astype(np.float64)
    rest = fans / fans.sum() * left if fans.sum() else np.empty(0)
    return np.concatenate((np.sort(common)[::-1], rest))


def _childless(profile: SchemaProfile, table: TableProfile, key: ForeignKey) -> float | None:
    fans = _fans(profile, table, key)
    return float((fans == 0).mean()) if fans.size else None


def _fans(profile: SchemaProfile, table: TableProfile, key: ForeignKey) -> Ints:
    """Numbers of children of as many parents as there are, from those that were sampled."""
    parent = profile.table(key.parent)
    joint = parent.joint if parent is not None else None
    if parent is None or joint is None:
        return np.empty(0, np.int64)
    for number, column in enumerate(joint.columns, 1):
        if (column.kind, column.name, column.via) == ("children", table.qualified, key.name):
            codes = np.array([cell[number] for cell in joint.cells], np.int64)
            times = np.array(joint.counts) * max(parent.rows / sum(joint.counts), 1.0)
            return np.repeat(children(codes), np.rint(times).astype(np.int64))
    return np.empty(0, np.int64)


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    """How far two lists of fractions lie apart, rank by rank."""
    size = max(len(one), len(other))
    padded = [np.pad(np.array(some, float), (0, size - len(some))) for some in (one, other)]
    return float(np.abs(padded[0] - padded[1]).sum())


def _histogram_distance(one: Floats, other: Floats) -> float:
    """Mean distance of the bounds at equal heights, as a share of the middle nine tenths' width."""
    heights = np.linspace(0.05, 0.95, 19)
    here, there = (np.quantile(bounds, heights) for bounds in (one, other))
    width = float(here[-1] - here[0])
    return float(np.abs(here - there).mean() / width) if width else 0.0


def _numbers(bounds: Sequence[str]) -> Floats:
    """Bounds as numbers, times from the first one on; none where they are neither."""
    for read in _READERS:
        try:
            numbers = np.array([read(bound) for bound in bounds])
        except (ValueError, OverflowError):
            continue
        return numbers if read is float else numbers - numbers[:1]
    return np.empty(0)


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_READERS: tuple[Callable[[str], float], ...] = (float, _seconds)


def _ratio(subject: str, figure: str, captured: float, generated: float, limit: float) -> Check:
    error = abs(generated - captured) / max(abs(captured), 1.0 if captured >= 1 else 1e-9)
    return Check(
        subject=subject, figure=figure, captured=captured, generated=generated, error=error, limit=limit
    )  # fmt: skip


def _share(subject: str, figure: str, captured: float, generated: float, limit: float) -> Check:
    return Check(
        subject=subject, figure=figure, captured=captured, generated=generated,
        error=abs(captured - generated), limit=limit,
    )  # fmt: skip


def _apart(subject: str, figure: str, distance: float, limit: float) -> Check:
    return Check(
        subject=subject, figure=figure, captured=0.0, generated=distance, error=distance, limit=limit
    )  # fmt: skip
