"""What a migration did to the load: who waited for whom by the samples, and when the load recovered.

A wait is seen in samples of the server; where it ended between two of them is told by the attempt
that the waiting session was at (joined by backend pid and time).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay import rundir
from replay.conduct.during import Ran, Script
from replay.load.transactions import OK, Transactions
from replay.migration import Blocked, Migration, MigrationStatement, Round, Waited
from replay.outcome import OK as OUTCOME_OK

_PERIOD_US = 100_000  # of the sampler
_STEP_S = 0.5
_IN_A_STEP = 10  # transactions on average: steps are longer where the load is thin
_BEFORE_S = 30.0  # how far back "before" goes
_BEFORE_LEAST = 20  # transactions; with fewer the objective is the measure
_SLOW_TIMES, _SLOW_MORE_MS = 3.0, 20.0  # of the p95 before it, whichever is more
_DISTURBED_SHARE = 0.2  # of a step's transactions slow or failed, beyond the share before
_CALM_STEPS = 2  # on end: then the load is itself again

_TIMES = ("pid", "began_us", "ended_us")
_Key = tuple[str, str, str, str]  # template, lock, relation, state


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One session's wait behind one other, µs since the origin."""

    waiter: int
    blocker: int
    waiter_template: str
    blocker_template: str
    blocker_state: str
    lock: str
    relation: str
    began_us: int
    seen_us: int  # by the first sample
    ended_us: int

    @property
    def seconds(self) -> float:
        """How long it was."""
        return max(self.ended_us - self.began_us, 0) / 1e6


def measure(
    script: Script,
    ran: Sequence[Ran],
    *,
    t0_ns: int,
    at_s: float,
    repeat: int,
    blocking: pa.Table,
    attempts: Callable[[], Iterable[pa.Table]],
    done: Transactions,
    expected: Iterable[int],
    objective_ms: float,
    duration_s: float,
) -> Migration:
    """The migration's record.

    `blocking` is rundir's, `attempts` gives rundir's by blocks, `done` is their transactions; `expected` are arrivals whose errors production had too.
    """
    pids = {one.pid for one in ran}
    of_it = [pc.is_in(blocking[side], pa.array(pids, pa.int32())) for side in ("waiter", "blocker")]
    behind = blocking.filter(pc.or_(*of_it))
    waits = list(_waits(behind, _ends(attempts(), behind["waiter"], ran, t0_ns)))
    statements = tuple(_statement(one, t0_ns) for one in ran)
    return Migration(
        file=script.name,
        at_s=at_s,
        repeat=repeat,
        rounds=tuple(
            _rounds(
                statements,
                len(script.steps),
                done,
                frozenset(expected),
                objective_ms,
                duration_s,
            )
        ),
        statements=tuple(_with_waits(statements, ran, waits)),
    )


def _statement(one: Ran, t0_ns: int) -> MigrationStatement:
    return MigrationStatement(
        round=one.round,
        line=one.step.line,
        sql=one.step.sql,
        template=one.step.template,
        began_s=round((one.began_ns - t0_ns) / 1e9, 6),
        ended_s=round((one.ended_ns - t0_ns) / 1e9, 6),
        outcome=one.outcome,
        error=one.error,
    )


def _with_waits(
    statements: Sequence[MigrationStatement], ran: Sequence[Ran], waits: Sequence[Wait]
) -> Iterator[MigrationStatement]:
    """A wait goes to the statement after whose beginning it was first seen: locks outlive theirs."""
    for number, (statement, one) in enumerate(zip(statements, ran, strict=True)):
        behind = statements[number + 1 :]
        until_s = behind[0].began_s if behind and behind[0].round == statement.round else np.inf
        first = number == 0 or statements[number - 1].round != statement.round
        since_s = -np.inf if first else statement.began_s
        mine = [w for w in waits if since_s <= w.seen_us / 1e6 < until_s]
        own = [w for w in mine if w.waiter == one.pid]
        blocked = _blocked(w for w in mine if w.blocker == one.pid)
        yield replace(
            statement,
            waited=_waited(own),
            waited_s=round(_together_s(own), 3),
            blocked=blocked,
            blocked_s=round(sum(group.seconds for group in blocked), 3),
        )


def _waited(waits: Iterable[Wait]) -> tuple[Waited, ...]:
    """By who was in the way, the longest first."""
    groups: dict[_Key, list[Wait]] = defaultdict(list)
    for wait in waits:
        groups[wait.blocker_template, wait.lock, wait.relation, wait.blocker_state].append(wait)
    found = [
        Waited(
            lock=lock,
            relation=relation,
            blocker=blocker,
            blocker_state=state,
            seconds=round(_together_s(group), 3),
        )
        for (blocker, lock, relation, state), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda waited: -waited.seconds))


def _together_s(waits: Iterable[Wait]) -> float:
    """Seconds in which at least one of the waits was going on."""
    total_us, until_us = 0, -(1 << 62)
    for wait in sorted(waits, key=lambda wait: wait.began_us):
        total_us += max(wait.ended_us - max(wait.began_us, until_us), 0)
        until_us = max(until_us, wait.ended_us)
    return total_us / 1e6


def _blocked(waits: Iterable[Wait]) -> tuple[Blocked, ...]:
    """By whose statements they were, what cost most first."""
    groups: dict[tuple[str, str, str], list[Wait]] = defaultdict(list)
    for wait in waits:
        groups[wait.waiter_template, wait.lock, wait.relation].append(wait)
    found = [
        Blocked(
            template=template,
            lock=lock,
            relation=relation,
            sessions=len({wait.waiter for wait in group}),
            seconds=round(sum(wait.seconds for wait in group), 3),
            longest_s=round(max(wait.seconds for wait in group), 3),
        )
        for (template, lock, relation), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda blocked: -blocked.seconds))


def _ends(
    attempts: Iterable[pa.Table], waiters: pa.ChunkedArray, ran: Sequence[Ran], t0_ns: int
) -> Mapping[int, tuple[np.ndarray, np.ndarray]]:
    """By pid when a waiter's statements began, ascending, and ended; µs since the origin."""
    pids = pc.unique(waiters)
    parts = [
        block.filter(
            pc.and_(pc.greater_equal(block["began_us"], 0), pc.is_in(block["pid"], pids))
        ).select(_TIMES)
        for block in attempts
    ]
    sent = pa.concat_tables([rundir.TABLES["attempts"].empty_table().select(_TIMES), *parts])
    pid = np.append(sent["pid"].to_numpy(), [one.pid for one in ran]).astype(np.int64)
    began = np.append(sent["began_us"].to_numpy(), [(r.began_ns - t0_ns) // 1000 for r in ran])
    ended = np.append(sent["ended_us"].to_numpy(), [(r.ended_ns - t0_ns) // 1000 for r in ran])
    order = np.lexsort((began, pid))
    pid, began, ended = pid[order], began[order], ended[order]
    distinct, first = np.unique(pid, return_index=True)
    last = np.append(first[1:], len(pid))
    return {
        one: (began[a:b], ended[a:b])
        for one, a, b in zip(distinct.tolist(), first, last, strict=True)
    }


def _waits(blocking: pa.Table, ends: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Iterator[Wait]:
    """The waits that the sampled edges are of: one as long as it began before its last sample."""
    open_waits: dict[tuple[int, int], Wait] = {}
    for row in blocking.sort_by("at_us").to_pylist():
        key = (row["waiter"], row["blocker"])
        at_us = row["at_us"]
        before = open_waits.get(key)
        began_us = at_us - (row["wait_us"] or _PERIOD_US // 2)
        if before is not None and began_us <= before.ended_us:
            open_waits[key] = replace(before, ended_us=at_us)
            continue
        if before is not None:
            yield _until_its_end(before, ends)
        open_waits[key] = Wait(
            waiter=row["waiter"],
            blocker=row["blocker"],
            waiter_template=row["waiter_template"],
            blocker_template=row["blocker_template"],
            blocker_state=row["blocker_state"],
            lock=f"{row['lock_type']} {row['mode']}".strip(),
            relation=row["relation"],
            began_us=began_us,
            seen_us=at_us,
            ended_us=at_us,
        )
    for wait in open_waits.values():
        yield _until_its_end(wait, ends)


def _until_its_end(wait: Wait, ends: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> Wait:
    """It ended before the next sample, and not after the statement that waited."""
    began, ended = ends.get(wait.waiter, (np.empty(0), np.empty(0)))
    at = int(np.searchsorted(began, wait.ended_us, side="right")) - 1
    end_us = wait.ended_us + _PERIOD_US
    if at >= 0 and ended[at] >= wait.ended_us:
        end_us = min(end_us, int(ended[at]))
    return replace(wait, ended_us=end_us)


def _rounds(
    statements: Sequence[MigrationStatement],
    steps: int,
    done: Transactions,
    expected: frozenset[int],
    objective_ms: float,
    duration_s: float,
) -> Iterator[Round]:
    numbers = sorted({statement.round for statement in statements})
    begins = {n: min(s.began_s for s in statements if s.round == n) for n in numbers}
    bad = (done.outcome != OK) & ~np.isin(done.arrival, list(expected))
    for number in numbers:
        mine = [statement for statement in statements if statement.round == number]
        yield _round(
            begins[numbers[0]],
            begins[number],
            max(statement.ended_s for statement in mine),
            begins.get(number + 1, duration_s),
            sum(statement.outcome == OUTCOME_OK for statement in mine) == steps,
            done,
            bad,
            objective_ms,
        )


def _round(
    first_began_s: float,
    began_s: float,
    ended_s: float,
    until_s: float,
    complete: bool,
    done: Transactions,
    bad: np.ndarray,
    objective_ms: float,
) -> Round:
    due_s = done.due_us / 1e6
    before = (due_s >= first_began_s - _BEFORE_S) & (due_s + done.latency_ms / 1e3 < first_began_s)
    p95_ms, slow_ms = 0.0, objective_ms
    if before.sum() >= _BEFORE_LEAST:
        p95_ms = float(np.percentile(done.latency_ms[before], 95))
        slow_ms = max(_SLOW_TIMES * p95_ms, p95_ms + _SLOW_MORE_MS)
    wrong = bad | (done.latency_ms > slow_ms)
    usual = float(wrong[before].mean()) if before.any() else 0.0
    width_s = _width_s(due_s)
    # Whoever was under way when it began may be its first victim.
    first_s = began_s - width_s
    inside = (due_s >= first_s) & (due_s < until_s)
    step = ((due_s[inside] - first_s) / width_s).astype(np.int64)
    count = np.bincount(step)
    share = np.bincount(step, wrong[inside]) / np.maximum(count, 1)
    disturbed = share > usual + _DISTURBED_SHARE
    p95s = [
        float(np.percentile(done.latency_ms[inside][step == n], 95)) if count[n] else 0.0
        for n in range(len(count))
    ]
    back = _recovered(disturbed, int((ended_s - first_s) / width_s))
    recovered_s = None if back is None else max(first_s + back * width_s, began_s)
    return Round(
        began_s=began_s,
        ended_s=ended_s,
        complete=complete,
        before_p95_ms=round(p95_ms, 3),
        slow_ms=round(slow_ms, 3),
        worst_p95_ms=round(max(p95s[: back or None], default=0.0), 3),
        disturbed_s=round(float(disturbed.sum()) * width_s, 3),
        recovered_s=None if recovered_s is None else round(recovered_s, 3),
    )


def _width_s(due_s: np.ndarray) -> float:
    if len(due_s) < 2:
        return _STEP_S
    rate = len(due_s) / max(float(due_s.max() - due_s.min()), _STEP_S)
    return max(_STEP_S, _IN_A_STEP / rate)


def _recovered(disturbed: np.ndarray, last: int) -> int | None:
    """The step from which the load was calm; 0 where it never was anything else.

    None where it was not, in what is left of the load after the migration's last step.
    """
    if not disturbed.any():
        return 0
    first = int(np.flatnonzero(disturbed)[0])
    for step in range(max(first, last), len(disturbed) - _CALM_STEPS + 1):
        if not disturbed[step : step + _CALM_STEPS].any():
            return step
    return None
