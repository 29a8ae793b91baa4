"""Shards: what is planned is what a worker reads."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.errors import InputError
from replay.load import shard, sharding
from replay.load.cluster import Place
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.tag import tagged, template_of

statements = st.builds(
    PlannedStatement,
    template=st.sampled_from(["a" * 16, "b" * 16]),
    sql=st.sampled_from(["SELECT $1", "SELECT $1, 'ü'", "BEGIN"]),
    prepared=st.sampled_from([None, "", "s1"]),
    values=st.lists(st.none() | st.binary(max_size=20), max_size=4).map(tuple),
    gap_us=st.integers(0, 1 << 40),
    expected_error=st.sampled_from(["", "23505"]),
)
plans = st.lists(
    st.builds(
        PlannedTransaction,
        due_us=st.integers(0, 1 << 45),
        statements=st.lists(statements, min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=20,
).map(lambda found: sorted(found, key=lambda t: t.due_us))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(planned=plans, workers=st.integers(1, 3))
def test_workers_read_together_what_was_planned(
    tmp_path: Path, planned: list[PlannedTransaction], workers: int
) -> None:
    written = sharding.write_shards(tmp_path, planned, workers=workers)
    index = shard.read_index(tmp_path)
    arrivals = [a for worker in range(workers) for a in shard.read_shard(tmp_path, worker)]
    arrivals.sort(key=lambda arrival: arrival.number)
    assert written.transactions == sum(index.planned) == len(arrivals) == len(planned)
    assert written.statements == sum(len(t.statements) for t in planned)
    table = shard.read_arrivals(tmp_path)
    for arrival, transaction in zip(arrivals, planned, strict=True):
        assert arrival.due_us == transaction.due_us == table["due_us"][arrival.number]
        shape = index.shapes[table["shape"][arrival.number]]
        assert shape == tuple(s.template for s in transaction.statements)
        for line, statement in zip(arrival.lines, transaction.statements, strict=True):
            call = index.calls[line.call]
            assert template_of(call.text.decode()) == statement.template
            assert index.templates[call.template] == statement.template
            assert call.text.decode().endswith(statement.sql)
            assert call.simple == (statement.prepared is None)
            assert bool(call.name) == bool(statement.prepared)
            assert (line.bound(), line.gap_us, line.expected) == (
                statement.values,
                statement.gap_us,
                statement.expected_error,
            )


def test_what_is_left_out_is_counted_and_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    left_out = PlannedTransaction(due_us=1, statements=(), left_out="copy")
    kept = PlannedTransaction(due_us=2, statements=(statement,))
    written = sharding.write_shards(tmp_path, [left_out, kept, left_out])
    assert (written.transactions, written.left_out) == (1, {"copy": 2})
    with pytest.raises(InputError, match="copy: 1"):
        sharding.write_shards(tmp_path, [left_out])


def test_of_a_service_only_sessions_of_statements_are_the_databases(tmp_path: Path) -> None:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    asked = [
        PlannedTransaction(due_us=n, statements=(statement,), session=f"s{n}", aside=n > 7)
        for n in range(10)
    ]
    assert sharding.write_shards(tmp_path, asked, aside=True).most_sessions == 2
    assert sharding.write_shards(tmp_path, asked[:8]).most_sessions == 8


def test_of_several_processes_the_first_has_what_runs_aside_too(tmp_path: Path) -> None:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    asked = [
        PlannedTransaction(due_us=n, statements=(statement,), client=f"c{n}", aside=n % 4 == 3)
        for n in range(40)
    ]
    sharding.write_shards(tmp_path, asked, workers=2, only=(0, 2), aside=True)
    assert [shard.shard_file(tmp_path, n).exists() for n in range(3)] == [True, False, True]
    planned = shard.read_index(tmp_path).planned
    assert (sum(planned), planned[2]) == (40, 10)
    first, second = Place(worker=1, workers=2).of_each(planned)
    assert (first, second) == (planned[0] + 10, planned[1])


def test_a_directory_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--workload"):
        shard.read_index(tmp_path)


def test_a_session_stays_on_one_worker(tmp_path: Path) -> None:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    planned = [
        PlannedTransaction(due_us=n, statements=(statement,), session=f"s{n % 20}")
        for n in range(200)
    ]
    sharding.write_shards(tmp_path, planned, workers=3)
    table = shard.read_arrivals(tmp_path)
    workers = {n: set(table["worker"][n::20].tolist()) for n in range(20)}
    assert all(len(of_it) == 1 for of_it in workers.values())
    assert set.union(*workers.values()) == {0, 1, 2}
    for worker in range(3):
        numbers = [arrival.number for arrival in shard.read_shard(tmp_path, worker)]
        assert numbers == np.flatnonzero(table["worker"] == worker).tolist()


def test_a_worker_of_several_writes_its_own_shard_alone(tmp_path: Path) -> None:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    planned = [PlannedTransaction(due_us=n, statements=(statement,)) for n in range(9)]
    sharding.write_shards(tmp_path, planned, workers=3, only=(1,))
    assert [a.number for a in shard.read_shard(tmp_path, 1)] == [1, 4, 7]
    assert not shard.shard_file(tmp_path, 0).exists()
    assert shard.read_index(tmp_path).planned == (3, 3, 3)


def test_a_template_of_countless_texts_keeps_the_index_small(tmp_path: Path) -> None:
    planned = [
        PlannedTransaction(
            due_us=n,
            statements=(
                PlannedStatement(template="a" * 16, sql=f"SELECT {n}", prepared=how, values=()),
            ),
        )
        for n in range(500)
        for how in (None, "s1")
    ]
    sharding.write_shards(tmp_path, planned)
    calls = shard.read_index(tmp_path).calls
    assert len(calls) < 100
    for arrival, transaction in zip(shard.read_shard(tmp_path, 0), planned, strict=True):
        (line,) = arrival.lines
        call = calls[line.call].with_text(line.text) if line.text else calls[line.call]
        (statement,) = transaction.statements
        assert call.text.decode() == tagged(statement.sql, "a" * 16)
        assert call.simple == (statement.prepared is None)
        assert not (line.text and call.name)
