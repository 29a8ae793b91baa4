"""Parts of transactions that were not drawn: what the server logs in any case stands there alone.

With log_transaction_sample_rate a failed statement, a slow one (log_min_duration_statement), or one that
log_statement names is logged also where its transaction is not. It looks like one outside of any
transaction, and the drawn transactions, each of which stands for 1/p of them, stand for it already.
How many such parts there are, the drawn ones tell: of those that hold the template n were seen, so
about n (1 - p)/p were not drawn. The rest of the lone ones ran outside, and their weights are lowered
to stand for that rest: then a template's weights come to its calls again.
"""

import numpy as np

from replay.capture.bottomk import Weights
from replay.capture.executions import NONE, Mask
from replay.capture.formats.columns import Ints
from replay.capture.registry import Registry
from replay.capture.sampling import Sampling

_LEAST = 0.01  # of a weight: what is kept stands for something


def always_logged(
    sampling: Sampling, registry: Registry, template: Ints, spent_us: Ints, state: Ints
) -> Mask:
    """Which executions are logged whatever is drawn."""
    numbers, codes = np.unique(template, return_inverse=True)
    texts = [sampling.logs_text(registry.templates[number].sql) for number in numbers.tolist()]
    logged: Mask = (state != NONE) | np.array(texts, np.bool_)[codes]
    if sampling.least_us is not None:
        logged |= spent_us >= sampling.least_us
    return logged


def outside(
    sampling: Sampling, registry: Registry, columns: Ints, unit: Ints, weights: Weights
) -> Weights:
    """By template, the share of its lone executions that are no parts of transactions.

    `columns` are the kept executions' (template, start, spent, state) and `unit` the place of each
    one's weight.
    """
    known, drawn = len(registry.templates), sampling.transaction_share
    if sampling.complete or not drawn:
        return np.ones(known)
    template = columns[0]
    always = always_logged(sampling, registry, template, columns[2], columns[3])
    is_alone = np.bincount(unit, minlength=weights.size)[unit] == 1
    alone, inside = (
        np.bincount(template[which], weights[unit[which]], known)
        for which in (always & is_alone, always & ~is_alone)
    )
    parts = inside * (1 - drawn) / drawn
    share: Weights = 1.0 - parts / np.where(alone > 0, alone, np.inf)
    return np.clip(share, _LEAST, 1.0)
