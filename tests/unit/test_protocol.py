"""What the server says, taken in whole or in pieces, as usual or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.load.protocol import Answer, Usual, execute, parse, query, values_of
from replay.load.record import CODE_OK


def message(kind: str, content: bytes = b"") -> bytes:
    return kind.encode() + (len(content) + 4).to_bytes(4, "big") + content


def done(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def ready(state: str = "I") -> bytes:
    return message("Z", state.encode())


BOUND, DESCRIBED, NO_DATA = message("2"), message("T", b"\0\1n\0" + bytes(18)), message("n")
ROW = message("D", b"\0\1\0\0\0\3123")
ERROR = message("E", b"SERROR\0VERROR\0C40001\0Mcould not C\0\0")
NOTICE = message("N", b"SNOTICE\0C00000\0Mhello\0\0")

ANSWERS = [
    (BOUND + DESCRIBED + ROW + done("SELECT 1") + ready(), CODE_OK, 1, False),
    (BOUND + DESCRIBED + ROW * 3 + done("SELECT 3") + ready("T"), CODE_OK, 3, True),
    (BOUND + NO_DATA + done("UPDATE 2") + ready("T"), CODE_OK, 2, True),
    (done("BEGIN") + ready("T"), CODE_OK, -1, True),
    (DESCRIBED + ROW * 2 + done("SHOW") + ready(), CODE_OK, 2, False),
    (done("SET") + done("INSERT 0 5") + done("DELETE 1") + ready(), CODE_OK, 6, False),
    (message("I") + ready(), CODE_OK, -1, False),
    (NOTICE + BOUND + NO_DATA + done("CREATE TABLE") + NOTICE + ready(), CODE_OK, -1, False),
    (BOUND + DESCRIBED + ROW + ERROR + ready("E"), b"40001", -1, True),
    (message("E", b"SFATAL\0\0") + ready(), b"08P01", -1, False),
]


@pytest.mark.parametrize(("data", "code", "rows", "open_"), ANSWERS)
def test_an_answer_is_the_same_in_pieces_of_any_size(
    data: bytes, code: bytes, rows: int, open_: bool
) -> None:
    for size in (1, 2, 3, 7, len(data)):
        answer = Answer()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        *early, last = [answer.feed(piece) for piece in pieces]
        assert not any(early), size
        assert last, size
        assert (answer.code, answer.in_transaction) == (code, open_)
        assert code != CODE_OK or answer.rows == rows
        assert not answer.partial


def test_a_row_is_let_go_before_it_has_all_come() -> None:
    answer = Answer()
    big = message("D", bytes(1_000_000))
    assert not answer.feed(BOUND + DESCRIBED + big[:1000])
    assert not answer.partial
    assert not answer.feed(big[1000:500_000])
    assert answer.feed(big[500_000:] + ROW + done("SELECT 2") + ready())
    assert answer.rows == 2


def test_the_end_of_a_session_right_behind_an_answer_is_not_of_its_statement() -> None:
    answer = Answer()
    ended = message("E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0")
    assert answer.feed(BOUND + DESCRIBED + ROW + done("SELECT 1") + ready() + ended)
    assert (answer.code, answer.rows) == (CODE_OK, 1)


def test_copy_asks_for_what_nobody_has() -> None:
    answer = Answer()
    assert not answer.feed(message("G", b"\0\0\0"))
    assert answer.asks_for_data


def usual(data: bytes) -> tuple[bytes, tuple[int, bool]] | None:
    """What is known after an answer: how it begins, and what its end means."""
    known = Usual()
    known.learn(1, data)
    if not known.ends:
        return None
    ((_, meaning),) = known.ends.items()
    return known.begins[1][0], meaning


def test_only_plain_answers_are_usual() -> None:
    assert [usual(data) for data, *_ in ANSWERS] == [
        (BOUND + DESCRIBED, (1, False)),
        (BOUND + DESCRIBED, (3, True)),
        (BOUND + NO_DATA, (2, True)),
        (b"", (-1, True)),
        *[None] * 6,
    ]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=2000)), max_size=5))
def test_an_execution_binds_every_value(values: list[bytes | None]) -> None:
    sent = execute(b"s1", values)
    length = int.from_bytes(sent[1:5], "big")
    assert sent[1 + length :] == message("D", b"P\0") + message("E", b"\0" + bytes(4)) + message(
        "S"
    )
    assert sent[5:].startswith(b"\0s1\0\0\0" + len(values).to_bytes(2, "big"))
    assert values_of(sent) == tuple(values)


def test_a_text_is_sent_whole() -> None:
    assert query(b"SELECT 1") == message("Q", b"SELECT 1\0")
    assert parse(b"s1", b"SELECT $1") == message("P", b"s1\0SELECT $1\0\0\0")
