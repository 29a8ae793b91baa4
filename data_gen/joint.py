"""What a sample says of how columns go together: read from its rows, and cut down to what is needed."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from data_gen.profile import Joint, JointColumn
from data_gen.questions import Row


def joints(rows: Iterable[Row]) -> Mapping[int, Joint]:
    """Joints by the OID of their table, from the answers to the question `joint`."""
    described: dict[int, Row] = {}
    cells: dict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
    keys: dict[int, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for row in rows:
        oid = int(row["oid"])
        if "columns" in row:
            described[oid] = row
        elif row["key"] is None:
            cells[oid][cell_of(row)] += 1
        else:
            keys[oid][row["key"]] = cell_of(row)
    return {
        oid: Joint(
            columns=tuple(JointColumn(kind=k, name=n, via=v) for k, n, v in row["columns"]),
            cells=tuple(cells[oid]),
            counts=tuple(cells[oid].values()),
            keys=tuple(keys[oid].items()),
            key_type=row["type"] or "",
            keyed=row["keyed"] or "",
        )
        for oid, row in described.items()
        if cells[oid]
    }


def cell_of(row: Row) -> tuple[int, ...]:
    """Place and codes of a sampled row."""
    return (row["place"], *row["codes"])


def projected(joint: Joint, keep: Callable[[JointColumn], bool]) -> Joint:
    """The joint of some of its columns, their cells added up, and nothing left that asks for more."""
    chosen = [number for number, column in enumerate(joint.columns) if keep(column)]
    places = (0, *(number + 1 for number in chosen))
    summed: Counter[tuple[int, ...]] = Counter()
    for cell, count in zip(joint.cells, joint.counts, strict=True):
        summed[tuple(cell[place] for place in places)] += count
    cells = sorted(summed)
    return replace(
        joint,
        columns=tuple(joint.columns[number] for number in chosen),
        cells=tuple(cells),
        counts=tuple(summed[cell] for cell in cells),
        keys=tuple((key, tuple(cell[place] for place in places)) for key, cell in joint.keys),
        keyed="",
    )


def with_keys(joint: Joint, keys: Sequence[tuple[str, tuple[int, ...]]]) -> Joint:
    """The joint with more keys known by name."""
    return replace(joint, keys=tuple({**dict(joint.keys), **dict(keys)}.items()))
