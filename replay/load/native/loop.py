"""The compiled loop: what the usual transaction needs, from its arrival to its record.

It sends lines, reads answers that are as usual, writes records, keeps pauses and takes up arrivals, for
as long as there is something to do; what is anything else it leaves to Python, as an exit that
says what. A session that was lent that way is Python's until its transaction is over.
"""

import numpy as np

from replay.load.native import layout as at
from replay.load.native.due import (
    advance,
    free_up,
    lag_of,
    note_look,
    pop_pause,
    push_pause,
    take_free,
)
from replay.load.native.layout import FAR, WORD
from replay.load.native.reading import array_at, bytes_at, number_at, past, usual
from replay.load.native.words import (
    byte,
    c_clock_gettime,
    c_epoll_wait,
    c_read,
    c_timerfd_settime,
    c_write,
    compiled,
    copy,
    get,
    inlined,
    put,
    put_byte,
)
from replay.load.record import CODE_OK, FINAL

_SECOND, _MILLISECOND = 1_000_000_000, 1_000_000
_MONOTONIC = np.int32(1)
_ABSOLUTE = np.int32(1)  # TFD_TIMER_ABSTIME
_NOTHING, _NO_TEXT = 0x90, 0xA0  # MessagePack's empty array and text
_OUT_OF_TRANSACTION = 73  # I
_OK = int.from_bytes(CODE_OK, "little")


@inlined
def _now(board: int) -> int:
    c_clock_gettime(_MONOTONIC, board + at.CLOCK)
    return get(board + at.CLOCK) * _SECOND + get(board + at.CLOCK + WORD)


@compiled
def _leave(board: int, kind: int, slot: int, first: int) -> int:
    """Leave something to Python; where it is said."""
    count = get(board + at.EXITED)
    here = get(board + at.EXITS) + count * at.EXIT * WORD
    put(board + at.EXITED, count + 1)
    put(here + at.X_KIND, kind)
    put(here + at.X_SLOT, slot)
    put(here + at.X_FIRST, first)
    return here


@compiled
def _lend(board: int, session: int, kind: int, slot: int, first: int) -> None:
    """Leave a session's transaction to Python."""
    put(session + at.STATE, at.LENT)
    put(board + at.BUSY, get(board + at.BUSY) - 1)
    _leave(board, kind, slot, first)


@inlined
def _is_odd(fields: int, here: int) -> bool:
    """Whether a line has values, a text of its own or others to wait for; `at`: behind its gap."""
    odd = False
    if fields > 3:
        odd = byte(here) != _NOTHING
        here = past(here)
    if fields > 4:
        here = past(here)  # the error that is expected
    if fields > 5:
        odd = odd or byte(here) != _NO_TEXT
        here = past(here)
    if fields > 6:
        odd = odd or byte(here) != _NOTHING
    return odd


@inlined
def _behind_head(board: int, call: int, message: int, size: int) -> int:
    """Put a message behind its call's head, where messages go from; how long both are, 0: too long."""
    head = get(call + at.CALL_HEAD_SIZE)
    if head + size > at.OUT_SIZE:
        return 0
    copy(get(board + at.OUT), get(call + at.CALL_HEAD), head)
    copy(get(board + at.OUT) + head, message, size)
    return head + size


@inlined
def _whole(board: int, call: int, message: int, size: int, ready: int) -> tuple[int, int, int]:
    """All that is sent for a line's message: where, how long (0: Python's), and PREPARING.

    `ready` is where it stands how far the call is in the session.
    """
    kind = get(call + at.CALL_KIND)
    if kind == at.HEAD_ALONE:
        return get(call + at.CALL_HEAD), get(call + at.CALL_HEAD_SIZE), 0
    if kind == at.BEHIND_HEAD:
        return get(board + at.OUT), _behind_head(board, call, message, size), 0
    state = byte(ready)
    if state == at.FRESH:
        return get(board + at.OUT), _behind_head(board, call, message, size), ready
    return message, size if state == at.PREPARED else 0, 0


@compiled
def _send(board: int, session: int, slot: int, lag: int, now: int) -> None:
    """Send the line that is next; its lag is all of its delay where none is given."""
    line = get(session + at.LINE)
    fields, here = array_at(line)
    number, here = number_at(here)
    message, size = here, 0
    if fields > 1:
        message, size = bytes_at(here)
        here = message + size
    if fields > 2:
        here = past(here)
    put(session + at.LINE_END, past(line))
    call = get(board + at.CALLS) + number * at.CALL * WORD
    ready = get(board + at.READY) + slot * get(board + at.CALLS_COUNT) + number
    message, size, preparing = _whole(board, call, message, size, ready)
    if size == 0 or _is_odd(fields, here):
        _lend(board, session, at.SEND, slot, lag)
        return
    put(session + at.PREPARING, preparing)
    put(session + at.TEMPLATE, get(call + at.CALL_TEMPLATE))
    put(session + at.BEGAN, now)
    put(session + at.LAG, now - get(session + at.DUE) if lag < 0 else lag)
    written = c_write(np.int32(get(session + at.FD)), message, size)
    if written != size:
        _lend(board, session, at.UNSENT, slot, written)


@compiled
def _begin(board: int, session: int, slot: int, lag: int, now: int) -> None:
    """Give a session the arrival that is next."""
    put(session + at.STATE, at.RUNS)
    put(session + at.ARRIVAL, get(board + at.NEXT))
    put(session + at.ARRIVAL_END, get(board + at.NEXT_END))
    put(session + at.NUMBER, get(board + at.NEXT_NUMBER))
    put(session + at.LINE, get(board + at.NEXT_LINES))
    put(session + at.LINES, get(board + at.NEXT_COUNT))
    put(session + at.DUE, get(board + at.NEXT_DUE))
    put(session + at.POSITION, 0)
    as_it_is = get(session + at.FD) >= 0 and get(session + at.SETTINGS) == get(
        board + at.NEXT_SETTINGS
    )
    advance(board)
    if as_it_is:
        _send(board, session, slot, lag, now)
    else:
        _lend(board, session, at.BEGIN, slot, lag)


@inlined
def _record(board: int, session: int, slot: int, now: int, rows: int, flags: int) -> None:
    count = get(board + at.RECORDED)
    put(board + at.RECORDED, count + 1)
    here = get(board + at.RECORDS) + count * at.RECORD_SIZE
    of_it = get(session + at.POSITION) | flags << at.R_FLAGS_BIT | _OK << at.R_OUTCOME_BIT
    put(here + at.R_ARRIVAL, get(session + at.NUMBER))
    put(here + at.R_OF_IT, of_it)
    put(here + at.R_WHERE, get(session + at.TEMPLATE) | slot << at.R_SESSION_BIT)
    put(here + at.R_PID, get(session + at.PID))
    put(here + at.R_DUE, get(session + at.DUE))
    put(here + at.R_BEGAN, get(session + at.BEGAN))
    put(here + at.R_ENDED, now)
    put(here + at.R_LAG, get(session + at.LAG))
    put(here + at.R_ROWS, rows)


@inlined
def _gap_us(line: int) -> int:
    fields, here = array_at(line)
    if fields < 3:
        return 0
    gap_us, _ = number_at(past(past(here)))
    return gap_us


@inlined
def _go_on(board: int, session: int, slot: int, now: int) -> None:
    """The transaction's next line, at once or when the client had its own business done."""
    line = get(session + at.LINE_END)
    put(session + at.LINE, line)
    put(session + at.POSITION, get(session + at.POSITION) + 1)
    gap_us = _gap_us(line)
    if gap_us:
        resume = now + gap_us * 1000
        put(session + at.STATE, at.PAUSES_NOW)
        put(session + at.RESUME, resume)
        push_pause(board, resume, slot)
        put(board + at.WAKE, min(get(board + at.WAKE), resume))
    else:
        put(session + at.DUE, now)
        _send(board, session, slot, -1, now)


@inlined
def _release(board: int, session: int, slot: int, now: int) -> None:
    """A session's work is done: give it what waits for one, or let it be free."""
    due = get(board + at.NEXT_DUE)
    if due <= now and get(board + at.FREE_COUNT) == 0:
        _begin(board, session, slot, lag_of(board, due, now), now)
    else:
        put(board + at.BUSY, get(board + at.BUSY) - 1)
        put(session + at.STATE, at.IDLE)
        put(session + at.FREED, now)
        free_up(board, slot)
        put(board + at.WAKE, min(get(board + at.WAKE), due))


@compiled
def _take_in(board: int, slot: int) -> bool:
    """Something came for a session; False where it has to be looked at before anything else comes."""
    session = get(board + at.SESSIONS) + slot * at.SESSION * WORD
    state = get(session + at.STATE)
    if state != at.RUNS:
        if state != at.GONE:
            _leave(board, at.READ, slot, 0)
        return True
    size = c_read(np.int32(get(session + at.FD)), get(board + at.IN), at.IN_SIZE)
    now = _now(board)
    if size <= 0:
        _lend(board, session, at.FAULT, slot, 0)
        return True
    ready, rows = usual(get(board + at.IN), size)
    if ready < 0:
        _lend(board, session, at.ANSWER, slot, size)
        return False
    preparing = get(session + at.PREPARING)
    if preparing:
        put_byte(preparing, at.PREPARED)
    put(session + at.OPEN, 0 if ready == _OUT_OF_TRANSACTION else 1)
    is_last = get(session + at.POSITION) + 1 == get(session + at.LINES)
    _record(board, session, slot, now, rows, FINAL if is_last else 0)
    if not is_last:
        _go_on(board, session, slot, now)
    elif ready == _OUT_OF_TRANSACTION:
        _release(board, session, slot, now)
    else:
        _lend(board, session, at.FINISH, slot, now)
    return True


@compiled
def _skip(board: int, now: int) -> None:
    """The arrival that is next has waited for so long that the service would have given up."""
    due = get(board + at.NEXT_DUE)
    call, _ = number_at(array_at(get(board + at.NEXT_LINES))[1])
    template = get(get(board + at.CALLS) + call * at.CALL * WORD + at.CALL_TEMPLATE)
    here = _leave(board, at.SKIP, get(board + at.NEXT_NUMBER), template)
    put(here + at.X_SECOND, due)
    put(here + at.X_THIRD, now)
    put(here + at.X_FOURTH, lag_of(board, due, now))
    advance(board)


@inlined
def _is_full(board: int) -> bool:
    """Whether Python has to make room before anything else is done."""
    return (
        get(board + at.EXITED) > at.EXITS_MOST - at.EXITS_SPARE
        or get(board + at.RECORDED) > at.RECORDS_MOST - at.RECORDS_SPARE
    )


@compiled
def _run_due(board: int) -> None:
    """Do all that is due, then say when the next is."""
    now = _now(board)
    if get(board + at.ALARM) <= now:
        put(board + at.ALARM, FAR)
        _leave(board, at.TICK, 0, 0)
    while not _is_full(board):
        due = get(board + at.NEXT_DUE)
        if due <= now and get(board + at.FREE_COUNT):
            slot = take_free(board)
            session = get(board + at.SESSIONS) + slot * at.SESSION * WORD
            put(board + at.BUSY, get(board + at.BUSY) + 1)
            # Python frees one, and what waited for it is taken up here.
            freed = get(session + at.FREED)
            lag = -1 if freed <= due else lag_of(board, due, freed) + now - freed
            _begin(board, session, slot, lag, now)
        elif due <= now and now - due >= get(board + at.PATIENCE):
            _skip(board, now)
        elif get(board + at.PAUSED_COUNT) and get(get(board + at.PAUSES)) <= now:
            resume = get(get(board + at.PAUSES))
            slot = pop_pause(board)
            session = get(board + at.SESSIONS) + slot * at.SESSION * WORD
            put(session + at.STATE, at.RUNS)
            put(session + at.DUE, resume)
            _send(board, session, slot, -1, now)
        else:
            break
        now = _now(board)
    due = get(board + at.NEXT_DUE)
    wake = due
    if get(board + at.FREE_COUNT) == 0:
        if due <= now:
            note_look(board, now)
        # Nobody could serve it before: whoever becomes free looks for himself.
        wake = min(max(due, now + at.LOOK_NS), due + get(board + at.PATIENCE))
    if get(board + at.PAUSED_COUNT):
        wake = min(wake, get(get(board + at.PAUSES)))
    put(board + at.WAKE, min(wake, get(board + at.ALARM)))


@inlined
def _arm(board: int) -> None:
    """Set the timer to when the next is due, which also clears what has expired."""
    wake = get(board + at.WAKE)
    if wake == get(board + at.ARMED):
        return
    put(board + at.ARMED, wake)
    here = 0 if wake >= FAR else max(wake, 1)
    put(board + at.SPEC + 2 * WORD, here // _SECOND)
    put(board + at.SPEC + 3 * WORD, here % _SECOND)
    c_timerfd_settime(np.int32(get(board + at.TIMER)), _ABSOLUTE, board + at.SPEC, 0)


@inlined
def _patience_ms(board: int, now: int, until: int) -> int:
    """How long to wait here: for what is under way or due soon, and else not at all.

    The event loop's own wait costs more, but all else that this process has to do is seen in it.
    """
    left = until - now
    if left <= 0 or not (get(board + at.BUSY) or get(board + at.WAKE) < until):
        return 0
    return left // _MILLISECOND + 1


@compiled
def run(board: int) -> None:
    """Go on until something is Python's to do, nothing comes, or the event loop should have its turn."""
    until = _now(board) + get(board + at.STAY)
    events = get(board + at.EVENTS)
    if get(board + at.NEXT) == 0:
        advance(board)  # the first one, or there is none
    has_looked = False
    while True:
        # What Python is to read may be the end of a free session: it must not be given anything.
        if get(board + at.EXITED):
            return
        now = _now(board)
        if get(board + at.NUDGED) or now >= get(board + at.WAKE):
            put(board + at.NUDGED, 0)
            _run_due(board)
        _arm(board)
        timeout_ms = _patience_ms(board, now, until)
        if get(board + at.EXITED) or _is_full(board) or (has_looked and timeout_ms == 0):
            return
        has_looked = True
        count = c_epoll_wait(
            np.int32(get(board + at.EPOLL)), events, np.int32(at.EVENTS_MOST), np.int32(timeout_ms)
        )
        if count <= 0:
            return
        for n in range(count):
            slot = get(events + n * at.EVENT_SIZE + at.EVENT_DATA)
            if slot != at.OF_TIMER and not _take_in(board, slot):
                return
