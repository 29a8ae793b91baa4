"""The places of a sample's strata, by columns, as the workload keeps them."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from replay import columnar
from replay.capture.bottomk import Places
from replay.capture.formats.columns import Ints
from replay.capture.registry import Registry
from replay.capture.sample import Strata
from replay.columnar import Batch, Tabled
from replay.schemas import PLACE_SCHEMA
from replay.workload import Place


def build_places(registry: Registry, strata: Strata, numbers: Ints) -> Tabled[Place]:
    """All places of the sample, by group, stratum and rank; `numbers` are the kept units', in order."""

    def batches() -> Iterator[Batch]:
        parts = [_table(registry, *group, numbers) for group in strata.places()]
        whole = pa.Table.from_batches(parts, schema=PLACE_SCHEMA).combine_chunks()
        return ((batch,) for batch in whole.to_batches(max_chunksize=columnar.ROWS))

    return Tabled(strata.held(), batches, lambda batch: columnar.places_of(batch[0]))


def _table(
    registry: Registry,
    group: str,
    meant: Mapping[int, tuple[int, ...]] | None,
    places: Places,
    numbers: Ints,
) -> pa.RecordBatch:
    name = _names(registry)[group]
    strata = sorted(
        (name(*(meant[stratum] if meant is not None else (stratum,))), begin, end)
        for stratum, begin, end in places.strata
    )
    begins = np.array([begin for _, begin, _ in strata], np.int64)
    sizes = np.array([end for *_, end in strata], np.int64) - begins
    stratum = np.repeat(np.arange(sizes.size), sizes)
    rows = np.arange(stratum.size) + np.repeat(begins - np.cumsum(sizes) + sizes, sizes)
    columns = [
        pa.array([group], pa.string()).take(pa.array(np.zeros(rows.size, np.int64))),
        pa.array([name for name, *_ in strata], pa.string()).take(pa.array(stratum)),
        pa.array(places.ranks[rows]),
        _transactions(places.units[rows], numbers),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=PLACE_SCHEMA)


def _names(registry: Registry) -> Mapping[str, Callable[..., str]]:
    """By group, what a stratum is called."""
    templates, states = registry.templates, registry.states
    return {
        "template": lambda template: templates[template].id,
        "slowest": lambda template: templates[template].id,
        "error": lambda template, state: f"{templates[template].id} {states[state]}",
        "bucket": str,
        "shape": lambda shape: f"{shape:016x}",
        "request": lambda priority: f"{priority:016x}",
    }


def _transactions(units: Ints, numbers: Ints) -> pa.Array:
    """Where the units stand among those numbers; NULL for those that do not."""
    if not numbers.size:
        return pa.nulls(units.size, pa.int64())
    order = np.argsort(numbers)
    places = np.minimum(np.searchsorted(numbers, units, sorter=order), numbers.size - 1)
    return pa.array(order[places], mask=numbers[order[places]] != units)
