"""What the server's sessions did over time, by wait event, from the 10 Hz samples."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replay import rundir
from replay.report.columns import Floats, Grid, Ints, ints, names

_LARGEST = 7  # wait events with a band of their own; the rest share one
_OTHER = "other"
ON_CPU = "on CPU"
IDLE_IN_TRANSACTION = "idle in transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Average number of sessions in one state, per step of the grid."""

    name: str  # "on CPU", "Lock: transactionid", "idle in transaction", "other"
    kind: str  # cpu, lock, lwlock, io, idle, other: by which it is coloured
    sessions: tuple[float, ...]
    session_s: float  # over the whole run


def by_event(run: Path, grid: Grid) -> tuple[Band, ...]:
    """Sessions by wait event over time, the heaviest first; empty where nothing was sampled."""
    table = rundir.read_table(run, "samples")
    if not table.num_rows:
        return ()
    at_us = ints(table, "at_us")
    states = names(table, "state").text()
    types = names(table, "wait_type").text()
    events = names(table, "wait").text()
    labels = [_label(*row) for row in zip(states, types, events, strict=True)]
    largest = {name for name, _ in Counter(labels).most_common(_LARGEST)}
    shown = np.array([name if name in largest else _OTHER for name in labels])
    share = _share_of_step(at_us, grid)
    steps = grid.place(at_us)
    bands = []
    for name in dict.fromkeys(shown.tolist()):
        mine = np.bincount(steps[shown == name], weights=share[shown == name], minlength=grid.count)
        bands.append(
            Band(
                name=name,
                kind=kind_of(name),
                sessions=tuple(round(float(value), 3) for value in mine),
                session_s=round(float(mine.sum()) * grid.width_us / 1e6, 3),
            )
        )
    return tuple(sorted(bands, key=lambda band: (band.name == _OTHER, -band.session_s)))


def interval_us(at_us: Ints) -> int:
    """How far apart samples usually were, in µs: the median step; 100 ms where there is but one."""
    moments = np.unique(at_us)
    return int(np.median(np.diff(moments))) if len(moments) > 1 else 100_000


def kind_of(label: str) -> str:
    """The class of a wait that a label names."""
    if label == ON_CPU:
        return "cpu"
    if label == IDLE_IN_TRANSACTION:
        return "idle"
    head = label.partition(":")[0].lower()
    return head if head in {"lock", "lwlock", "io"} else "other"


def _label(state: str, wait_type: str, wait: str) -> str:
    if state.startswith(IDLE_IN_TRANSACTION):
        return IDLE_IN_TRANSACTION
    if not wait_type:
        return ON_CPU
    return f"{wait_type}: {wait}"


def _share_of_step(at_us: Ints, grid: Grid) -> Floats:
    """The share of its step that each sampled row stands for.

    A step that saw fewer samples than the sampler's pace promises is averaged over those that it
    saw: a server too busy to be asked was not idle. A step with samples missing because nobody was
    at work has none to average over, and stays at zero.
    """
    moments = np.unique(at_us)
    seen = np.bincount(grid.place(moments), minlength=grid.count)
    return np.asarray(1.0 / np.maximum(seen, 1), dtype=np.float64)[grid.place(at_us)]
