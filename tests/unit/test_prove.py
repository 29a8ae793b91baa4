"""A proof's replays: what cannot be believed is made once more, in a place of its own, and no more."""

import contextlib
from types import SimpleNamespace

import pytest

from replay.conduct import prove
from replay.conduct.options import RunOptions


@pytest.mark.parametrize(
    ("valid", "runs"),
    [([True], 1), ([False, True], 2), ([False, False], 2)],
    ids=["believed", "the second", "neither"],
)
def test_a_replay_that_cannot_be_believed_is_made_once_more(monkeypatch, tmp_path, valid, runs):
    outcomes, ran, said = iter(valid), [], []

    def run(_workload, place, _out, _options, **_):
        ran.append(place)
        return SimpleNamespace(valid=next(outcomes), why_not=("late",))

    numbers = iter(range(9))

    @contextlib.contextmanager
    def place():
        yield f"place {next(numbers)}"

    monkeypatch.setattr(prove, "run", run)
    prove._without_it(tmp_path, place, tmp_path / "a.run", RunOptions(), said.append)
    assert ran == [f"place {number}" for number in range(runs)]
    assert said[:1] == ([] if valid[0] else ["again       late"])
