"""Lines of production's log that tell of contention, and their exact counts."""

import pickle
import random

import pytest

from replay.capture.conflicts import Conflicts
from replay.capture.contention import observe
from replay.sql.fingerprint import fingerprint

UPDATE = "UPDATE people SET name = 'x' WHERE id = 7"
OTHER = "DELETE FROM notes WHERE id = 4711"
AT_US = 1_772_366_400_000_000
QUEUE = "Process holding the lock: 4711. Wait queue: 4712, 4713."


def seen(message, detail="", context="", statement=UPDATE, sqlstate="00000"):
    return observe(
        message=message,
        detail=detail,
        context=context,
        statement=statement,
        sqlstate=sqlstate,
        at_us=AT_US,
    )


def told(*observations, templates=()):
    conflicts = Conflicts()
    for observation in observations:
        conflicts.take(observation)
    return conflicts.told({fingerprint(text).id: fingerprint(text).sql for text in templates})


WAITS = [
    # what the server says, and what of it stays: kind, lock, on, waited µs
    ("still waiting for ShareLock on transaction 733 after 1000.123 ms", ("waiting", "ShareLock", "transaction", 1_000_123)),
    ("acquired ShareLock on transaction 733 after 61234.004 ms", ("acquired", "ShareLock", "transaction", 61_234_004)),
    ("failed to acquire ExclusiveLock on advisory lock [5,0,9,1] after 2000.000 ms", ("failed", "ExclusiveLock", "advisory lock", 2_000_000)),
    ("detected deadlock while waiting for ShareLock on transaction 7 after 200.555 ms", ("detected", "ShareLock", "transaction", 200_555)),
    ("avoided deadlock for RowExclusiveLock on relation 16384 of database 5 by rearranging queue order after 200.100 ms", ("avoided", "RowExclusiveLock", "relation", 200_100)),
    ("still waiting for ExclusiveLock on tuple (0,7) of relation 16386 of database 5 after 1000.000 ms", ("waiting", "ExclusiveLock", "tuple", 1_000_000)),
    ("still waiting for ExclusiveLock on extension of relation 16386 of database 5 after 1000.000 ms", ("waiting", "ExclusiveLock", "extension", 1_000_000)),
    ("still waiting for ShareLock on virtual transaction 4/12 after 1000.000 ms", ("waiting", "ShareLock", "virtual transaction", 1_000_000)),
    ("still waiting for ShareLock on speculative token 1 of transaction 9 after 1000.000 ms", ("waiting", "ShareLock", "speculative token", 1_000_000)),
    ("still waiting for ShareLock on something of a later version after 1000.000 ms", ("waiting", "ShareLock", "other", 1_000_000)),
    ("could not obtain AccessExclusiveLock on relation 16384 of database 5", ("unobtained", "AccessExclusiveLock", "relation", 0)),
]  # fmt: skip


@pytest.mark.parametrize(("said", "stays"), WAITS)
def test_lines_of_log_lock_waits(said, stays):
    context = 'while updating tuple (0,7) in relation "people"\nSQL statement "SELECT 1"'
    found = seen(f"process 4712 {said}", QUEUE, context)
    assert (found.kind, found.lock, found.on, found.waited_us) == stays
    assert (found.queued, found.relation) == (2, "people")
    assert found.template == fingerprint(UPDATE).id


@pytest.mark.parametrize(
    ("detail", "queued"),
    [
        ("Processes holding the lock: 1, 2, 3. Wait queue: 4.", 1),
        ("Process holding the lock: 1, Wait queue: 4, 5.", 2),  # log_lock_failures
        ("Processes holding the lock: 1, 2. Wait queue: .", 0),
        ("", 0),
    ],
)
def test_the_queue_is_counted(detail, queued):
    assert (
        seen("process 9 acquired ShareLock on transaction 1 after 1.000 ms", detail).queued
        == queued
    )


FAILURES = [
    # message, SQLSTATE, context; kind, on, relation
    ("canceling statement due to lock timeout", "55P03", 'while locking tuple (0,1) in relation "people"', ("timeout", "transaction", "people")),
    ("canceling statement due to lock timeout", "55P03", "", ("timeout", "", "")),
    ("canceling statement due to lock timeout", "57014", "", ("timeout", "", "")),
    ('could not obtain lock on row in relation "peo"ple"', "55P03", "", ("refused", "tuple", 'peo"ple')),
    ('could not obtain lock on relation "people"', "55P03", "", ("refused", "relation", "people")),
    ("could not obtain lock on relation with OID 16384", "55P03", "", ("refused", "relation", "")),
    ("canceling statement due to statement timeout", "57014", 'while updating tuple (12,30) in relation "people"', ("cancelled", "transaction", "people")),
    ("canceling statement due to user request", "57014", 'while inserting index tuple (0,2) in relation "people_pkey"', ("cancelled", "transaction", "people_pkey")),
]  # fmt: skip


@pytest.mark.parametrize(("message", "state", "context", "stays"), FAILURES)
def test_statements_that_did_not_get_their_lock(message, state, context, stays):
    found = seen(message, context=context, sqlstate=state)
    assert (found.kind, found.on, found.relation) == stays
    assert found.template == fingerprint(UPDATE).id


@pytest.mark.parametrize(
    "record",
    [
        {"message": "canceling statement due to statement timeout", "sqlstate": "57014"},
        {"message": 'skipping vacuum of "people" --- lock not available', "sqlstate": "55P03"},
        {"message": "process 17 exited normally"},
        {"message": "duration: 3.000 ms  statement: SELECT 'process 1 acquired'"},
    ],
)
def test_what_is_no_contention(record):
    assert seen(**record) is None


def test_a_context_deep_in_the_stack_may_be_a_value():
    context = 'SQL statement "SELECT \'\nwhile updating tuple (0,7) in relation "Zanzibar"\n\'"'
    assert (
        seen("canceling statement due to lock timeout", context=context, sqlstate="55P03").relation
        == ""
    )


DEADLOCK = f"""\
Process 11 waits for ShareLock on transaction 733; blocked by process 12.
Process 12 waits for AccessExclusiveLock on relation 16384 of database 5; blocked by process 13.
Process 13 waits for ShareLock on transaction 734; blocked by process 11.
Process 11: {UPDATE}
Process 12: {OTHER}
Process 13: SELECT 'two
Process 99: lines', id FROM people FOR UPDATE"""


def test_a_deadlock_names_its_peers():
    context = 'while updating tuple (0,7) in relation "people"'
    found = seen("deadlock detected", DEADLOCK, context, sqlstate="40P01")
    assert (found.kind, found.lock, found.on, found.relation) == (
        "deadlock",
        "ShareLock",
        "transaction",
        "people",
    )
    locking = "SELECT 'x', id FROM people FOR UPDATE"
    assert {peer.template for peer in found.peers} == {
        fingerprint(OTHER).id,
        fingerprint(locking).id,
    }


def test_a_deadlock_without_its_statement_is_that_of_its_own_process():
    found = seen("deadlock detected", DEADLOCK, statement="", sqlstate="40P01")
    assert found.template == fingerprint(UPDATE).id


@pytest.mark.parametrize("text", ["<command string not enabled>", "<insufficient privilege>", ""])
def test_peers_that_the_server_does_not_tell(text):
    detail = DEADLOCK.replace(OTHER, text)
    found = seen("deadlock detected", detail, sqlstate="40P01")
    assert len(found.peers) == 1


@pytest.mark.parametrize("detail", ["", "Prozess 1 wartet auf …", DEADLOCK[:60], DEADLOCK[:260]])
def test_a_deadlock_is_known_by_its_state_alone(detail):
    found = seen("Verklemmung entdeckt", detail, sqlstate="40P01")
    assert (found.kind, found.template) == ("deadlock", fingerprint(UPDATE).id)


def test_a_text_that_was_cut_off_finds_its_template():
    whole = (
        "SELECT " + ", ".join(f"column_{n}" for n in range(40)) + " FROM people WHERE name = 'x'"
    )
    cut = seen("deadlock detected", DEADLOCK.replace(OTHER, whole[:200]), sqlstate="40P01")
    other = whole.replace("column_30", "column_31")
    (one,) = told(cut, templates=(UPDATE, whole))
    assert fingerprint(whole).id in one.peers
    (unsure,) = told(cut, templates=(UPDATE, whole, other))  # both begin so
    assert not {fingerprint(whole).id, fingerprint(other).id} & set(unsure.peers)


def test_nothing_of_production_stays_but_names():
    context = 'while updating tuple (4711,42) in relation "people"'
    detail = DEADLOCK.replace("733", "471147").replace("two", "Zanzibar 4711")
    found = told(
        seen("deadlock detected", detail, context, sqlstate="40P01"),
        seen(
            "process 471 still waiting for ShareLock on transaction 471147 after 1000.000 ms", QUEUE
        ),
    )
    assert not [mark for mark in ("4711", "Zanzibar", "16384") if mark in repr(found)]


def made(count, seed=3):
    """Observations of many conflicts, some of them often."""
    draw = random.Random(seed)
    wait = "process {} still waiting for ShareLock on transaction {} after {}.{:03} ms"
    return [
        seen(wait.format(n, n, draw.randrange(1000, 9000), n % 1000), QUEUE, statement=f"SELECT c{draw.randrange(300)}")
        for n in range(count)
    ]  # fmt: skip


def counted(observations, limit):
    conflicts = Conflicts(limit=limit)
    for observation in observations:
        conflicts.take(observation)
    return conflicts


@pytest.mark.parametrize("limit", [40, 4096])
def test_parts_in_any_order_merge_into_the_whole(limit):
    observations = made(2000)
    whole = counted(observations, limit)
    parts = [counted(observations[start::3], limit) for start in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = Conflicts(limit=limit)
        for part in order:
            merged.merge(pickle.loads(pickle.dumps(parts[part])))
        assert merged.told({}) == whole.told({})
        assert merged.beyond == whole.beyond
    assert counted(reversed(observations), limit).told({}) == whole.told({})


def test_counts_are_exact_and_bounded():
    observations = made(2000)
    all_of_them = counted(observations, 4096).told({})
    few = counted(observations, 40)
    bounded = few.told({})
    assert len(bounded) == 41
    assert [c.count for c in bounded if not c.template] == [few.beyond]
    for conflicts in (all_of_them, bounded):
        assert sum(c.count for c in conflicts) == 2000
        assert sum(c.total_ms for c in conflicts) == pytest.approx(
            sum(o.waited_us for o in observations) / 1e3
        )
    exact = {c.template: c for c in all_of_them}
    assert all(c == exact[c.template] for c in bounded if c.template)


def test_what_is_summed():
    first, second = (
        seen(f"process 1 acquired ShareLock on transaction 2 after {ms} ms", detail)
        for ms, detail in (("1000.500", QUEUE), ("3000.000", ""))
    )
    (one,) = told(first, second)
    assert (one.count, one.total_ms, one.longest_ms, one.most_queued) == (2, 4000.5, 3000.0, 2)
    assert one.first_seen == one.last_seen
    assert one.first_seen.timestamp() * 1e6 == AT_US
