"""The parts of capture by themselves: template look-up, tallies, concurrency, joins with counters."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.capture.concurrency import Concurrency
from replay.capture.rarity import is_rare
from replay.capture.statements import Counted, join
from replay.capture.tally import Tally, duration_buckets
from replay.capture.templates import Templates, effect_of, mask
from replay.capture.transactions import FAILED
from replay.sql.fingerprint import fingerprint
from replay.workload import Template, duration_bucket

# Pieces that make literals hard to find, when they are put side by side.
PIECES = [
    "select",
    "from t",
    "where a =",
    "in (1, 2)",
    "'x'",
    "'it''s'",
    "'",
    '"a b 1"',
    '"it\'s"',
    '"t1"',
    "/* 'c */",
    "/*",
    "*/",
    "-- x\n",
    "\n",
    "E'\\''",
    "$$ 'b' $$",
    "$1",
    "$q$",
    "12",
    "1.5",
    "1e5",
    "-3",
    "t1",
    ",",
    ";",
    "null",
    "'--'",
    "'/*'",
]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(" ".join)


@settings(deadline=None, max_examples=500)
@given(st.lists(texts, min_size=2, max_size=60), st.integers(0, 2))
def test_quick_look_up_finds_what_the_fingerprint_says(found, query_id):
    templates = Templates()
    for text in found * 12:  # patterns are learned on the way
        assert templates.of(text, query_id).id == fingerprint(text).id


@settings(deadline=None)
@given(st.integers(0, 10**6), st.from_regex(r"\A[^'\\]{0,20}\Z"), st.integers(0, 10**6))
def test_statements_that_differ_in_literals_cost_one_fingerprint(number, text, other):
    assert mask(f"SELECT a1 FROM t WHERE b = {number} AND c = '{text}' /* {other} */") == (
        "SELECT a1 FROM t WHERE b = ? AND c = ?"
        if not {"--", "/*", "$"} & {text[i : i + n] for n in (1, 2) for i in range(len(text))}
        else mask(f"SELECT a1 FROM t WHERE b = {number} AND c = '{text}'")
    )


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("begin isolation level serializable", 1),
        ("start transaction", 1),
        ("commit", 2),
        ("end", 2),
        ("abort", 2),
        ("prepare transaction ?", 2),
        ("rollback and chain", 3),
        ("commit and no chain", 2),
        ("rollback to savepoint s", 0),
        ("rollback prepared ?", 0),
        ('select ";commit"', 0),
        ("begin; select ?", 1),
        ("begin; select ?; commit", 2),
        ("commit; begin", 3),
        ("create function f() returns int begin atomic select ?; end", 0),
        ("beginning", 0),
    ],
)
def test_what_a_statement_does_to_its_transaction(sql, effect):
    assert effect_of(sql) == effect


times = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 90)).map(lambda t: (t[0], t[0] + t[1])),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(times, st.integers(1, 10))
def test_peak_is_what_counting_at_every_start_gives(found, parts):
    """In units of a second, so that the sweep's minute behind matters."""
    found.sort(key=lambda t: t[1])
    concurrency = Concurrency()
    for part in np.array_split(np.array(found, np.int64) * 1_000_000, parts):
        concurrency.add(part[:, 0], part[:, 1])
    exact = max(sum(s <= at < e for s, e in found) for at, _ in found)
    short = [t for t in found if t[1] - t[0] <= 60]
    least = max((sum(s <= at < e for s, e in short) for at, _ in short), default=0)
    assert least <= concurrency.peak() <= exact
    if len(short) == len(found):
        assert concurrency.peak() == exact


@given(st.lists(st.integers(0, 2**45), min_size=1))
def test_buckets_of_a_block_are_those_of_each(durations):
    assert duration_buckets(np.array(durations)).tolist() == list(map(duration_bucket, durations))


def test_tallies_are_exact_over_blocks_and_coarser_bins():
    rng = np.random.default_rng(1)
    tally = Tally()
    calls: Counter[int] = Counter()
    errors: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for number in range(150_000):
        variant, duration_us = int(rng.integers(3)), int(rng.integers(1, 5000))
        failed = duration_us > 4900
        tally.add(variant, 10**15 + number * 50_000, FAILED if failed else duration_us)
        calls[variant // 2] += 1
        errors[variant // 2] += failed
        total[variant // 2] += 0 if failed else duration_us
    figures = tally.by_template([(0, 11), (0, 12), (1, 11)], 2)
    for number, of in enumerate(figures):
        assert (of.calls, of.errors) == (calls[number], errors[number])
        assert of.total_us == total[number]
        assert sum(of.histogram.values()) == of.calls - of.errors
        slices = tally.slices(of.bins)
        assert sum(count for _, count in slices) == of.calls
        assert 50 <= len(slices) <= 60
    assert set(figures[0].query_ids) == {11, 12}
    assert figures[0].first_us <= 10**15 + 2_000_000
    assert tally.slice_s() == pytest.approx(150_000 * 0.05 / 60, rel=0.1)


@pytest.mark.parametrize(
    ("calls", "slices_seen", "kind", "rare"),
    [
        (9, 9, "select", True),  # under 1e-4
        (10, 16, "select", False),  # 1e-4, in more than a quarter of the slices
        (10, 15, "select", True),
        (99, 15, "update", True),
        (100, 1, "update", False),
        (1, 1, "rollback", False),
    ],
)
def test_rare_is_few_calls_or_few_and_far_between(calls, slices_seen, kind, rare):
    assert rare == is_rare(
        kind=kind, calls=calls, executions=100_000, slices_seen=slices_seen, slices=60
    )


def template(sql: str, *query_ids: int) -> Template:
    found = fingerprint(sql)
    return Template(
        id=found.id,
        sql=found.sql,
        kind=found.kind,
        tables=found.tables,
        calls=10,
        errors=0,
        total_ms=1.0,
        query_ids=tuple((query_id, 5) for query_id in query_ids),
    )


def counted(query_id: int, text: str, calls: int = 3) -> Counted:
    return Counted(query_id=query_id, text=text, calls=calls, total_ms=2.0, rows=7)


def test_counters_join_by_query_id_then_by_text_and_the_rest_is_kept():
    shown = [
        template("SELECT extract(epoch FROM a) FROM t WHERE b = 5", 1),
        template("UPDATE t SET a = $1", 2),
        template("SELECT 1; SELECT 2", 3),
    ]
    joined = join(
        shown,
        [
            counted(
                99, "SELECT extract($1 FROM a) FROM t WHERE b = $2"
            ),  # another id, the same text
            counted(1, "SELECT extract($1 FROM a) FROM t WHERE b = $2"),
            counted(2, "UPDATE t SET a = $1"),
            counted(7, "DELETE FROM t WHERE id IN ($1 /*, ... */)"),
            counted(8, "DELETE FROM t WHERE id IN ($1, $2, $3)"),
            counted(9, "/*replay:0123456789abcdef*/ SELECT c FROM t"),
            counted(10, "SELECT mine FROM t WHERE a = $1"),
        ],
        {"select mine from t where a = ?"},
    )
    assert [(t.source, t.rows, t.calls) for t in joined] == [
        ("both", 14, 10),
        ("both", 7, 10),
        ("log", None, 10),
        ("statements", 14, 6),
    ]
    assert joined[-1].sql == "delete from t where id in ($1, ...)"
    assert (joined[-1].kept, joined[-1].query_ids) == (0, ((7, 3), (8, 3)))
