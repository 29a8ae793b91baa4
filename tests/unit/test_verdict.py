"""The books and the judgement, from records to sentences."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.load import record, shard, sharding
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.record import CODE_CANCELLED, CODE_END, CODE_OK, CODE_POOL, EXPECTED, FINAL, RECORD
from replay.load.report import LoadReport, WorkerReport
from replay.load.settle import Settlement
from replay.load.tally import Tally, news
from replay.load.transactions import transactions
from replay.load.verdict import Verdict, in_words, judge
from replay.outcome import LEFT_OUT_ASKED

ORIGIN = 10**12
A, B = "a" * 16, "b" * 16
MS = 1_000_000  # ns


def packed(
    arrival: int,
    ordinal: int = 0,
    *,
    outcome: bytes = CODE_OK,
    flags: int = FINAL,
    template: int = 0,
    due_ms: float = 0,
    began_ms: float | None = None,
    took_ms: float = 1,
    lag_ms: float = 0,
) -> bytes:
    due = ORIGIN + int(due_ms * MS)
    began = due if began_ms is None else ORIGIN + int(began_ms * MS)
    sent = -1 if outcome == CODE_POOL else began
    ended = began + int(took_ms * MS)
    lag = int(lag_ms * MS)
    return RECORD.pack(arrival, ordinal, flags, outcome, template, 0, 99, due, sent, ended, lag, 1)


def attempts(records: Iterable[bytes]) -> pa.Table:
    block = np.frombuffer(b"".join(records), dtype=record.DTYPE)
    return record.to_table(block, 0, (A, B), ORIGIN)


def judged(
    records: list[bytes],
    *,
    boosted: tuple[str, ...] = (),
    shapes: tuple[tuple[str, ...], ...] = ((A,),),
    shape_of: list[int] | None = None,
    left_out: dict[str, int] | None = None,
    left_out_of: int | None = None,
    **changes: object,
) -> Verdict:
    table = attempts(records)
    planned = len(set(table["arrival"].to_pylist()))
    fields: dict[str, object] = {
        "state": "finished",
        "duration_s": 10.0,
        "workers": (WorkerReport(worker=0, state="finished", cpu_share=0.1),),
        "missing": (),
        "expected": np.zeros(planned, dtype=bool),
        **changes,
    }
    report = LoadReport(
        t0_ns=ORIGIN,
        planned=planned,
        lost_workers=(),
        shape_of=np.array(shape_of or [0] * planned),
        shapes=shapes,
        **fields,  # type: ignore[arg-type]
    )
    return judge(
        transactions(table.slice(begin, 7) for begin in range(0, len(table), 7)),
        planned=planned,
        report=report,
        objective_ms=250,
        boosted=boosted,
        left_out=left_out,
        left_out_of=left_out_of,
    )


def test_a_good_run_is_valid_and_healthy() -> None:
    verdict = judged([packed(n, due_ms=n) for n in range(200)])
    assert (verdict.valid, verdict.healthy) == (True, True)
    assert verdict.objective["p95_ms"] == pytest.approx(1.0)
    assert "planned 200 = started 200 + skipped 0" in next(iter(in_words(verdict)))


def test_latency_runs_from_due_over_the_whole_transaction() -> None:
    waited = packed(0, 0, flags=0, due_ms=0, began_ms=30, took_ms=10, lag_ms=5)
    verdict = judged([waited, packed(0, 1, due_ms=40, took_ms=60)])
    assert verdict.objective["p50_ms"] == pytest.approx(100)
    assert verdict.objective["pool_wait_p95_ms"] == pytest.approx(25)  # not what we were late


@pytest.mark.parametrize("outcome", [CODE_POOL, CODE_CANCELLED, b"57014"])
def test_what_got_no_answer_is_not_fast(outcome: bytes) -> None:
    stuck = [packed(n, outcome=outcome, took_ms=3000) for n in range(20)]
    verdict = judged([*stuck, *(packed(n) for n in range(20, 200))])
    assert verdict.objective["p95_ms"] == pytest.approx(3000)
    assert verdict.objective["not_ok_share"] == pytest.approx(0.1)
    assert not verdict.healthy


def test_what_never_came_due_is_neither_quick_nor_failed() -> None:
    slow = [packed(n, took_ms=300) for n in range(100)]
    never = [packed(n, outcome=CODE_END, due_ms=n, took_ms=0) for n in range(100, 1000)]
    verdict = judged([*slow, *never], state="interrupted")
    assert verdict.accounting.skipped == 900
    assert verdict.objective["p50_ms"] == pytest.approx(300)
    assert verdict.objective["not_ok_share"] == 0
    assert not verdict.valid


def test_errors_that_production_had_are_not_held_against_the_service() -> None:
    wrong = [packed(n, outcome=b"23505", flags=FINAL | EXPECTED) for n in range(50)]
    records = [*wrong, *(packed(n) for n in range(50, 200))]
    assert not judged(records).healthy
    verdict = judged(records, expected=np.arange(200) < 50)
    assert verdict.healthy
    assert verdict.accounting.failed == 50
    assert verdict.generator["expected_errors"] == 50


def test_a_boosted_transaction_is_known_even_where_it_was_skipped() -> None:
    slow = [packed(n, outcome=CODE_POOL, took_ms=5000) for n in range(100)]
    verdict = judged(
        [*slow, *(packed(n) for n in range(100, 200))],
        boosted=(B,),
        shapes=((A, B), (A,)),  # the record of a skipped one names A alone
        shape_of=[0] * 100 + [1] * 100,
    )
    assert verdict.healthy
    assert verdict.accounting.skipped == 100


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": "interrupted"}, "the run was interrupted"),
        ({"missing": ("worker 1 was lost",)}, "worker 1 was lost"),
        ({"duration_s": 2.0}, "2 s of load"),
        ({"workers": (WorkerReport(worker=0, state="finished", cpu_share=0.9),)}, "90% of a core"),
        (
            {
                "workers": (
                    WorkerReport(worker=0, state="finished", lost_connections=5, reconnections=3),
                )
            },
            "2 sessions were lost",
        ),
    ],
)
def test_a_run_that_cannot_be_believed_says_why(changes: dict[str, object], why: str) -> None:
    verdict = judged([packed(n) for n in range(200)], **changes)
    assert not verdict.valid
    assert why in " ".join(verdict.why_not)


@pytest.mark.parametrize(
    ("left_out", "valid"),
    [
        ({"copy": 50}, True),
        ({"copy": 40, "listen": 20}, False),
        ({"session_setting": 900}, True),
        ({"session_reset": 900}, True),
        ({LEFT_OUT_ASKED: 900, "copy": 40}, True),
    ],
)
def test_a_run_that_leaves_out_much_of_production_is_not_valid(
    left_out: dict[str, int], valid: bool
) -> None:
    verdict = judged([packed(n) for n in range(200)], left_out=left_out)
    assert verdict.valid is valid
    if not valid:
        assert "23% of production's transactions are not replayed" in verdict.why_not[0]


def test_what_a_ramp_leaves_out_is_a_share_of_all_its_steps() -> None:
    ended_early = [packed(n) for n in range(200)]
    assert judged(ended_early, left_out={"copy": 90}, left_out_of=2000).valid
    assert not judged(ended_early, left_out={"copy": 900}, left_out_of=2000).valid


def test_too_few_transactions_carry_no_verdict() -> None:
    assert "99 transactions finished" in judged([packed(n) for n in range(99)]).why_not[0]


@pytest.mark.parametrize(("late", "valid"), [(2, True), (4, False)])
def test_lateness_of_our_own_is_allowed_to_one_in_a_hundred(late: int, valid: bool) -> None:
    records = [packed(n, lag_ms=120 if n < late else 1) for n in range(300)]
    assert judged(records).valid is valid


outcomes = st.sampled_from([CODE_OK, b"40P01", b"lost", CODE_CANCELLED, CODE_POOL, b"end"])


@given(st.lists(outcomes, min_size=1, max_size=40))
def test_the_identities_hold_for_any_outcomes(drawn: list[bytes]) -> None:
    books = judged([packed(n, outcome=code) for n, code in enumerate(drawn)]).accounting
    assert books.planned == books.started + books.skipped == len(drawn)
    assert books.started == books.ok + books.failed + books.cancelled
    assert books.ok == drawn.count(CODE_OK)


def test_books_that_do_not_balance_are_a_fault_of_ours() -> None:
    table = attempts([packed(0)])
    report = LoadReport(
        state="finished",
        t0_ns=0,
        duration_s=1,
        planned=2,
        workers=(),
        lost_workers=(),
        missing=(),
        expected=np.zeros(2, dtype=bool),
        shape_of=np.array([0, 0]),
        shapes=((A,),),
    )
    with pytest.raises(AssertionError):
        judge(transactions([table]), planned=2, report=report, objective_ms=1, boosted=())


def test_settling_gives_every_arrival_exactly_one_end(tmp_path: Path) -> None:
    def planned(due_us: int) -> PlannedTransaction:
        return PlannedTransaction(
            due_us=due_us,
            statements=tuple(
                PlannedStatement(template=name, sql="SELECT 1", prepared=None, values=())
                for name in (A, B)
            ),
        )

    sharding.write_shards(tmp_path, [planned(n) for n in range(6)], workers=2)
    cut_off = packed(0, 0, flags=0) + packed(2, 0, flags=0) + packed(2, 1)
    file = record.records_file(tmp_path, 0)
    file.write_bytes(cut_off + b"half a record")
    (written,) = record.read_records(file)
    seen = np.zeros(6, np.uint8)
    settlement = Settlement(
        shard.read_arrivals(tmp_path), shard.read_index(tmp_path), 0, ORIGIN, seen
    )
    for part in (written[:2], written[2:]):  # a transaction may stand in two blocks
        settlement.add(part)
    settled = np.concatenate([written, *settlement.lacking()])
    final = settled[settled["flags"] & FINAL != 0]
    assert sorted(final["arrival"].tolist()) == [0, 2, 4]
    by_arrival = {row["arrival"]: row for row in final}
    assert (by_arrival[0]["ordinal"], by_arrival[0]["outcome"]) == (1, b"cancl")
    assert by_arrival[0]["template"] == 1
    assert (by_arrival[4]["ordinal"], by_arrival[4]["outcome"]) == (0, b"end")
    assert by_arrival[4]["due"] == ORIGIN + 4000


@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 31), min_size=1, max_size=60))
def test_a_tally_is_the_histogram_that_hdrhistogram_would_have_made(took_us: list[int]) -> None:
    tally = Tally(1)
    packs = (packed(n, took_ms=us / 1e3) for n, us in enumerate(took_us))
    records = np.frombuffer(b"".join(packs), dtype=record.DTYPE)
    tally.add(records)
    expected = HdrHistogram(1, (1 << 32) - 1, 3)
    for value in (record_us for record_us in took_us):
        expected.record_value(int(value / 1e3 * MS) // 1000)
    counted = HdrHistogram.decode(tally.histograms(["a"])["latency"]["a"])
    assert counted.get_total_count() == len(took_us)
    for percent in (0, 50, 95, 100):
        assert counted.get_value_at_percentile(percent) == expected.get_value_at_percentile(percent)
    assert sum(len(entry.latencies_ms) for entry in news(records)) == len(took_us)


def test_news_are_by_template_with_what_failed() -> None:
    packs = [
        packed(0, template=1, took_ms=3),
        packed(1, template=0, took_ms=1),
        packed(2, template=1, took_ms=2, outcome=b"40001"),
    ]
    found = list(news(np.frombuffer(b"".join(packs), dtype=record.DTYPE)))
    assert [entry.template for entry in found] == [0, 1]
    assert [entry.latencies_ms.tolist() for entry in found] == [[1.0], [3.0, 2.0]]
    assert [entry.failures for entry in found] == [{}, {"40001": 1}]
