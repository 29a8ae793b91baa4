"""The compiled loop and Python do the same to a real server, and leave the same books."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from made_load import BEGIN, COMMIT, READ, WRITE, WRONG, arrivals, make_staging, statement, update

from replay import rundir
from replay.load import sharding
from replay.load.launch import launch
from replay.load.native import library
from replay.load.planned import PlannedStatement, PlannedTransaction

# Where it is told so, every second session is libpq's, as each is where the way to the server is encrypted.
DRIVE = """
import sys
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import numpy as np
import psycopg
from gevent.event import Event
from pathlib import Path
from time import monotonic_ns
from replay.load import shard, sharding
from replay.load.compiled import Compiled
from replay.load.libpq import Libpq
from replay.load.native import library
from replay.load.protocol import Usual
from replay.load.record import DTYPE
from replay.load.session import attach

dsn, directory, mixed = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "mixed"
library.ensure()
over = Event()
lent, turns, ticks = [], [], []

class Counting(Compiled):
    def _pump(self):
        turns.append(1)
        super()._pump()

    def _taken(self, slot):
        lent.append(slot)
        return super()._taken(slot)

engine = Counting(
    shard.shard_file(directory, 0), shard.read_index(directory).calls, run=library.load(),
    pool=4, pool_timeout_ns=10**10, loop=gevent.get_hub().loop, done=over.set, lost=None)
for session in engine.sessions:
    connection = psycopg.connect(dsn, autocommit=True)
    attach(session, connection, Usual())
    if mixed and session.slot % 2:
        session.carrier.close()
        session.carrier = Libpq(session, connection.pgconn, session.loop, session.heard)
    engine.add(session)
def tick():
    while not over.is_set():
        ticks.append(1)
        gevent.sleep(0.005)

engine.start(monotonic_ns())
gevent.spawn(tick)
assert over.wait(20)
assert engine.error is None, engine.error
engine.end()
engine.close()
done = np.frombuffer(engine.take_records(), DTYPE)
print(len(done), sorted(set(done["outcome"].tolist())), sorted(set(done["session"].tolist())))
print(sorted(set(lent)))
print(len(turns), len(ticks))
"""
BIG, ODD = "f" * 16, "0" * 16
BY_ID = "SELECT n FROM t WHERE id = $1"
MANY = "SELECT repeat('x', 300) FROM generate_series(1, $1::int)"
NOTICE = "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"


def transaction(number: int) -> tuple[PlannedStatement, ...]:
    """One of every kind that there is."""
    kinds: list[tuple[PlannedStatement, ...]] = [
        (statement(READ, BY_ID, str(number), prepared="s1"),),
        (statement(READ, BY_ID, str(number)),),
        (statement(READ, f"SELECT {number}", prepared=None),),  # countless texts
        (statement(READ, f"SELECT {number}, $1::int", "1"),),
        update(number, gap_us=3000),
        (
            statement(BEGIN, "BEGIN", prepared=None),
            statement(WRONG, "SELECT 1 / ($1)::int", "0", prepared="w", error="22012"),
            statement(COMMIT, "ROLLBACK", prepared=None),
        ),
        (statement(BEGIN, "BEGIN", prepared=None), statement(READ, BY_ID, "1", gap_us=500)),
        (statement(WRONG, "SELECT * FROM missing"), statement(READ, "SELECT 1")),
        (statement(BIG, MANY, str(number * 10), prepared="m"),),
        (statement(ODD, "SET work_mem = '5MB'; SELECT 1; SELECT 2", prepared=None),),
        (statement(ODD, NOTICE, prepared=None), statement(READ, BY_ID, "2", prepared="s1")),
        (statement(ODD, "", prepared=None),),
        (statement(WRONG, "SELECT n FROM missing WHERE id = $1", "1", prepared="missing"),),
    ]
    if number % 150 == 50:  # for which only another connection helps
        return (statement(ODD, "COPY t TO STDOUT", prepared=None),)
    return kinds[number % len(kinds)]


def planned() -> Iterator[PlannedTransaction]:
    for number, one in enumerate(arrivals(400, 1.0, transaction)):
        settings = ("SET statement_timeout = '4s'",) if number % 7 == 0 else ()
        yield PlannedTransaction(
            due_us=one.due_us, statements=one.statements, settings=settings, session=""
        )


def drive(
    dsn: str, directory: Path, load: Iterator[PlannedTransaction], *, pool: int = 5
) -> pa.Table:
    sharding.write_shards(directory / "shards", load)
    run = directory / "a.run"
    run.mkdir(parents=True)
    report = launch(
        directory / "shards",
        dsn=dsn,
        run=run,
        scenario="mix",
        pool=pool,
        pool_timeout_ms=20_000,
        statement_timeout_ms=5000,
        duration_s=1.0,
        drain_s=10.0,
    )
    assert report.state == "finished"
    return rundir.read_table(run, "attempts")


def books(attempts: pa.Table) -> list[tuple[object, ...]]:
    """What was done, whenever and wherever it was."""
    columns = ("arrival", "ordinal", "template", "outcome", "rows")
    return sorted(zip(*(attempts[name].to_pylist() for name in columns), strict=True))


def both_ways(
    dsn: str, tmp_path: Path, load: Callable[[], Iterator[PlannedTransaction]], *, pool: int = 5
) -> list[tuple[object, ...]]:
    """The books of a load, which are the same by the compiled loop and by Python."""
    make_staging(dsn)
    found = []
    for way in ("compiled", "interpreted"):
        with (
            psycopg.connect(dsn, autocommit=True) as connection,
            pytest.MonkeyPatch.context() as set_,
        ):
            connection.execute("UPDATE t SET n = 0")
            (tmp_path / way).mkdir()
            if way == "interpreted":
                set_.setenv("REPLAY_INTERPRETED", "1")
            found.append(books(drive(dsn, tmp_path / way, load(), pool=pool)))
            row = connection.execute("SELECT sum(n) FROM t").fetchone()
            assert row == (sum(one[2] == WRITE and one[4] == 1 for one in found[-1]),)
    assert found[0] == found[1]
    return found[0]


def test_the_same_load_leaves_the_same_books(new_database: str, tmp_path: Path) -> None:
    done = both_ways(new_database, tmp_path, planned)
    assert len({outcome for *_, outcome, _ in done}) > 3
    if library.is_wanted():
        assert library.load() is not None  # as a worker loads it


def stale() -> Iterator[PlannedTransaction]:
    """Names that the server does not take, or no longer, or takes and then fails."""
    whole = statement(READ, "SELECT * FROM t WHERE id = $1", "1", prepared="whole")
    late = statement(READ, "SELECT * FROM late WHERE id = $1", "1", prepared="late")
    share, none = (statement(WRONG, "SELECT 6 / $1::int", n, prepared="share") for n in "20")
    plain = [
        *("ALTER TABLE t ADD m int", "DEALLOCATE ALL", "CREATE TABLE late (id int)"),
        *("DROP TABLE late", "ALTER TABLE t DROP m"),
    ]
    wider, forgotten, made, *over = (statement(ODD, sql, prepared=None) for sql in plain)
    order = [
        *(none, share, share, whole, whole, wider, whole, whole, whole),
        *(late, late, made, late, late, forgotten, late, late, whole, whole, share, share, *over),
    ]
    for number, one in enumerate(order):
        yield PlannedTransaction(due_us=number * 1000, statements=(one,))


def test_a_name_that_does_not_hold_is_prepared_anew(new_database: str, tmp_path: Path) -> None:
    done = both_ways(new_database, tmp_path, stale, pool=1)
    outcomes = [outcome for *_, outcome, _ in done]
    ok = ["ok"]
    assert outcomes == [
        *("22012", *ok * 5, "0A000", *ok * 2, "42P01", "42P01", *ok * 4),
        *("26000", "ok", "26000", "ok", "26000", *ok * 3),
    ]


def test_a_wait_for_what_python_frees_is_the_pools(new_database: str, tmp_path: Path) -> None:
    make_staging(new_database)
    rows = "SELECT repeat('x', 300), CASE n WHEN 1 THEN pg_sleep(0.01)::text END"
    slow = f"{rows} FROM generate_series(1, $1::int) AS n"
    done = drive(
        new_database,
        tmp_path / "run",  # answers that come in parts are Python's to hear
        iter(arrivals(200, 0.5, lambda _: (statement(BIG, slow, "300", prepared="m"),))),
        pool=1,
    )
    waited = [
        b - d for b, d in zip(*(done[n].to_pylist() for n in ("began_us", "due_us")), strict=True)
    ]
    assert max(waited) > 400_000
    assert max(done["lag_us"].to_pylist()) < 200_000


def driven(
    dsn: str, directory: Path, load: Iterable[PlannedTransaction], sessions: str
) -> list[str]:
    """What was done on four sessions, those that Python had to drive, turns of the loop and others."""
    if not library.is_wanted():
        pytest.skip("no compiled loop on this system")
    make_staging(dsn)
    sharding.write_shards(directory, load)
    done = subprocess.run(
        [sys.executable, "-c", DRIVE, dsn, str(directory), sessions],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout.splitlines()


def test_a_statement_is_prepared_without_python(new_database: str, tmp_path: Path) -> None:
    load = arrivals(2000, 0.1, lambda n: (statement(READ, BY_ID, str(n), prepared="s1"),))
    told = driven(new_database, tmp_path, load, "plain")
    assert told[:2] == ["200 [b'ok'] [0, 1, 2, 3]", "[]"]


def test_what_is_due_soon_is_waited_for_in_the_loop_and_the_others_have_their_turn(
    new_database: str, tmp_path: Path
) -> None:
    load = arrivals(1000, 0.4, lambda n: (statement(READ, BY_ID, str(n), prepared="s1"),))
    told = driven(new_database, tmp_path, load, "plain")
    turns, ticks = map(int, told[2].split())
    assert turns < 300
    assert ticks > 20


def test_a_session_that_is_not_the_loops_has_its_share(new_database: str, tmp_path: Path) -> None:
    load = arrivals(2000, 0.2, lambda n: update(n, gap_us=200))
    told = driven(new_database, tmp_path, load, "mixed")
    assert told[:2] == ["1200 [b'ok'] [0, 1, 2, 3]", "[1, 3]"]
    with psycopg.connect(new_database) as connection:
        row = connection.execute("SELECT sum(n) FROM t").fetchone()
    assert row == (400,)
