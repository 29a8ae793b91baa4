"""What failed here and did not in production: the server's refusals by SQLSTATE, a service's by status.

A template's errors in the kept transactions tell which refusals are expected, a route's those of the log.
Waits for the pool that were given up, cancelled statements and lost connections are no refusals, and
neither is a service's word that it has too much to do.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from replay.diagnose.attempts import Attempts
from replay.outcome import OK, REFUSAL, error_name
from replay.requests import REQUEST
from replay.workload import Workload

_TOO_MUCH = frozenset(f"http {status}" for status in (408, 429, 502, 503, 504))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What the server refused here only.

    Transactions that hold a boosted template are left out of the shares, as of the objective.
    """

    # (template, SQLSTATE or status) -> so many, the most first.
    counts: Mapping[tuple[str, str], int]
    transactions_share: float  # of the transactions
    not_ok_share: float  # of the transactions that were not served


def find(attempts: Attempts, workload: Workload, boosted: Collection[str]) -> Failures:
    """The refusals of a run that production did not have."""
    expected = {
        (statement.template, statement.error)
        for transaction in workload.transactions
        for statement in transaction.statements
        if statement.error
    } | {
        (route.id, error_name(state))
        for route in workload.templates
        if route.kind == REQUEST
        for state, _ in route.error_states
    }
    names, outcomes = attempts.names, attempts.outcomes
    pairs, pair_of = np.unique(
        attempts.template * len(outcomes) + attempts.outcome, return_inverse=True
    )
    kinds = [(names[pair // len(outcomes)], outcomes[pair % len(outcomes)]) for pair in pairs]
    refused = [
        bool(REFUSAL.fullmatch(code)) and code not in _TOO_MUCH and (t, code) not in expected
        for t, code in kinds
    ]
    not_ok = [code != OK and (t, code) not in expected for t, code in kinds]
    totals = np.bincount(pair_of, minlength=len(kinds)).tolist()
    counts = {kind: n for kind, n, here in zip(kinds, totals, refused, strict=True) if here}

    def transactions(chosen: list[bool]) -> np.ndarray:
        mine = np.array(chosen, dtype=bool)[pair_of]
        return np.bincount(attempts.number, weights=mine, minlength=len(attempts.first)) > 0

    special = np.array([name in boosted for name in names], dtype=bool)[attempts.template]
    ordinary = np.bincount(attempts.number, weights=special, minlength=len(attempts.first)) == 0
    failed = int((transactions(refused) & ordinary).sum())
    return Failures(
        counts=dict(Counter(counts).most_common()),
        transactions_share=failed / max(int(ordinary.sum()), 1),
        not_ok_share=failed / max(int((transactions(not_ok) & ordinary).sum()), 1),
    )
