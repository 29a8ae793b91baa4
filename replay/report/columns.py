"""A run's tables as numpy columns, and the time grid that its charts share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from replay.rundir import RunManifest

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_WIDTHS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_BUCKETS_AT_MOST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """A column of few distinct strings: `codes` point into `names`."""

    codes: Ints
    names: tuple[str, ...]

    def among(self, wanted: Callable[[str], bool]) -> Bools:
        """Which rows hold a name that is wanted."""
        chosen = np.array([wanted(name) for name in self.names], dtype=np.bool_)
        return chosen[self.codes] if len(chosen) else np.zeros(len(self.codes), dtype=np.bool_)

    def text(self) -> list[str]:
        """The column, a string a row."""
        return [self.names[code] for code in self.codes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Equal steps of a run's time: charts of one run share it, so they can be read side by side."""

    width_us: int
    count: int

    def place(self, at_us: Ints) -> Ints:
        """The step that each moment falls into; moments outside go to the nearest step."""
        return np.clip(at_us // self.width_us, 0, self.count - 1)


def grid(manifest: RunManifest, last_us: int) -> Grid:
    """Steps over the planned length, or longer where the run's tail was: 60 at most."""
    length_s = max(manifest.duration_s, last_us / 1e6, 0.1)
    width_s = next((w for w in _WIDTHS_S if length_s / w <= _BUCKETS_AT_MOST), _WIDTHS_S[-1])
    return Grid(width_us=round(width_s * 1e6), count=int(np.ceil(length_s / width_s)))


def ints(table: pa.Table, name: str) -> Ints:
    """A whole-number column."""
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def names(table: pa.Table, name: str) -> Names:
    """A column of names, whether or not it is stored as a dictionary; null is the empty name."""
    column = pc.fill_null(table[name].cast(pa.string()), "").combine_chunks()
    encoded = column.dictionary_encode()
    return Names(
        codes=encoded.indices.to_numpy().astype(np.int64),
        names=tuple(encoded.dictionary.to_pylist()),
    )
