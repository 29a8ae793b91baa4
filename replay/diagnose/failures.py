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
    kinds = [(template, code) for template in attempts.names for code in attempts.outcomes]
    not_ok = np.array([code != OK and (t, code) not in expected for t, code in kinds], dtype=bool)
    refused = not_ok & np.array(
        [bool(REFUSAL.fullmatch(code)) and code not in _TOO_MUCH for _, code in kinds], dtype=bool
    )
    special = attempts.among(lambda name: name in boosted)
    totals = np.zeros(len(kinds), dtype=np.int64)
    ordinary = failed = unserved = 0  # transactions
    for part in attempts.parts():
        kind = part.template * len(attempts.outcomes) + part.outcome
        totals += np.bincount(kind, minlength=len(kinds))
        mine = ~part.any_of(special[part.template])
        ordinary += int(mine.sum())
        failed += int((mine & part.any_of(refused[kind])).sum())
        unserved += int((mine & part.any_of(not_ok[kind])).sum())
    counts = Counter({kinds[at]: int(totals[at]) for at in np.flatnonzero(refused & (totals > 0))})
    return Failures(
        counts=dict(counts.most_common()),
        transactions_share=failed / max(ordinary, 1),
        not_ok_share=failed / max(unserved, 1),
    )
