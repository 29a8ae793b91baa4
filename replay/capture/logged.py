"""How likely a kept unit was to be logged, which its weight is divided by.

Tables of units are begun while their weights are not known yet, nor how many lone executions are no parts
of transactions (see `fragments`): both are put in at last.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from replay import columnar
from replay.capture.bottomk import Weights
from replay.capture.fragments import always_logged
from replay.capture.registry import Registry
from replay.capture.sampling import Sampling
from replay.capture.stored import Batch
from replay.capture.turns import Turns
from replay.columnar import Tabled
from replay.schemas import TRANSACTION_SCHEMA
from replay.workload import Transaction

_WEIGHT, _LOGGED = map(TRANSACTION_SCHEMA.get_field_index, ("weight", "logged"))


def logged(sampling: Sampling, registry: Registry, batch: Batch) -> Weights:
    """The probability of each unit; -1 - template for a lone one that is logged whatever is drawn."""
    if sampling.complete:
        return np.ones(len(batch.sessions))
    begins, counts = batch.first[:-1], batch.counts()
    longest_us = np.maximum.reduceat(batch.columns[2], begins)
    template, _, spent_us, state = batch.columns[:, begins]
    always = always_logged(sampling, registry, template, spent_us, state)
    columns = longest_us.tolist(), counts.tolist(), always.tolist()
    told = [sampling.probability(us, n, always=a) for us, n, a in zip(*columns, strict=True)]
    return np.where(always & (counts == 1), -1.0 - template, np.array(told))


def settled(turns: Turns, weights: Weights, alone: Weights) -> Tabled[Transaction]:
    """Transactions and their statements, of units of those weights; `alone`: see fragments.outside."""

    def batches() -> Iterator[columnar.Batch]:
        behind = 0
        for wholes, statements in turns.batches():
            at, behind = behind, behind + wholes.num_rows
            yield _settled(wholes, weights[at:behind], alone), statements

    return Tabled(weights.size, batches, columnar.transactions_of)


def _settled(wholes: pa.RecordBatch, weights: Weights, alone: Weights) -> pa.RecordBatch:
    told = wholes.column(_LOGGED).to_numpy()
    template = np.where(told < 0, -1 - told, 0).astype(np.int64)
    probability = np.where(told < 0, 1.0 / alone[template], told)
    columns = list(wholes.columns)
    columns[_WEIGHT], columns[_LOGGED] = pa.array(weights / probability), pa.array(probability)
    return pa.RecordBatch.from_arrays(columns, schema=TRANSACTION_SCHEMA)
