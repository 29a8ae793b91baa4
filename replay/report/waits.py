"""What the server's sessions did over time, by wait event, from the 10 Hz samples."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replay import rundir
from replay.report.columns import Grid, Ints, ints, names

_LARGEST = 7  # wait events with a band of their own; the rest share one
_OTHER = "other"
_PACE_US = 100_000  # the sampler looks ten times a second
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
    labels = [label(*row) for row in zip(states, types, events, strict=True)]
    largest = {name for name, _ in Counter(labels).most_common(_LARGEST)}
    shown = np.array([name if name in largest else _OTHER for name in labels])
    spans = spans_us(at_us)
    share = np.array([spans[at] for at in at_us.tolist()]) / grid.width_us
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


def spans_us(at_us: Ints) -> dict[int, int]:
    """Sampled moment -> the time that it stands for, in µs: until the next one.

    A sampler that came late to a busy server is so made up for, up to three times its pace; a longer
    gap is one in which nobody was at work, for such samples leave no row.
    """
    moments = np.unique(at_us)
    gaps = np.diff(moments, append=moments[-1:] + _PACE_US)
    return dict(
        zip(moments.tolist(), np.where(gaps <= 3 * _PACE_US, gaps, _PACE_US).tolist(), strict=True)
    )


def kind_of(label: str) -> str:
    """The class of a wait that a label names."""
    if label == ON_CPU:
        return "cpu"
    if label == IDLE_IN_TRANSACTION:
        return "idle"
    head = label.partition(":")[0].lower()
    return head if head in {"lock", "lwlock", "io"} else "other"


def label(state: str, wait_type: str, wait: str) -> str:
    """What a session was at, in words."""
    if state.startswith(IDLE_IN_TRANSACTION):
        return IDLE_IN_TRANSACTION
    if not wait_type:
        return ON_CPU
    return f"{wait_type}: {wait}"
