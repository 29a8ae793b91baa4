"""Who has to wait for whose commit, from captured times and keys."""

from made_tables import column, schema, table
from test_schedule import statement

from replay.conduct.order import CommitOrder
from replay.load.schedule import plan
from replay.workload import Statement, Transaction

TABLES = schema(
    table("parent", 100, column("id"), column("v", "text"), keys=[("id",)]),
    table(
        "child",
        100,
        column("id"),
        column("parent_id"),
        keys=[("id",)],
        foreign=[("parent_id", "parent", "id")],
    ),
)
UPDATE = "UPDATE parent SET v = 'x' WHERE id = $1"
LOCK = "SELECT * FROM parent WHERE id = $1 FOR UPDATE"
READ = "SELECT * FROM parent WHERE id = $1"
INSERT = "INSERT INTO child (id, parent_id) VALUES ($1, $2)"


def ran(sql: str, *values: str, at: int = 0, took: int = 10) -> Statement:
    slots = "p" * len(values)
    return statement("a", sql, slots=slots, values=values, offset_us=at, duration_us=took)


def after(*told: tuple[int, tuple[Statement, ...]]) -> list[list[tuple[int, ...]]]:
    """By transaction (start, statements), whom each of its statements waits for."""
    transactions = [
        Transaction(
            id=number, session=str(number), start_us=start, weight=1, shape="", statements=done
        )
        for number, (start, done) in enumerate(told)
    ]
    order = CommitOrder(transactions, TABLES)
    found = []
    for one in transactions:
        values = tuple(s.values for s in one.statements)
        planned = order.ordered(plan(0, one, values, session=one.session), one)
        assert planned.ident == one.id
        found.append([s.after for s in planned.statements])
    return found


def test_a_writer_waits_for_the_last_commit_of_its_key():
    first = (ran(UPDATE, "7"), ran("COMMIT", at=90))
    second = (ran(READ, "7"), ran(UPDATE, "7", at=40, took=80), ran("COMMIT", at=130))
    third = (ran(UPDATE, "7"),)
    # The second one began before the first had committed, and wrote after it.
    assert after((0, first), (10, second), (500, third)) == [[(), ()], [(), (0,), ()], [(1,)]]


def test_other_keys_and_plain_reads_wait_for_nobody():
    assert after((0, (ran(UPDATE, "7"),)), (50, (ran(UPDATE, "8"),)), (60, (ran(READ, "7"),))) == [
        [()],
        [()],
        [()],
    ]


def test_a_lock_and_a_child_of_the_key_count_as_well():
    child = (ran(INSERT, "1", "7"),)
    assert after((0, (ran(LOCK, "7"),)), (50, child), (90, (ran(UPDATE, "7"),))) == [
        [()],
        [(0,)],
        [(1,)],
    ]


def test_what_is_not_replayed_is_not_waited_for():
    gone = (ran(UPDATE, "7"), ran("LISTEN x", at=20), ran("COMMIT", at=30))
    kept = (ran(UPDATE, "7"),)
    assert after((0, gone), (100, kept), (200, kept))[1:] == [[()], [(1,)]]
