"""Two snapshots and what was counted between them; what the counters lost is said."""

import pytest

from replay.capture import snapshot
from replay.capture.snapshot import Snapshot, between
from replay.capture.statements import Counted
from replay.errors import InputError
from replay.workload import Counters, Source

HERE = Source(server_version="18.1", database="shop", system_identifier="7")


def entry(query_id, calls, rows=0, since_us=None):
    return Counted(
        query_id=query_id,
        text=f"select {query_id}",
        counters=Counters(
            calls=calls, total_ms=calls * 2.0, rows=rows, shared_hit=calls * 3, wal_bytes=calls * 5
        ),
        since_us=since_us,
    )


def taken(at, *entries, since=0, evictions=0, source=HERE):
    return Snapshot(
        source=source, taken_us=at, counted_since_us=since, evictions=evictions, entries=entries
    )


def calls(window):
    counted = {one.query_id: one.counters for one in window.entries}
    assert all((c.shared_hit, c.wal_bytes) == (c.calls * 3, c.calls * 5) for c in counted.values())
    return {query_id: (c.calls, c.total_ms, c.rows) for query_id, c in counted.items()}


def test_figures_are_differences_and_what_did_not_run_is_left_out():
    first = taken(100, entry(1, 10, rows=5), entry(2, 3))
    last = taken(200, entry(1, 15, rows=9), entry(2, 3), entry(3, 1))
    window = between(first, last)
    assert calls(window) == {1: (5, 10.0, 4), 3: (1, 2.0, 0)}
    assert (window.begin_us, window.end_us, window.notes) == (100, 200, ())


def test_a_reset_between_is_noticed_and_the_window_begins_with_it():
    window = between(taken(100, entry(1, 10)), taken(200, entry(1, 15), since=150))
    assert calls(window) == {1: (15, 30.0, 0)}
    assert window.begin_us == 150
    assert ["was reset" in note for note in window.notes] == [True]


def test_evictions_between_are_noticed():
    first = taken(100, entry(1, 10), entry(2, 5), entry(3, 5), evictions=2)
    last = taken(200, entry(1, 4), entry(3, 9, since_us=150), evictions=4)
    window = between(first, last)
    assert calls(window) == {1: (4, 8.0, 0), 3: (9, 18.0, 0)}
    assert "evicted entries 2 times between" in window.notes[0]
    assert "2 entries began anew" in window.notes[1]
    assert "1 are gone" in window.notes[1]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (taken(100), "swap them"),
        (taken(200, source=Source(database="other", system_identifier="7")), "two databases"),
        (taken(200, source=Source(database="shop", system_identifier="8")), "two databases"),
    ],
)
def test_snapshots_that_make_no_window_are_refused(last, told):
    with pytest.raises(InputError, match=told):
        between(taken(100), last)


def test_a_snapshot_is_read_as_it_was_written(tmp_path):
    made = taken(100, entry(1, 10, rows=5, since_us=3), entry(2, 1))
    snapshot.write(tmp_path / "s.json", made)
    assert snapshot.read(tmp_path / "s.json") == made


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"kind": "run"}',
        '{"kind": "snapshot", "version": 9}',
        '{"kind": "snapshot", "version": 1, "snapshot": {}}',
        '{"kind": "snapshot", "version": 2, "snapshot": {}}',
    ],
)
def test_another_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match=r"s\.json"):
        snapshot.read(tmp_path / "s.json")
    with pytest.raises(InputError, match="replay snapshot"):
        snapshot.read(tmp_path / "absent.json")
