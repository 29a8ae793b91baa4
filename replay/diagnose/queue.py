"""Who filled the pool while others waited for a slot: queue-seconds, charged to templates.

At each sample the transactions that wait for a slot are shared out evenly over the sessions that
hold one. A session that waits for a lock, and the one that it waits for, pass their share on to the
statement that keeps the lock held; every other session's share goes to the statement it runs. So
the charges add up to the whole wait for the pool, and demand is told from blocking.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts, Ints
from replay.diagnose.sums import summed
from replay.diagnose.timeline import PAUSE
from replay.percentiles import percentiles

_PAUSE_CODE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The wait for the pool, and whose doing it was."""

    total_s: float  # waited by all transactions together
    p95_ms: float
    demand_s: Mapping[str, float]  # template -> charged because it ran; PAUSE: nothing did
    locks_s: Mapping[str, float]  # template -> charged because it kept a lock held


def charge(attempts: Attempts, moments_us: Ints, behind: Mapping[tuple[int, int], str]) -> Queue:
    """Charge the wait for the pool; `behind` is Blocking.behind, `moments_us` the samples' times."""
    total_s = sum(float(part.pool_wait_us.sum()) for part in attempts.parts()) / 1e6
    (p95_us,) = percentiles(lambda: (part.pool_wait_us for part in attempts.parts()), (95,))
    moment, pid, template = _held_slots(attempts, moments_us)
    share = _share_of_slot(attempts, moments_us, moment)
    charges = summed(
        (
            ("locks", culprit)
            if (culprit := behind.get((at_us, session)))
            else ("demand", PAUSE if code == _PAUSE_CODE else attempts.names[code]),
            part,
        )
        for at_us, session, code, part in zip(
            *(moments_us[moment].tolist(), pid.tolist(), template.tolist(), share.tolist()),
            strict=True,
        )
        if part
    )
    # Samples are few; the sum of all waits is exact.
    scale = total_s / (sum(charges.values()) or 1.0)
    return Queue(
        total_s=total_s,
        p95_ms=p95_us / 1e3,
        demand_s={name: s * scale for (why, name), s in charges.items() if why == "demand"},
        locks_s={name: s * scale for (why, name), s in charges.items() if why == "locks"},
    )


def _share_of_slot(attempts: Attempts, moments_us: Ints, moment: Ints) -> np.ndarray:
    """For each held slot and moment: how many transactions waited, over how many held one."""
    waiting = np.zeros(len(moments_us), np.int64)
    for part in attempts.parts():
        due, slot = np.sort(part.due_us[part.first]), np.sort(part.slot_us)
        waiting += np.searchsorted(due, moments_us, "right")
        waiting -= np.searchsorted(slot, moments_us, "right")
    holding = np.bincount(moment, minlength=len(moments_us))
    return waiting[moment] / holding[moment]


def _held_slots(attempts: Attempts, moments_us: Ints) -> tuple[Ints, Ints, Ints]:
    """(position of the moment, pid, template) of each session that held a slot at each moment."""
    found = [_held_in(part, moments_us) for part in attempts.parts()]
    none = np.zeros(0, np.int64)
    moment, pid, template = (
        np.concatenate([none, *parts]) for parts in zip(*(found or [(none,) * 3]), strict=True)
    )
    return moment, pid, template


def _held_in(attempts: Attempts, moments_us: Ints) -> tuple[Ints, Ints, Ints]:
    sent = np.flatnonzero(attempts.sent)
    # From the end of a statement to the next one of its transaction the client pauses.
    before = sent[:-1][attempts.number[sent[1:]] == attempts.number[sent[:-1]]]
    after = sent[1:][attempts.number[sent[1:]] == attempts.number[sent[:-1]]]
    began = np.concatenate((attempts.began_us[sent], attempts.ended_us[before]))
    ended = np.concatenate((attempts.ended_us[sent], attempts.began_us[after]))
    pid = np.concatenate((attempts.pid[sent], attempts.pid[before]))
    template = np.concatenate((attempts.template[sent], np.full(len(before), _PAUSE_CODE)))
    begin = np.searchsorted(moments_us, began, "left")
    counts = np.maximum(np.searchsorted(moments_us, ended, "left") - begin, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return begin[which] + offset, pid[which], template[which]
