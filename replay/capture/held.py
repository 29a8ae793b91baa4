"""Units that have not come to their end: held apart from their blocks, overlong ones in part.

Of one transaction so many executions and bytes of records are kept, and beyond them its end and the
first execution of every further template, so that none is lost. The rest is only counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from replay.capture.executions import Executions, Mask, joined
from replay.capture.formats.columns import Ints
from replay.capture.units import Sources, Units

UNIT_AT_MOST = 10_000  # executions
UNIT_BYTES_AT_MOST = 8 << 20


@dataclass(slots=True)
class Held:
    """A unit of which more may come."""

    priority: int
    counted: bool  # it began in the window
    executions: int = 0  # kept or not
    size: int = 0  # bytes of their records
    parts: list[Executions] = field(default_factory=list)
    records: list[tuple[bytes, bytes]] = field(default_factory=list)

    def hold(self, part: Executions, sources: Sources) -> None:
        """Keep executions with their records."""
        self.parts.append(part)
        self.records += [
            (sources[source], sources[call])
            for source, call in zip(part.source.tolist(), part.call.tolist(), strict=True)
        ]

    def templates(self) -> Ints:
        """Of the executions that are kept."""
        return np.concatenate([np.empty(0, np.int64), *(part.template for part in self.parts)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """Executions in session order, cut where units begin."""

    found: Executions
    begins: Ints
    ends: Ints
    held: Mapping[int, Held]  # by place: the unit that the stretch goes on with
    sizes: Ints  # of the executions' records, in bytes

    @property
    def of_each(self) -> Ints:
        """Of each execution, the place of its stretch."""
        return np.repeat(np.arange(self.begins.size), self.ends - self.begins)

    def fits(self, closed: Mask) -> Mask:
        """Which executions are kept; `closed` says which stretches end their unit."""
        stretch = self.of_each
        count = np.arange(stretch.size) - self.begins[stretch]  # of the unit's before each
        size = np.cumsum(self.sizes) - self.sizes
        size -= size[self.begins][stretch]
        for place, unit in self.held.items():
            inside = slice(int(self.begins[place]), int(self.ends[place]))
            count[inside] += unit.executions
            size[inside] += unit.size
        fits = (count < UNIT_AT_MOST) & (size < UNIT_BYTES_AT_MOST)
        if not fits.all():
            for place in np.unique(stretch[~fits]).tolist():
                fits[self._new_templates(place, fits)] = True
            fits[self.ends[closed] - 1] = True
        return fits

    def hold(self, place: int, unit: Held, fits: Mask, sources: Sources) -> None:
        """Keep a stretch with its unit, as far as it fits."""
        rows = np.arange(self.begins[place], self.ends[place])
        unit.executions += rows.size
        unit.size += int(self.sizes[rows].sum())
        if unit.counted:
            unit.hold(self.found.taken(rows[fits[rows]]), sources)

    def _new_templates(self, place: int, fits: Mask) -> Ints:
        """The first execution of each template that the unit would lose."""
        rows = np.arange(self.begins[place], self.ends[place])
        template, beyond = self.found.template, rows[~fits[rows]]
        known = template[rows[fits[rows]]]
        if place in self.held:
            known = np.concatenate((known, self.held[place].templates()))
        distinct, first = np.unique(template[beyond], return_index=True)
        return beyond[first[~np.isin(distinct, known)]]


def with_ended(units: Units, ended: Sequence[tuple[bytes, Held]]) -> Units:
    """The units with those that began in earlier blocks, by their sessions."""
    ended = [(name, unit) for name, unit in ended if unit.counted]
    if not ended:
        return units
    parts, sizes = [units.executions], []
    for _, unit in ended:
        whole = joined(unit.parts)
        places = np.array([[units.sources.add(r) for r in pair] for pair in unit.records])
        whole.source, whole.call = places[:, 0], places[:, 1]
        parts.append(whole)
        sizes.append(len(whole))
    return Units(
        executions=joined(parts),
        first=np.concatenate((units.first, len(units.executions) + starts_of(np.array(sizes)))),
        priority=np.append(units.priority, np.array([u.priority for _, u in ended], np.uint64)),
        session=[*units.session, *(name for name, _ in ended)],
        sources=units.sources,
    )


def starts_of(sizes: Ints) -> Ints:
    """Where pieces of those sizes begin that stand behind one another."""
    return np.cumsum(sizes) - sizes
