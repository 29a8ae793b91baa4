"""What the compiled loop reads and keeps is what Python reads and keeps."""

import socket
from pathlib import Path
from time import monotonic_ns

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_protocol import ANSWERS, BOUND, DESCRIBED, ERROR, NO_DATA, NOTICE, ROW, done, ready
from test_shard import plans

from replay.load import shard, sharding
from replay.load.native import layout as at
from replay.load.native import library
from replay.load.native.board import Board
from replay.load.native.due import advance, lag_of, note_look, pop_pause, push_pause
from replay.load.native.reading import usual
from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.protocol import Answer
from replay.load.record import CODE_OK, DTYPE, FINAL

PLAIN = (BOUND, NO_DATA, ROW, done("SELECT 1"), done("INSERT 0 12"), done("BEGIN"), done("A1"))
CHEAP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def understood(data: bytes) -> tuple[int, int]:
    kept = np.frombuffer(data, np.uint8)
    return usual(kept.ctypes.data, len(data))


@given(
    parts=st.lists(st.sampled_from((*PLAIN, DESCRIBED, ERROR, NOTICE)), max_size=6),
    state=st.sampled_from("ITE"),
    cut=st.integers(0, 6),
    more=st.booleans(),
)
def test_an_answer_is_understood_as_in_python_or_not_at_all(
    parts: list[bytes], state: str, cut: int, *, more: bool
) -> None:
    whole = b"".join(parts) + ready(state)
    data = whole + ready() * more if cut == 0 else whole[:-cut]
    found, rows = understood(data)
    is_usual = cut == 0 and not more and ERROR not in parts and NOTICE not in parts
    assert found == (ord(state) if is_usual else -1)
    if is_usual:
        answer = Answer()
        assert answer.feed(data)
        assert (answer.code, answer.rows) == (CODE_OK, rows)
        assert answer.in_transaction == (state != "I")


@pytest.mark.parametrize(("data", "code", "rows", "open_"), ANSWERS)
def test_known_answers(data: bytes, code: bytes, rows: int, open_: bool) -> None:
    found, counted = understood(data)
    if found >= 0:
        assert (found != ord("I"), code, counted) == (open_, CODE_OK, rows)
    else:
        assert code != CODE_OK or NOTICE in data


def board_of(directory: Path, slots: int = 4) -> Board:
    calls = shard.read_index(directory).calls
    file = shard.shard_file(directory, 0)
    return Board(file, calls, slots=slots, patience_ns=1)


@CHEAP
@given(planned=plans)
def test_the_shard_is_read_as_in_python(tmp_path: Path, planned: list[PlannedTransaction]) -> None:
    sharding.write_shards(tmp_path, planned)
    board = board_of(tmp_path)
    board.start(10**9)
    advance(board.address)
    for arrival in shard.read_shard(tmp_path, 0):
        assert board.get(at.NEXT_DUE) == 10**9 + arrival.due_us * 1000
        assert board.get(at.NEXT_NUMBER) == arrival.number
        assert board.get(at.NEXT_COUNT) == len(arrival.lines)
        assert board.get(at.NEXT_SETTINGS) == arrival.settings
        advance(board.address)
    assert (board.get(at.NEXT), board.get(at.NEXT_DUE)) == (0, at.FAR)
    board.close()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    statement = PlannedStatement(template="a" * 16, sql="SELECT 1", prepared=None, values=())
    sharding.write_shards(tmp_path, [PlannedTransaction(due_us=1, statements=(statement,))])
    return board_of(tmp_path, slots=300)


def test_pauses_end_in_their_order(board: Board) -> None:
    resumes = np.random.default_rng(1).permutation(300).tolist()
    for slot, resume in enumerate(resumes):
        push_pause(board.address, resume, slot)
        board.set(slot, {at.STATE: at.PAUSES_NOW})
    for slot in (7, 100, 299):
        board.lend(slot)  # Python's from now on
    left = [slot for slot in np.argsort(resumes).tolist() if slot not in (7, 100, 299)]
    assert [pop_pause(board.address) for _ in left] == left
    assert board.get(at.PAUSED_COUNT) == 0


def test_our_part_of_a_wait_is_how_late_it_was_seen(board: Board) -> None:
    for planned, made in ((100, 100), (200, 260), (300, 300)):
        board._set({at.WAKE: planned})
        note_look(board.address, made)
    board._set({at.WAKE: 400})
    dues = {90: 0, 150: 60, 250: 10, 290: 0, 350: 0}
    assert {due: lag_of(board.address, due, 390) for due in dues} == dues


def test_free_sessions_are_taken_in_their_order(board: Board) -> None:
    for slot in (3, 1, 2):
        board.free_up(slot, 0, 1)
    board.not_free(1)
    board.free_up(0, 5, 2)
    assert board._free_slots() == [3, 2, 0]
    assert board.session(0)[at.SETTINGS // at.WORD] == 5


def test_a_free_session_whose_end_python_has_yet_to_read_is_given_nothing(board: Board) -> None:
    library.ensure()
    run = library.load()
    assert run is not None
    (ended, other), (answered, server) = socket.socketpair(), socket.socketpair()
    board.start(monotonic_ns() - 10**9)  # the arrival is overdue
    board.enter(0, ended.fileno(), 1)
    board.free_up(0, 0, 1)
    board.enter(1, answered.fileno(), 2)
    board.set(1, {at.STATE: at.RUNS, at.LINES: 1})
    board._set({at.BUSY: 1})
    other.close()
    server.sendall(BOUND + NO_DATA + done("UPDATE 1") + ready())
    run(board.address)
    assert [(kind, slot) for kind, slot, *_ in board.exits()] == [(at.READ, 0)]
    assert (board.state(0), board.state(1)) == (at.IDLE, at.IDLE)
    assert board.get(at.NEXT)
    for one in (ended, answered, server):
        one.close()
    board.close()


def test_records_are_as_python_packs_them(board: Board) -> None:
    board.record(7, 2, FINAL, b"23505", 4, -1, 99, 10, -1, 30, 5, -1)
    (found,) = np.frombuffer(board.take_records(), DTYPE)
    assert found.tolist() == (7, 2, FINAL, b"23505", 4, -1, 99, 10, -1, 30, 5, -1)
    assert board.take_records() == b""
