"""`capture --all`: every transaction is kept, from a vault on disk, and read back as a stream."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_log import Log
from made_run import workload

from replay import bundle
from replay.capture import Captured, Options, capture, everything
from replay.capture.merge import merge
from replay.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    log = Log()
    for number in range(700):
        pid = 7 + number % 5
        log.ran("BEGIN", pid=pid)
        log.ran(f"UPDATE t SET a = {number} WHERE id = {number % 9}", pid=pid)
        log.ran("COMMIT", pid=pid)
        log.ran("SELECT $1", pid=pid)
    return log.write(tmp_path / "server.json")


def captured(file: Path, **options: object) -> Captured:
    return capture([file], asked=None, key=b"k", options=Options(**options))  # type: ignore[arg-type]


def test_everything_is_what_a_sample_without_limit_would_be(file, monkeypatch):
    monkeypatch.setattr(everything, "_SPILLED", 10_000)  # so that most of it goes to disk
    whole = captured(file, everything=True).workload
    sample = captured(file, per_stratum=1 << 20).workload
    assert len(whole.transactions) == 1400
    assert tuple(whole.transactions) == tuple(sample.transactions)
    assert {t.weight for t in whole.transactions} == {1.0}
    assert whole.templates == sample.templates
    assert (whole.manifest.everything, len(whole.places)) == (True, 0)


def test_a_session_begins_when_its_name_says(file):
    (begun,) = {t.session_us for t in captured(file).workload.transactions}
    assert begun is not None
    assert -1_000_000 <= begun <= 0


def test_everything_is_read_back_as_a_stream(tmp_path):
    made = workload()
    odd = replace(made.transactions[1], statements=())  # one of whose statements none is told
    made = replace(
        made,
        manifest=replace(made.manifest, everything=True),
        transactions=(made.transactions[0], odd, *made.transactions[2:]),
    )
    bundle.write(tmp_path / "x.workload", made, None)
    found = bundle.read(tmp_path / "x.workload")
    assert not isinstance(found.transactions, tuple)
    assert tuple(found.transactions) == made.transactions == tuple(found.transactions)


def test_everything_and_a_sample_are_not_merged(file):
    parts = {
        "a.workload": captured(file, everything=True).workload,
        "b.workload": captured(file).workload,
    }
    with pytest.raises(InputError, match="--all in one call"):
        merge(parts)
