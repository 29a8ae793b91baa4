"""Who is next, as compiled code keeps it: arrivals of the shard, free sessions, pauses, looks, lag.

It is what `engine` says of the open loop, in the board's numbers.
"""

from replay.load.native import layout as at
from replay.load.native.layout import FAR, WORD
from replay.load.native.reading import array_at, number_at, past
from replay.load.native.words import compiled, get, inlined, put

_HEAD = 4  # bytes before a block: its length
_PAIR = 2 * WORD


@compiled
def advance(board: int) -> None:
    """Read the next arrival of the shard, up to its lines."""
    here = get(board + at.AT)
    while get(board + at.LEFT) == 0:
        if here >= get(board + at.END):
            put(board + at.AT, here)
            put(board + at.NEXT, 0)
            put(board + at.NEXT_DUE, FAR)
            return
        count, here = array_at(here + _HEAD)
        put(board + at.LEFT, count)
    put(board + at.LEFT, get(board + at.LEFT) - 1)
    put(board + at.NEXT, here)
    fields, here = array_at(here)
    number, here = number_at(here)
    due_us, here = number_at(here)
    lines, here = array_at(here)
    put(board + at.NEXT_NUMBER, number)
    put(board + at.NEXT_DUE, get(board + at.ORIGIN) + due_us * 1000)
    put(board + at.NEXT_LINES, here)
    put(board + at.NEXT_COUNT, lines)
    for _ in range(lines):
        here = past(here)
    settings = 0
    if fields > 3:
        here = past(here)  # the session
    if fields > 4:
        settings, here = number_at(here)
    for _ in range(5, fields):
        here = past(here)
    put(board + at.NEXT_SETTINGS, settings)
    put(board + at.NEXT_END, here)
    put(board + at.AT, here)


@inlined
def free_up(board: int, slot: int) -> None:
    """A session has nothing to do: it is the last one in the queue of such."""
    count, size = get(board + at.FREE_COUNT), get(board + at.FREE_SIZE)
    here = get(board + at.FREE_FIRST) + count
    put(get(board + at.FREE) + (here - size if here >= size else here) * WORD, slot)
    put(board + at.FREE_COUNT, count + 1)


@inlined
def take_free(board: int) -> int:
    """The session that has been free for longest."""
    first = get(board + at.FREE_FIRST)
    put(board + at.FREE_FIRST, 0 if first + 1 == get(board + at.FREE_SIZE) else first + 1)
    put(board + at.FREE_COUNT, get(board + at.FREE_COUNT) - 1)
    return get(get(board + at.FREE) + first * WORD)


@inlined
def note_look(board: int, now: int) -> None:
    """It was seen, when it was planned to be or later, that something waits for the pool.

    One too many is told by the next: it is how late that one was that counts then.
    """
    count = get(board + at.LOOKS_COUNT)
    if count < at.LOOKS_MOST:
        here = (
            get(board + at.LOOKS)
            + ((get(board + at.LOOKS_FIRST) + count) & (at.LOOKS_MOST - 1)) * _PAIR
        )
        put(here, get(board + at.WAKE))
        put(here + WORD, now)
        put(board + at.LOOKS_COUNT, count + 1)


@compiled
def lag_of(board: int, due: int, now: int) -> int:
    """Our part of the delay of what waited for the pool: how late it was seen to wait."""
    planned, made = get(board + at.WAKE), now
    while get(board + at.LOOKS_COUNT):
        first = get(board + at.LOOKS_FIRST)
        here = get(board + at.LOOKS) + first * _PAIR
        if get(here + WORD) >= due:
            planned, made = get(here), get(here + WORD)
            break
        put(board + at.LOOKS_FIRST, (first + 1) & (at.LOOKS_MOST - 1))
        put(board + at.LOOKS_COUNT, get(board + at.LOOKS_COUNT) - 1)
    return max(made - max(due, planned), 0)


@inlined
def _swap(one: int, other: int) -> None:
    first, second = get(one), get(one + WORD)
    put(one, get(other))
    put(one + WORD, get(other + WORD))
    put(other, first)
    put(other + WORD, second)


@compiled
def push_pause(board: int, resume: int, slot: int) -> None:
    """A session pauses until then: a heap, the earliest at its top."""
    heap, here = get(board + at.PAUSES), get(board + at.PAUSED_COUNT)
    put(board + at.PAUSED_COUNT, here + 1)
    put(heap + here * _PAIR, resume)
    put(heap + here * _PAIR + WORD, slot)
    while here:
        above = (here - 1) >> 1
        if get(heap + above * _PAIR) <= get(heap + here * _PAIR):
            break
        _swap(heap + above * _PAIR, heap + here * _PAIR)
        here = above


@compiled
def pop_pause(board: int) -> int:
    """The session whose pause ends first."""
    heap, count = get(board + at.PAUSES), get(board + at.PAUSED_COUNT) - 1
    put(board + at.PAUSED_COUNT, count)
    _swap(heap, heap + count * _PAIR)
    here = 0
    while True:
        below = 2 * here + 1
        if below >= count:
            break
        if below + 1 < count and get(heap + (below + 1) * _PAIR) < get(heap + below * _PAIR):
            below += 1
        if get(heap + here * _PAIR) <= get(heap + below * _PAIR):
            break
        _swap(heap + here * _PAIR, heap + below * _PAIR)
        here = below
    return get(heap + count * _PAIR + WORD)
