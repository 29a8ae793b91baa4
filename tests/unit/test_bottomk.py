"""The k smallest ranks of every stratum: of whole units, in whatever order and company they come."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_log import Log

from replay.capture import Options, capture
from replay.capture.bottomk import BottomK

# A unit's offers: stratum and rank; ranks of different units differ.
offers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=8)


@given(st.lists(offers, max_size=30), st.integers(1, 3), st.integers(1, 10), st.randoms())
def test_the_smallest_ranks_stay_whatever_the_order(units, k, together, draw):
    expected = defaultdict(dict)
    for unit, offered in enumerate(units):
        for stratum, rank in offered:
            full = rank * 1000 + unit
            expected[stratum][unit] = min(full, expected[stratum].get(unit, full))
    group = BottomK(k)
    order = list(range(len(units)))
    draw.shuffle(order)
    for start in range(0, len(order), together):
        rows = [(s, r * 1000 + u, u) for u in order[start : start + together] for s, r in units[u]]
        strata, ranks, of = (np.array(column) for column in zip(*rows, strict=True))
        ranks = ranks.astype(np.uint64)
        places = group.wanted(strata, ranks, of)
        group.offer(strata[places], ranks[places], of[places])
        if draw.random() < 0.5:
            group.settle()
    ranks, units_of, strata = group.places()
    assert [
        (stratum, list(zip(ranks[begin:end].tolist(), units_of[begin:end].tolist(), strict=True)))
        for stratum, begin, end in strata
    ] == [
        (stratum, sorted((rank, unit) for unit, rank in expected[stratum].items())[: k + 1])
        for stratum in sorted(expected)
    ]


def test_a_loop_leaves_room_for_other_units_of_its_template(tmp_path):
    log = Log()
    log.ran("BEGIN")
    for number in range(300):
        log.ran(f"SELECT {number}")
    log.ran("COMMIT")
    for pid in range(100, 120):
        log.ran("SELECT 1", pid=pid)
        log.ran("SELECT a FROM t", pid=pid)
    file = log.write(tmp_path / "server.json")
    found = capture([file], asked=None, key=b"k", options=Options(per_stratum=16)).workload
    (loop,) = (t.id for t in found.templates if t.sql == "select ?")
    kept = [t for t in found.transactions if any(s.template == loop for s in t.statements)]
    assert len(kept) >= 16
