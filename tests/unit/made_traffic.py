"""Logs of several sessions by chance: every line shape, in every order that may come."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st
from made_oracle import BEGAN, Record

SQL = (
    "SELECT a FROM t WHERE id = {n}",
    "INSERT INTO t VALUES ({n}, 'it''s; \"q\"\n{n}')",
    "UPDATE t SET a = a + {n}",
    "SELECT 'é', {n} -- x",
)
CONTROL = (
    "BEGIN",
    "begin isolation level serializable",
    "COMMIT",
    "END",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "PREPARE TRANSACTION 'x{n}'",
    "COMMIT PREPARED 'x{n}'",
    "COMMIT; BEGIN",
    "BEGIN; INSERT INTO t VALUES ({n}); COMMIT",
    "BEGIN; SELECT {n}",
)
SHAPES = (
    *("ran", "ran", "ran", "called", "named", "paired", "begun", "executed", "failed"),
    "failed_call",
    "failed_begun",
    "fatal",
    "fetched",
    "nobodys",
    "parsed",
    "bound_twice",
    "noise",
)
MS = ("0.040", "0.500", "1.500", "90.000")
JUMPS_US = (-3_600_000_000, 31_536_000_000_000, 3_600_000_000, -100_000, -5_000)
STEPS_US = (0, 0, 0, 300, 1000, 4000, 3_000_000)


@dataclass(frozen=True, slots=True)
class Action:
    shape: str
    sql: str
    ms: str


def _lines(action: Action) -> list[dict[str, object]]:
    """The records of an action, in order."""
    sql, ms = action.sql, action.ms
    detail = "Parameters: $1 = '7'"
    failed = {"message": "it failed", "severity": "ERROR", "state": "40P01", "statement": sql}
    parse = {"message": f"duration: 0.020 ms  parse <unnamed>: {sql}"}
    bind = {"message": f"duration: 0.010 ms  bind <unnamed>: {sql}", "detail": detail}
    bind_s = {"message": f"duration: {ms} ms  bind s1/c: {sql}", "detail": detail}
    statement = {"message": f"statement: {sql}"}
    bare = {"message": f"duration: {ms} ms"}
    return {
        "ran": [{"message": f"duration: {ms} ms  statement: {sql}"}],
        "called": [
            parse,
            bind,
            {"message": f"duration: {ms} ms  execute <unnamed>: {sql}", "detail": detail},
        ],
        "named": [bind_s, {"message": f"duration: {ms} ms  execute s1/c: {sql}", "query_id": 5}],
        "paired": [statement, bare],
        "begun": [statement],
        "executed": [bind_s, {"message": f"execute s1/c: {sql}", "detail": detail}, bare],
        "failed": [failed],
        "failed_call": [parse, bind, {**failed, "state": "23505"}],
        "failed_begun": [statement, failed],
        "fatal": [{**failed, "severity": "FATAL", "state": "57P01"}],
        "fetched": [{"message": f"duration: {ms} ms  execute fetch from <unnamed>/c: {sql}"}],
        "nobodys": [bare],
        "parsed": [parse],
        "bound_twice": [parse, bind, bind],
        "noise": [
            {"message": "connection authorized: user=alice"},
            {**failed, "severity": "WARNING"},
            {"message": f"duration: {ms} ms  plan:\nSeq Scan on t"},
        ],
    }[action.shape]


actions = st.builds(
    lambda shape, sql, number, ms: Action(shape, sql.replace("{n}", str(number)), ms),
    st.sampled_from(SHAPES),
    st.sampled_from(SQL + CONTROL),
    st.integers(0, 999),
    st.sampled_from(MS),
)
sessions = st.tuples(st.sampled_from((0, 0, 1, 2)), st.lists(actions, min_size=1, max_size=12))
processes = st.lists(st.lists(sessions, min_size=1, max_size=3), min_size=1, max_size=4)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Records of several processes, each of which is several sessions one after the other."""
    queues = [_queue(pid, turns) for pid, turns in enumerate(draw(processes), 7)]
    at_us = int(BEGAN.timestamp()) * 1_000_000
    found = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        queue = draw(st.sampled_from(waiting)) if len(waiting) > 1 else waiting[0]
        record = queue.pop(0)
        at_us += draw(st.sampled_from(STEPS_US))
        record.at_us = at_us // 1000 * 1000
        found.append(record)
    return found


def by_chance(
    rng: random.Random, *, processes: int, actions: int, jumps: bool = False
) -> list[Record]:
    """A longer log; with `jumps` its clock goes an hour back, or a year forth, now and then."""
    queues = []
    for pid in range(7, 7 + processes):
        turns = []
        for _ in range(rng.randint(1, 3)):
            done = [_action(rng) for _ in range(rng.randint(1, actions))]
            turns.append((rng.choice((0, 0, 1, 2)), done))
        queues.append(_queue(pid, turns))
    at_us = int(BEGAN.timestamp()) * 1_000_000
    found = []
    while queues := [queue for queue in queues if queue]:
        record = rng.choice(queues).pop(0)
        at_us += rng.choice(STEPS_US)
        if jumps and rng.random() < 0.03:
            at_us += rng.choice(JUMPS_US)
        record.at_us = at_us // 1000 * 1000
        found.append(record)
    return found


def _action(rng: random.Random) -> Action:
    sql = rng.choice(SQL + CONTROL).replace("{n}", str(rng.randint(0, 999)))
    return Action(rng.choice(SHAPES), sql, rng.choice(MS))


def _queue(pid: int, turns: list[tuple[int, list[Action]]]) -> list[Record]:
    """Of a process: a session that has its start in common with the one before has its name."""
    return [
        Record(pid=pid, session=start, line=line, at_us=0, **fields)
        for start, done in sorted(turns, key=lambda turn: turn[0])
        for line, fields in enumerate((f for one in done for f in _lines(one)), 1)
    ]
