"""Failures that come with a path: what of the others failed in production while it ran.

A delete under which others' inserts fail is not safe for long, however cheap it is: they grow with it.
Pure, from the kept transactions and their weights.
"""

from collections.abc import Sequence

import numpy as np

from replay.workload import Transaction

_SEEN_AT_LEAST = 3  # failed transactions in its company
_OVER_CHANCE = 3.0  # times as many as any time of that length would have seen
_OF_MINE = 0.5  # of the path's transactions have such company: else it is a victim, too
_AFTER_US = 20_000  # who waits for it fails when it is over; the log tells milliseconds


def failures_along(
    mine: Sequence[Transaction], everyone: Sequence[Transaction], window_s: float
) -> float:
    """Transactions of others that failed because one of `mine` ran, on average; 0 where it is chance."""
    own = {transaction.id for transaction in mine}
    failed = sorted((_end_us(t), t.weight) for t in everyone if t.id not in own and _has_failed(t))
    if not failed:
        return 0.0
    ends = np.array([end for end, _ in failed])
    weights = np.concatenate(([0.0], np.cumsum([weight for _, weight in failed])))
    begins = np.array([transaction.start_us for transaction in mine])
    untils = np.array([_end_us(transaction) + _AFTER_US for transaction in mine])
    first, behind = np.searchsorted(ends, begins), np.searchsorted(ends, untils, side="right")
    along = float((weights[behind] - weights[first]).sum())
    by_chance = float(weights[-1]) * float((untils - begins).sum()) / (window_s * 1e6)
    seen = behind - first
    if (
        seen.sum() < _SEEN_AT_LEAST
        or (seen > 0).mean() < _OF_MINE
        or along < _OVER_CHANCE * by_chance
    ):
        return 0.0
    return (along - by_chance) / len(mine)


def _end_us(transaction: Transaction) -> int:
    return transaction.start_us + max(s.offset_us + s.duration_us for s in transaction.statements)


def _has_failed(transaction: Transaction) -> bool:
    return any(statement.error for statement in transaction.statements)
