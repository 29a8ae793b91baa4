"""Arrivals: pure arithmetic, so that a table of kept transactions says all."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_manifest import manifest_of

from replay.errors import InputError
from replay.load import schedule
from replay.workload import Statement, Transaction, Workload

WINDOW_S = 10.0


def workload(*kept: tuple[float, str]) -> Workload:
    """Transactions of one statement each: (weight, template)."""
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    return Workload(
        manifest=manifest_of(begin, WINDOW_S),
        templates=(),
        transactions=tuple(
            Transaction(
                id=number,
                session="",
                start_us=number,
                weight=weight,
                shape="",
                statements=(statement(template),),
            )
            for number, (weight, template) in enumerate(kept)
        ),
    )


def statement(template: str, sql: str = "SELECT 1", **fields: object) -> Statement:
    defaults: dict[str, object] = {
        "slots": "",
        "values": (),
        "prepared": None,
        "offset_us": 0,
        "duration_us": 0,
        **fields,
    }
    return Statement(template=template, sql=sql, **defaults)  # type: ignore[arg-type]


def drawn(source: Workload, seed: int = 1, **options: object) -> list[tuple[int, str]]:
    chosen = {"rate": 1.0, "boosts": {}, "duration_s": 100.0, **options}
    rng = np.random.default_rng(seed)
    return [
        (due_us, transaction.statements[0].template)
        for due_us, transaction in schedule.mix(source, rng=rng, **chosen)  # type: ignore[arg-type]
    ]


@given(
    weights=st.lists(st.floats(0.1, 500), min_size=1, max_size=5),
    rate=st.floats(0.1, 5),
    duration_s=st.floats(0.01, 20),
    seed=st.integers(0, 1 << 32),
)
def test_due_times_never_fall_and_stay_inside(
    weights: list[float], rate: float, duration_s: float, seed: int
) -> None:
    source = workload(*((weight, "a") for weight in weights))
    dues = [due for due, _ in drawn(source, seed, rate=rate, duration_s=duration_s)]
    assert all(before <= after for before, after in pairwise(dues))
    assert all(0 <= due < duration_s * 1e6 for due in dues)


def test_same_seed_same_arrivals() -> None:
    source = workload((100, "a"), (10, "b"))
    assert drawn(source, 7) == drawn(source, 7)
    assert drawn(source, 7) != drawn(source, 8)


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_each_arrives_at_its_weight_times_the_rate(rate: float) -> None:
    names = [name for _, name in drawn(workload((400, "a"), (100, "b")), rate=rate)]
    for name, weight in (("a", 400), ("b", 100)):
        expected = weight / WINDOW_S * 100 * rate
        assert names.count(name) == pytest.approx(expected, abs=5 * expected**0.5)


def test_a_boost_raises_its_own_template_alone() -> None:
    source = workload((400, "a"), (4, "b"))
    names = [name for _, name in drawn(source, boosts={"b": 50.0})]
    assert names.count("a") == pytest.approx(4000, abs=5 * 4000**0.5)
    assert names.count("b") == pytest.approx(2000, abs=5 * 2000**0.5)


def test_gaps_vary_as_poisson_arrivals_do() -> None:
    gaps = np.diff([due for due, _ in drawn(workload((1000, "a")))])
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)


def test_what_can_never_arrive_is_an_error() -> None:
    with pytest.raises(InputError, match="rate above 0"):
        drawn(workload((100, "a")), rate=0.0)


def test_a_plan_keeps_the_clients_own_time_between_statements() -> None:
    kept = Transaction(
        id=0,
        session="",
        start_us=0,
        weight=1,
        shape="",
        statements=(
            statement("a", "BEGIN", duration_us=100),
            statement("b", "SELECT $1", slots="p", values=("x",), prepared="", offset_us=350),
            statement("c", "COMMIT", offset_us=340, error="40001"),
        ),
    )
    planned = schedule.plan(5, kept, ((), ("ü",), ()))
    assert planned.due_us == 5
    assert [s.gap_us for s in planned.statements] == [0, 250, 0]  # a gap is never negative
    assert planned.statements[1].values == ("ü".encode(),)
    assert planned.statements[2].expected_error == "40001"


def test_a_transaction_that_holds_what_is_refused_is_left_out_whole() -> None:
    kept = Transaction(
        id=0,
        session="",
        start_us=0,
        weight=1,
        shape="",
        statements=(statement("a", "BEGIN"), statement("b", "COPY t FROM STDIN")),
    )
    planned = schedule.plan(5, kept, ((), ()))
    assert (planned.left_out, planned.statements) == ("copy", ())
