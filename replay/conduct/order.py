"""Which transactions of a recording have to wait for which, so that they commit as production's did.

Two that wrote the same key took its row's lock one after the other: what the second wrote there, it
wrote after the first had committed. So a statement that writes a key waits for the transaction that
was the last to commit it before the statement's end. What waits so holds nothing that the other
needs, as far as the keys are known.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_gen.keys import key_domains
from data_gen.profile import SchemaProfile
from replay.bind.slots import Place, places
from replay.load import refuse
from replay.load.planned import PlannedTransaction
from replay.workload import Statement, Transaction

COMMIT = "commit"
_WRITES = re.compile(
    r"\s*(insert|update|delete|merge)\b|.*\bfor\s+(update|share|no\s+key|key\s+share)\b",
    re.IGNORECASE | re.DOTALL,
)

_Key = tuple[str, str]  # space of the key, captured value


class CommitOrder:
    """The order of commits on every key that several transactions wrote."""

    def __init__(self, transactions: Iterable[Transaction], profile: SchemaProfile) -> None:
        self._profile = profile
        self._domains = key_domains(profile, 1.0, 0)
        self._places: dict[str, tuple[Place, ...]] = {}
        found: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
        for transaction in transactions:
            if refuse.first_reason(transaction.statements) or not transaction.statements:
                continue
            last = transaction.statements[-1]
            commit_us = transaction.start_us + last.offset_us + last.duration_us
            for key in {key for s in transaction.statements for key in self._keys(s)}:
                found[key].append((commit_us, transaction.id))
        self._commits = {key: sorted(rows) for key, rows in found.items() if len(rows) > 1}

    def ordered(self, planned: PlannedTransaction, transaction: Transaction) -> PlannedTransaction:
        """The planned transaction, each of its statements after whom it has to wait for."""
        statements = tuple(
            replace(one, after=tuple(sorted(set(self._before(captured, transaction)))))
            for one, captured in zip(planned.statements, transaction.statements, strict=False)
        )
        return replace(planned, ident=transaction.id, statements=statements)

    def _before(self, statement: Statement, transaction: Transaction) -> Iterator[int]:
        end_us = transaction.start_us + statement.offset_us + statement.duration_us
        for key in self._keys(statement):
            commits = self._commits.get(key, ())
            at = bisect_right(commits, end_us, key=lambda row: row[0]) - 1
            if at >= 0 and commits[at][1] == transaction.id:
                at -= 1  # an autocommit statement's own
            if at >= 0:
                yield commits[at][1]

    def _keys(self, statement: Statement) -> Iterator[_Key]:
        """Keys that a statement writes or locks."""
        if not _WRITES.match(statement.sql):
            return
        known = self._places.get(statement.sql)
        if known is None:
            known = places(statement.sql, statement.slots, self._profile, self._domains)
            self._places[statement.sql] = known
        for place, value in zip(known, statement.values, strict=True):
            if place.domain is not None and value is not None and not place.is_range:
                for token in place.tokens(value):
                    yield place.space, token
