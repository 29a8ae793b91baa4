"""What the compiled loop and Python share in memory: numbers of eight bytes, by their place.

The loop is given one address, the board's; there it finds the addresses of all else. A place is an
offset in bytes, as the loop adds it; Python reads a table by `place // 8`.
"""

import platform

WORD = 8
FAR = 1 << 62  # ns: later than anything


def _places(count: int) -> tuple[int, ...]:
    return tuple(range(0, count * WORD, WORD))


# The board.
(
    EPOLL,  # descriptors
    TIMER,
    ORIGIN,  # ns, CLOCK_MONOTONIC
    PATIENCE,  # ns: how long an arrival waits for the pool
    STAY,  # ns that the loop may go on before the event loop has its turn
    AT,  # where the shard is read on, where it ends, and arrivals left in this block
    END,
    LEFT,
    NEXT,  # the arrival that is next, 0: none; when it is due, its number …
    NEXT_DUE,
    NEXT_NUMBER,
    NEXT_LINES,  # … where its lines are, how many, the settings that it wants, and where it ends
    NEXT_COUNT,
    NEXT_SETTINGS,
    NEXT_END,
    SESSIONS,  # tables: addresses, sizes and how full they are
    CALLS,
    CALLS_COUNT,
    READY,
    RECORDS,
    RECORDED,
    EXITS,
    EXITED,
    FREE,
    FREE_FIRST,
    FREE_COUNT,
    FREE_SIZE,
    PAUSES,
    PAUSED_COUNT,
    LOOKS,
    LOOKS_FIRST,
    LOOKS_COUNT,
    IN,  # room for what comes and what goes
    OUT,
    EVENTS,
    BUSY,  # transactions that the loop has under way
    WAKE,  # ns: when something is to be done next, and what the timer is set to
    ARMED,
    NUDGED,  # 1: look at once what is due
    ALARM,  # ns: when Python wants to be called
) = _places(40)
CLOCK, SPEC = 40 * WORD, 42 * WORD  # room for what the system writes and reads
BOARD = 46  # numbers

# A session's row.
(
    FD,  # -1: not the loop's to read or write
    PID,
    STATE,
    ARRIVAL,  # where its arrival stands in the shard, where that ends, and its number
    ARRIVAL_END,
    NUMBER,
    LINE,  # where the line that is under way, or to be sent, begins; where the one after does
    LINE_END,
    LINES,  # of the arrival
    POSITION,  # of that line
    DUE,  # ns
    BEGAN,
    LAG,
    TEMPLATE,
    SETTINGS,  # in force
    RESUME,  # ns: when its pause ends
    OPEN,  # 1: the server has a transaction open
    FREED,  # ns: since when it has nothing to do
    PREPARING,  # 0, or where it is to be noted that the statement under way is prepared
) = _places(19)
SESSION = 19

# What a session is doing, for the loop: nothing, a transaction of its own, or what Python has it do.
IDLE, RUNS, PAUSES_NOW, LENT, GONE = range(5)

# A call's row.
CALL_TEMPLATE, CALL_KIND, CALL_HEAD, CALL_HEAD_SIZE = _places(4)
CALL = 4
# How a call is sent: the line's message, behind the head until the name is prepared; always behind it;
# the head alone.
BY_NAME, BEHIND_HEAD, HEAD_ALONE = range(3)
# Of a call in a session, a byte: not prepared there yet; under its own name; Python's to send.
FRESH, PREPARED, RENAMED = range(3)

# A record, as `record.RECORD` packs it: several of its fields in one number, and the pid's upper half is
# the lower one of what follows.
R_ARRIVAL, R_OF_IT, R_WHERE, R_PID = _places(4)
R_DUE, R_BEGAN, R_ENDED, R_LAG, R_ROWS = (place + 28 for place in _places(5))
R_FLAGS_BIT, R_OUTCOME_BIT, R_SESSION_BIT = 16, 24, 32
RECORD_SIZE = 68
RECORDS_MOST = 1 << 15
RECORDS_SPARE = 256  # what one turn may add

# What Python has to do: kind, slot, and what else there is to say.
X_KIND, X_SLOT, X_FIRST, X_SECOND, X_THIRD, X_FOURTH = _places(6)
EXIT = 6
EXITS_MOST = 512
EXITS_SPARE = 128  # what one turn may add
(
    BEGIN,  # the arrival in the session's row: its lag, or -1
    SEND,  # the line that is next: its lag, or -1
    UNSENT,  # a message that was not written whole: bytes that were, or -1
    ANSWER,  # something else than the usual: bytes that came
    READ,  # a session that is not the loop's has something to read
    FAULT,  # one that is the loop's cannot be read
    FINISH,  # all lines are over, and the server has a transaction open: since when
    SKIP,  # an arrival, in the slot's place, waited for too long: template, due, now, lag
    TICK,  # the time of Python's alarm has come
) = range(9)

LOOKS_MOST = 1 << 16
LOOK_NS = 2_000_000  # while no session is free, arrivals are taken up together, so often
IN_SIZE = OUT_SIZE = 1 << 16
EVENTS_MOST = 64
OF_TIMER = (1 << 31) - 1  # in the place of a slot
# struct epoll_event is packed on x86-64 only.
EVENT_SIZE, EVENT_DATA = (12, 4) if platform.machine() in ("x86_64", "AMD64") else (16, 8)
