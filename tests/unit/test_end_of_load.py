"""A load is over when its last transaction is, whoever has it: the compiled loop or Python."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest
from test_protocol import ERROR, NO_DATA, done, ready

from replay.load import shard, sharding
from replay.load.compiled import Compiled
from replay.load.direct import Direct
from replay.load.engine import Engine
from replay.load.native import library
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.protocol import Usual
from replay.load.record import CODE_OK, DTYPE
from replay.load.session import RUNNING

SQL = "UPDATE t SET n = n + 1"
DONE = NO_DATA + done("UPDATE 1") + ready()
POOL = 2


@pytest.fixture
def over() -> list[int]:
    """When the engine said that there is nothing more to wait for."""
    return []


@pytest.fixture(params=["compiled", "interpreted"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, over: list[int]) -> Iterator[Engine]:
    """An engine with a transaction for each of its sessions, all due at once."""
    one = PlannedStatement(template="a" * 16, sql=SQL, prepared=None, values=(), gap_us=0)
    load = [PlannedTransaction(due_us=0, statements=(one,)) for _ in range(POOL)]
    sharding.write_shards(tmp_path, load)
    calls = shard.read_index(tmp_path).calls

    def said() -> None:
        over.append(time.monotonic_ns())

    options = {
        "pool": POOL,
        "pool_timeout_ns": 10**10,
        "loop": gevent.get_hub().loop,
        "done": said,
        "lost": None,
        "retries": 1,
    }
    if request.param == "compiled":
        library.ensure()
        run = library.load()
        if run is None:
            pytest.skip("this machine has no compiled loop")
        file = shard.shard_file(tmp_path, 0)
        made: Engine = Compiled(file, calls, run=run, **options)  # type: ignore[arg-type]
    else:
        made = Engine(shard.read_shard(tmp_path, 0), calls, **options)  # type: ignore[arg-type]
    yield made
    made.end()
    made.close()


@pytest.fixture
def servers(engine: Engine) -> Iterator[list[socket.socket]]:
    """The servers' ends of the sessions' connections."""
    pairs = [socket.socketpair() for _ in engine.sessions]
    for session, (ours, _) in zip(engine.sessions, pairs, strict=True):
        session.carrier = Direct(session, ours.fileno(), session.loop, Usual(), session.heard)
        engine.add(session)
    for _, other in pairs:
        other.setblocking(False)
    yield [other for _, other in pairs]
    for session in engine.sessions:
        session.carrier.close()
    for pair in pairs:
        for end in pair:
            end.close()


def poll(what: Callable[[], object]) -> None:
    """Let the engine run until that is so."""
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        gevent.sleep(0.001)


def has_heard(server: socket.socket) -> bool:
    try:
        return SQL.encode() in server.recv(1 << 16)
    except BlockingIOError:
        return False


def test_an_end_and_a_refusal_at_once_leave_one_to_be_begun_again(
    engine: Engine, servers: list[socket.socket], over: list[int]
) -> None:
    one, other = servers
    engine.start(time.monotonic_ns())
    poll(lambda: has_heard(one))
    poll(lambda: has_heard(other))
    one.send(DONE[:3])  # which is not as usual: the transaction is Python's from here on
    poll(lambda: engine.sessions[0].state == RUNNING)
    one.send(DONE[3:])
    other.send(ERROR + ready())  # the lock that the first one let go: both are heard together
    poll(lambda: has_heard(other))
    assert not over
    other.send(DONE)
    poll(lambda: over)
    outcomes = np.frombuffer(engine.take_records(), DTYPE)["outcome"].tolist()
    assert sorted(outcomes) == [b"40001", CODE_OK, CODE_OK]
