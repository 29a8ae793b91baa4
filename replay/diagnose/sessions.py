"""What the samples say of sessions: long transactions and their snapshots, and who spent what where."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from replay.diagnose.sums import summed

ON_CPU = "on CPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTransaction:
    """A transaction that was seen open for long."""

    pid: int
    who: str  # template, or text, of what it was seen to run most
    age_s: float  # at most
    xmin_age: int  # transactions since its oldest snapshot, at most; -1: it held none
    idle_share: float  # of the samples in which it sat idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """All of it."""

    waits: Mapping[str, float]  # "Lock: tuple", "on CPU" … -> sessions on average
    spent_s: Mapping[str, Mapping[str, float]]  # the same label -> who -> seconds, most first
    long: tuple[LongTransaction, ...]  # the oldest first


def read(
    samples: pa.Table, period_s: float, who: Callable[[str, str], str], *, least_s: float
) -> Sessions:
    """Sessions of a table of runtables.SAMPLES; transactions younger than `least_s` are not long."""
    looks = max(len(samples["at_us"].unique()), 1)
    spent: dict[str, list[tuple[str, float]]] = defaultdict(list)
    open_: dict[tuple[int, int], list[tuple[str, str, int, int]]] = defaultdict(list)
    names = (
        *("at_us", "pid", "state", "wait_type", "wait", "template"),
        *("transaction_age_us", "text", "xmin_age"),
    )
    columns = (samples[name].to_pylist() for name in names)
    for at_us, pid, state, wait_type, wait, template, age_us, text, xmin_age in zip(
        *columns, strict=True
    ):
        name = who(template, text or "")
        spent[_label(state, wait_type, wait)].append((name, period_s))
        if age_us >= 1e6:
            # A transaction is known by when it began; the two clocks differ by less than that.
            began = round((at_us - age_us) / 2e5)
            open_[pid, began].append((name, state, age_us, -1 if xmin_age is None else xmin_age))
    by_label = {label: summed(parts) for label, parts in spent.items()}
    total = summed((label, sum(parts.values())) for label, parts in by_label.items())
    found = [_long(pid, seen) for (pid, _), seen in open_.items()]
    return Sessions(
        waits={name: round(s / period_s / looks, 3) for name, s in total.items()},
        spent_s={label: by_label[label] for label in total},
        long=tuple(sorted((t for t in found if t.age_s >= least_s), key=lambda t: -t.age_s)),
    )


def _long(pid: int, seen: list[tuple[str, str, int, int]]) -> LongTransaction:
    return LongTransaction(
        pid=pid,
        who=next(iter(summed((name, 1.0) for name, _, _, _ in seen))),
        age_s=max(age_us for _, _, age_us, _ in seen) / 1e6,
        xmin_age=max(xmin for _, _, _, xmin in seen),
        idle_share=sum(state.startswith("idle") for _, state, _, _ in seen) / len(seen),
    )


def _label(state: str, wait_type: str, wait: str) -> str:
    if state != "active":
        return state
    return f"{wait_type}: {wait}" if wait_type else ON_CPU
