"""A recording's times: when each of production's transactions is due again. Pure arithmetic.

By default all of time runs at the given speed, the client's own included. Whichever way the
client's time is taken, the load stays open: a transaction is due when it is due, however slow the
one before it in its session was, and what its session makes it wait counts in its latency.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from replay.errors import InputError
from replay.workload import Manifest, Transaction, Workload

SCALE, KEEP, NONE = THINK = ("scale", "keep", "none")
_AHEAD_US = 100_000  # how long before its first transaction a session connects, where nothing tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A transaction of the recording, µs since the origin."""

    due_us: int
    connect_us: int  # when its session connects
    transaction: Transaction


@dataclass(slots=True)
class _Session:
    first_us: int  # start of its first transaction, as captured
    connect_us: int
    spent_us: int = 0  # in its transactions until now


def as_recorded(workload: Workload, *, speed: float, think: str) -> Iterator[Due]:
    """Every transaction of a workload that holds everything, in order of due.

    `think` says what becomes of the client's own time between and inside transactions: with "scale"
    it runs at `speed` as all of time does; with "keep" sessions begin at their times at that speed,
    and inside of each, time runs as it did; with "none" it is left out, so that a session's
    transactions follow one another as fast as production's server answered. Only with "scale" are
    the transactions streamed. Raises InputError where the workload is a sample.
    """
    require_everything(workload.manifest)
    found = _timed(workload.transactions, speed, think)
    return found if think == SCALE else iter(sorted(found, key=attrgetter("due_us")))


def gaps_of(speed: float, think: str) -> float:
    """By what the client's time between two statements of a transaction is multiplied."""
    return {SCALE: 1 / speed, KEEP: 1.0, NONE: 0.0}[think]


def length_s(window_s: float, speed: float, think: str) -> float:
    """How long the recording of a window lasts, at most."""
    return window_s / speed if think == SCALE else window_s / min(speed, 1.0)


def _timed(transactions: Iterable[Transaction], speed: float, think: str) -> Iterator[Due]:
    sessions: dict[str, _Session] = {}
    for transaction in transactions:
        if transaction.logged < 1:
            raise InputError(
                "production's server logged only a part of its statements (sampling, or a minimum "
                "duration), so this is no recording; log all of them, or replay the mix"
            )
        start_us = transaction.start_us
        session = sessions.get(transaction.session)
        if session is None:
            begun_us = transaction.session_us
            told_us = start_us / speed - _AHEAD_US if begun_us is None else begun_us / speed
            session = _Session(start_us, max(round(told_us), 0))
            sessions[transaction.session] = session
        begins_us = session.first_us / speed
        if think == SCALE:
            due_us = start_us / speed
        elif think == KEEP:
            due_us = begins_us + start_us - session.first_us
        else:
            due_us = begins_us + session.spent_us
            session.spent_us += sum(s.duration_us for s in transaction.statements)
        yield Due(due_us=int(due_us), connect_us=session.connect_us, transaction=transaction)


def require_everything(manifest: Manifest) -> None:
    """Raise InputError where a workload is a sample."""
    if not manifest.everything:
        raise InputError(
            f"this workload is a sample (about {manifest.per_stratum} transactions of each "
            "kind), and a recording needs them all: capture the log again with --all, for a "
            "--window where it is long; or replay the mix, which a sample is made for"
        )
