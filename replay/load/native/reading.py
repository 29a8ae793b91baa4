"""A shard's MessagePack and the server's answers, as compiled code reads them where they lie.

Of both only as much as the loop needs: `shard` has written the one, and what is unusual of the other
goes to `protocol`, which understands all of it.
"""

from replay.load.native.words import big, byte, compiled, inlined, signed_big

_NOT_USUAL = -1
_UNTOLD = -1  # rows, where nothing counts them


@inlined
def array_at(at: int) -> tuple[int, int]:
    """How many members, and where the first one begins."""
    kind = byte(at)
    if kind == 0xDC:
        return big(at + 1, 2), at + 3
    if kind == 0xDD:
        return big(at + 1, 4), at + 5
    return kind & 0x0F, at + 1


@inlined
def number_at(at: int) -> tuple[int, int]:
    """A whole number, and what is behind it."""
    kind = byte(at)
    if kind < 0x80:
        return kind, at + 1
    if kind >= 0xE0:
        return kind - 0x100, at + 1
    size = 1 << (kind & 3)  # 0xCC to 0xCF without a sign, 0xD0 to 0xD3 with one
    found = big(at + 1, size)
    if kind >= 0xD0 and size < 8 and found >> (8 * size - 1):
        found -= 1 << (8 * size)
    return found, at + 1 + size


@inlined
def bytes_at(at: int) -> tuple[int, int]:
    """Where bytes or a text begin, and how many they are."""
    kind = byte(at)
    if 0xA0 <= kind <= 0xBF:
        return at + 1, kind & 0x1F
    width = 1 << (kind - 0xC4 if kind < 0xD0 else kind - 0xD9)
    return at + 1 + width, big(at + 1, width)


@compiled
def past(at: int) -> int:
    """Behind the value that begins here, whatever it is."""
    left = 1
    while left:
        left -= 1
        kind = byte(at)
        if kind < 0x80 or kind >= 0xE0 or kind == 0xC0:
            at += 1
        elif 0x90 <= kind <= 0x9F or 0xDC <= kind <= 0xDD:
            count, at = array_at(at)
            left += count
        elif 0xCC <= kind <= 0xD3:
            at += 1 + (1 << (kind & 3))
        else:
            begin, size = bytes_at(at)
            at = begin + size
    return at


@inlined
def _counted(begin: int, end: int) -> int:
    """The number that a command's tag, without its last NUL, ends with; -1: none."""
    found, scale, at = 0, 1, end
    while at > begin and 48 <= byte(at - 1) <= 57:
        at -= 1
        found += scale * (byte(at) - 48)
        scale *= 10
    return found if at < end and (at == begin or byte(at - 1) == 32) else _UNTOLD


@compiled
def usual(begin: int, size: int) -> tuple[int, int]:
    """The state that the server is ready in, and the rows, of an answer that is whole and plain.

    -1 is the state of any other: an error, a notice, a part. See protocol.Answer.
    """
    at, end = begin, begin + size
    rows, total, described = 0, _UNTOLD, False
    while end - at >= 5:
        kind = byte(at)
        after = at + 1 + signed_big(at + 1)
        if after > end or after < at + 5:
            break
        if kind == 68:  # D: a row
            rows += 1
        elif kind == 67:  # C: a command is done
            count = _counted(at + 5, after - 1)
            if count == _UNTOLD and described:
                count = rows
            if count != _UNTOLD:
                total = max(total, 0) + count
            rows, described = 0, False
        elif kind == 84:  # T: what the rows are
            described = True
        elif kind == 90:  # Z: ready
            return (byte(at + 5) if after == end else _NOT_USUAL), total
        elif kind not in (49, 50, 110, 73):  # parsed, bound, no rows, nothing to do
            break
        at = after
    return _NOT_USUAL, _UNTOLD
