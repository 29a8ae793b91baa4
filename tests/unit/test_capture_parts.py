"""The parts of capture by themselves: tallies, concurrency, stores, orders, joins with counters."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_units import Made, units

from replay.capture.concurrency import Concurrency
from replay.capture.executions import (
    AT_ONCE_US,
    HAS_FAILED,
    NONE,
    UNTIMED,
    Executions,
    in_order,
)
from replay.capture.rarity import is_rare
from replay.capture.statements import Counted, join
from replay.capture.store import Store
from replay.capture.stored import stored
from replay.capture.tally import SLICES_AT_MOST, Tally, bucket_of, slices_between
from replay.capture.templates import effect_of
from replay.capture.units import Sources
from replay.sql.fingerprint import fingerprint
from replay.workload import Counters, Template, duration_bucket


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
    """In units of a second, so that the sweep's minute behind matters; asked in between, too."""
    found.sort(key=lambda t: t[1])
    concurrency = Concurrency()
    before = 0
    for part in np.array_split(np.array(found, np.int64) * 1_000_000, parts):
        concurrency.add(part[:, 0], part[:, 1])
        assert before <= concurrency.peak()
        before = concurrency.peak()
    exact = max(sum(s <= at < e for s, e in found) for at, _ in found)
    short = [t for t in found if t[1] - t[0] <= 60]
    least = max((sum(s <= at < e for s, e in short) for at, _ in short), default=0)
    assert least <= concurrency.peak() <= exact
    if len(short) == len(found):
        assert concurrency.peak() == exact


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 2**45), min_size=1))
def test_buckets_of_a_block_are_those_of_each(durations):
    assert [bucket_of(d) for d in durations] == list(map(duration_bucket, durations))


def executed(
    session: list[int], start_us: list[int], spent_us: list[int], **columns: list[int]
) -> Executions:
    """Executions, their columns 0 unless they are given."""
    none = np.zeros(len(session), np.int64)
    given_columns = {name: np.array(values, np.int64) for name, values in columns.items()}
    return Executions(
        **{
            **dict.fromkeys(("template", "duration_us", "query_id", "line", "state"), none),
            **dict.fromkeys(("source", "call"), none),
            **given_columns,
        },
        session=np.array(session, np.int64),
        start_us=np.array(start_us, np.int64),
        spent_us=np.array(spent_us, np.int64),
        lethal=np.zeros(len(session), np.bool_),
    )


@pytest.mark.parametrize("block", [1000, 37])
def test_tallies_are_exact_over_blocks_and_coarser_slices(block):
    rng = np.random.default_rng(1)
    size = 10_000
    template, query_id = rng.integers(0, 3, size), rng.integers(11, 13, size)
    duration_us = rng.integers(1, 5000, size)
    duration_us[duration_us > 4900] = HAS_FAILED
    duration_us[duration_us > 4800] = UNTIMED
    start_us = 10**15 + np.arange(size) * 1_000_000
    state = np.where(duration_us == HAS_FAILED, np.arange(size) % 2, NONE)
    tally = Tally()
    for at in range(0, size, block):
        inside = slice(at, at + block)
        columns = {
            "template": template[inside],
            "query_id": query_id[inside],
            "duration_us": duration_us[inside],
            "state": state[inside],
        }
        count = template[inside].size
        tally.take(executed([0] * count, start_us[inside], np.zeros(count), **columns))
    for number, of in enumerate(tally.by_template(3)):
        mine = template == number
        timed = mine & (duration_us >= 0)
        assert (of.calls, of.errors) == (mine.sum(), (mine & (duration_us == HAS_FAILED)).sum())
        assert of.untimed == (mine & (duration_us == UNTIMED)).sum()
        assert of.total_us == duration_us[timed].sum()
        assert of.histogram == Counter(map(duration_bucket, duration_us[timed].tolist()))
        assert of.query_ids == Counter(query_id[mine].tolist())
        assert of.states == Counter(state[mine & (state != NONE)].tolist())
        assert of.slices == Counter((start_us[mine] // 1_000_000 // tally.slice_s).tolist())
        assert (of.first_us, of.last_us) == (start_us[mine].min(), start_us[mine].max())
    assert (tally.executions, tally.timed) == (size, (duration_us >= 0).sum())
    assert slices_between(tally.begin_us, tally.end_us, tally.slice_s) <= SLICES_AT_MOST
    assert tally.slice_s == 128


def test_a_template_of_many_query_ids_is_counted_whole():
    tally = Tally()
    for start in range(0, 3000, 100):
        ids = list(range(start + 1, start + 101))
        tally.take(executed([0] * 100, [10**15] * 100, [1] * 100, query_id=ids))
    (of,) = tally.by_template(1)
    assert of.calls == 3000
    assert len(of.query_ids) == 1000


def test_slices_hold_any_year():
    tally = Tally()
    tally.take(executed([0, 0], [0, 253_402_300_799_000_000], [0, 0], template=[1, 0]))
    assert [sum(of.slices.values()) for of in tally.by_template(2)] == [1, 1]


spells = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([-40_000, -900, 0, 0, 1, 400, 3000, 10**13, 10**16]),
        st.sampled_from([0, 1, 30, 900, 1999, 2500]),
    ),
    min_size=1,
    max_size=60,
)


@settings(deadline=None)
@given(spells, st.lists(st.integers(0, 10_000), min_size=3, max_size=3), st.booleans())
def test_a_session_runs_one_after_the_other_unless_its_clock_jumps(found, ended_us, decades):
    found = sorted(found, key=lambda spell: spell[0])
    session, steps, spent_us = (list(column) for column in zip(*found, strict=True))
    start_us = (np.cumsum(steps) + 10**15 * decades).tolist()
    expected, ends = [], list(ended_us)
    for code, at_us, took_us in zip(session, start_us, spent_us, strict=True):
        begun_us = ends[code] if at_us < ends[code] <= at_us + AT_ONCE_US else at_us
        expected.append(begun_us)
        ends[code] = begun_us + took_us
    executions = executed(session, start_us, spent_us)
    in_order(executions, np.array(ended_us))
    assert executions.start_us.tolist() == expected


def test_stored_units_come_back_and_the_file_tells_nothing():
    made = [Made(n, "ab" * (n % 3 + 1), start_us=1000 - n) for n in range(50)]
    store, whole = Store(in_memory_at_most=300), Store()
    for one in made:
        assert store.add(units([one]), np.array([0])) == whole.add(units([one]), np.array([0]))
    store.keep(np.arange(50))
    assert store._vault is not None
    store._vault._file.seek(0)
    on_disk = store._vault._file.read()
    assert len(on_disk) > 2000
    assert b"a record" not in on_disk
    found = list(stored(store.batch(np.arange(50))))
    assert found == list(stored(whole.batch(np.arange(50))))
    assert found[7].executions[0].record == b"\0a record"
    assert store.in_order(np.arange(50)).tolist() == list(range(49, -1, -1))
    store.keep(np.array([3, 49]))
    whole.keep(np.array([3, 49]))
    for one in (store, whole):
        assert list(stored(one.batch(np.array([3, 49])))) == [found[3], found[49]]
        assert [n for segment in one._segments for n in segment.numbers.tolist()] == [3, 49]


def test_records_of_earlier_blocks_have_places_of_their_own():
    sources = Sources()
    places = [sources.add(b"\0first"), sources.add(b""), sources.add(b"\0second")]
    assert [sources[place] for place in places] == [b"\0first", b"", b"\0second"]
    assert sources.sizes(np.array(places)).tolist() == [5, 0, 6]
    assert places[1] == NONE


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
    counters = Counters(calls=calls, total_ms=2.0, rows=7, temp_read=1)
    return Counted(query_id=query_id, text=text, counters=counters)


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
    two = Counters(calls=6, total_ms=4.0, rows=14, temp_read=2)
    assert [(t.source, t.calls, t.counted) for t in joined] == [
        ("both", 10, two),
        ("both", 10, counted(2, "").counters),
        ("log", 10, None),
        ("statements", 6, two),
    ]
    assert joined[-1].sql == "delete from t where id in ($1, ...)"
    assert (joined[-1].kept, joined[-1].query_ids) == (0, ((7, 3), (8, 3)))
