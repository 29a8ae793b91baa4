"""The quick core against the plain one: logs by chance, in blocks so small that all crosses them."""

import os
import random
import signal
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_oracle import Oracle, Record, as_csv, as_json
from made_traffic import by_chance, logs

from replay.capture import Options, capture
from replay.capture.digest import Filters
from replay.capture.executions import NONE
from replay.capture.formats import Hints
from replay.capture.inputs import find_inputs, server_logs
from replay.capture.reading import Reading
from replay.capture.slots import NOWHERE
from replay.capture.stored import stored
from replay.capture.team import WAITING, Dealing
from replay.capture.workers import digesting
from replay.errors import EnvironmentFaultError
from replay.workload import Workload

ALL = 100_000  # k that keeps every unit
WRITERS = {"jsonlog": as_json, "csvlog": as_csv}

slow = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@contextmanager
def written(records: list[Record], form: str):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.log"
        path.write_bytes(b"".join(map(WRITERS[form], records)))
        yield path


def read(path: Path, block: int, k: int = ALL) -> Reading:
    reading = Reading(filters=Filters(), seed=1, k=k)
    inputs = find_inputs([path], server_logs(Hints())).inputs
    with mock.patch("replay.capture.blocks._BLOCK", block), digesting(inputs, Filters()) as digests:
        reading.read(digests)
    return reading


def told(records: list[Record]) -> Oracle:
    oracle = Oracle()
    for record in records:
        oracle.take(record)
    oracle.finish()
    return oracle


def units_of(reading: Reading) -> Counter:
    numbers, weights = reading.sampler.kept()
    assert (weights == 1).all()
    ids = [template.id for template in reading.registry.templates]
    states = [*reading.registry.states, ""]
    found = Counter()
    for unit in stored(reading.store.batch(numbers)) if numbers.size else ():
        executions = tuple(
            (ids[e.template], e.start_us, e.spent_us, states[e.state if e.state != NONE else -1])
            for e in unit.executions
        )
        found[unit.session.decode(), executions] += 1
    return found


def units_told(oracle: Oracle) -> Counter:
    return Counter(
        (name, tuple((e.template, e.start_us, e.spent_us, e.state) for e in unit))
        for name, unit in oracle.units
    )


def figures_of(reading: Reading) -> dict:
    figures = reading.tally.by_template(len(reading.registry.templates))
    states = reading.registry.states
    return {
        template.id: (
            (of.calls, of.errors, of.untimed, of.total_us, of.first_us, of.last_us),
            {states[state]: errors for state, errors in of.states.items()},
        )
        for template, of in zip(reading.registry.templates, figures, strict=True)
        if of.calls
    }


def figures_told(oracle: Oracle) -> dict:
    return {
        template: (
            (of.calls, of.errors, of.untimed, of.total_us, of.first_us, of.last_us),
            dict(of.states),
        )
        for template, of in oracle.figures.items()
    }


@slow
@given(logs(), st.sampled_from(sorted(WRITERS)), st.sampled_from([200, 700, 4000, 1 << 20]))
def test_counts_and_units_are_those_of_one_record_after_the_other(records, form, block):
    oracle = told(records)
    with written(records, form) as path:
        reading = read(path, block)
    assert figures_of(reading) == figures_told(oracle)
    assert units_of(reading) == units_told(oracle)
    assert reading.sessions.units == len(oracle.units)
    assert reading.sessions.sessions == len(oracle.sessions)
    assert reading.records == len(records)
    assert reading.tally.executions == sum(of.calls for of in oracle.figures.values())


def workload(paths: Sequence[Path], block: int, *, k: int = 3, jobs: int = 1) -> Workload:
    with mock.patch("replay.capture.blocks._BLOCK", block):
        return capture(
            paths, asked=None, key=b"k", options=Options(per_stratum=k, jobs=jobs)
        ).workload


@pytest.mark.parametrize("form", sorted(WRITERS))
@pytest.mark.parametrize("seed", range(4))
def test_the_workload_is_the_same_whatever_the_blocks(seed, form):
    records = by_chance(random.Random(seed), processes=4, actions=40)
    with written(records, form) as path:
        whole = workload([path], 1 << 23)
        assert 20 < len(whole.transactions) < whole.manifest.transactions
        for block in (300, 5000, 20_000):
            assert workload([path], block) == whole


@pytest.mark.parametrize("seed", range(8))
def test_long_logs_of_many_sessions_are_what_the_oracle_says(seed):
    rng = random.Random(seed)
    records = by_chance(rng, processes=9, actions=60, jumps=seed % 2 == 0)
    oracle = told(records)
    with written(records, rng.choice(sorted(WRITERS))) as path:
        reading = read(path, rng.choice([3000, 30_000]))
    assert figures_of(reading) == figures_told(oracle)
    assert units_of(reading) == units_told(oracle)


def test_the_workload_is_the_same_whatever_the_jobs(tmp_path):
    for number in range(2):
        records = by_chance(random.Random(number), processes=6, actions=80)
        (tmp_path / f"{number}.csv").write_bytes(b"".join(map(as_csv, records)))
    one = workload([tmp_path], 20_000)
    for jobs in (2, 3):
        assert workload([tmp_path], 20_000, jobs=jobs) == one


class Fake:
    """A helper that holds three blocks at most, and is ready when chance says so."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        self.at_work: deque[object] = deque()
        self._chance = chance

    def is_free(self, most: int) -> bool:
        return len(self.at_work) < most

    def give(self, slot: int, order: object) -> None:
        assert self.is_free(3)
        assert slot != NOWHERE
        self.at_work.append((self.number, order))

    def is_ready(self) -> bool:
        return self._chance.random() < 0.3

    def take(self) -> object:
        return self.at_work.popleft()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_made_comes_in_the_pieces_order_each_from_whom_the_piece_was_given_to(seed):
    chance = random.Random(seed)
    team = [Fake(number, chance) for number in range(1, chance.choice([2, 3, 4]))]
    taken = 0

    def pieces() -> Iterator[SimpleNamespace]:
        nonlocal taken
        for taken in range(1, 41):
            slot = NOWHERE if taken % 7 == 0 else taken  # those are too long
            yield SimpleNamespace(data=taken - 1, slot=slot)

    seen = []
    told = (lambda: 40 - taken,) if seed % 3 else ()
    dealing = Dealing(pieces(), lambda one: (0, one.data), team, lambda one: one.data, *told)
    if seed % 2:
        dealing.begin()
        assert all(not one.is_free(3) for one in team)
    for number, piece, made in dealing:
        assert made == (number, piece.data)
        seen.append(piece.data)
        if told and len(seen) > 40 - len(
            team
        ):  # nobody holds one of the last that another could make
            assert all(len(one.at_work) <= 1 for one in team)
        assert taken - len(seen) <= WAITING * len(team)
    assert seen == list(range(40))
    assert not any(one.at_work for one in team)


def test_a_helper_that_is_killed_is_told_of(tmp_path):
    records = by_chance(random.Random(1), processes=6, actions=80)
    (tmp_path / "a.csv").write_bytes(b"".join(map(as_csv, records)))

    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        mock.patch("replay.capture.workers._work", killed),
        pytest.raises(EnvironmentFaultError, match=r"exit code -9\), for want of memory perhaps"),
    ):
        workload([tmp_path], 20_000, jobs=2)


def overlong(count: int) -> list[Record]:
    """A transaction of so many statements, with a rare one near its end, and one that never ends."""
    sql = ["BEGIN", *["SELECT 1"] * count, "DELETE FROM rare", *["SELECT 1"] * 9, "COMMIT"]
    left_open = ["BEGIN", *["SELECT 1"] * count]
    at_us = 1_772_366_400_000_000
    return [
        Record(
            pid=pid,
            session=0,
            line=line,
            at_us=at_us + line * 1000,
            message=f"duration: 0.100 ms  statement: {text}",
        )
        for pid, texts in ((7, sql), (8, left_open))
        for line, text in enumerate(texts, 1)
    ]


@pytest.mark.parametrize("block", [4000, 1 << 23])
@pytest.mark.parametrize(("limit", "most"), [("UNIT_AT_MOST", 100), ("UNIT_BYTES_AT_MOST", 40_000)])
def test_of_an_overlong_transaction_a_part_is_kept_and_no_template_lost(block, limit, most):
    with (
        written(overlong(500), "jsonlog") as path,
        mock.patch(f"replay.capture.held.{limit}", most),
    ):
        found = workload([path], block, k=10)
        assert workload([path], 3000, k=10) == found
    ended, left_open = (
        [statement.sql for statement in transaction.statements]
        for transaction in sorted(found.transactions, key=lambda t: "commit" not in repr(t))
    )
    assert ended[:2] == left_open[:2] == ["begin", "select $1"]
    assert ended[-2:] == ["delete from rare", "commit"]
    assert len(left_open) == len(ended) - 2
    assert 50 < len(ended) < 200
    beyond = 1013 - len(ended) - len(left_open)
    assert found.manifest.executions == 1013
    assert f"{beyond} executions of overlong transactions are counted" in found.manifest.notes[0]


def test_sessions_are_counted_in_the_window_alone():
    records = overlong(3)
    with written(records, "jsonlog") as path:
        reading = Reading(filters=Filters(), seed=1, k=9, begin_us=records[-1].at_us + 10**9)
        with digesting(find_inputs([path], server_logs(Hints())).inputs, Filters()) as digests:
            reading.read(digests)
    assert (reading.sessions.sessions, reading.sessions.units, reading.tally.executions) == (
        0,
        0,
        0,
    )
