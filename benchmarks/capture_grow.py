"""Grows a log: repeats it as later traffic, by other sessions, with other values.

`python benchmarks/capture_grow.py BASE OUT BYTES [--rewrite HOW]`. A repetition differs from
the base in its time stamps, its session ids (which begin with the session's start) and its numbers,
and in nothing else; all of these keep their width, so that a gigabyte takes seconds. A process of
its own, because it holds the base in memory and its caller measures that of others.
"""

import argparse
import re
from calendar import timegm
from collections.abc import Callable, Iterator
from pathlib import Path
from time import gmtime, strftime, strptime

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

_FORMAT = "%Y-%m-%d %H:%M:%S"
_DAY = rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_STAMP, _START, _ID = _DAY + rb")\.\d{3} UTC", _DAY + rb") UTC", rb"([0-9a-f]{8})\.[0-9a-f]+"
_QUOTED = rb'(?:"[^"]*")?'
HEADS = {  # of a record: its time stamp, its session's id, its session's start
    ".csv": rb",".join(
        (b"^" + _STAMP, _QUOTED, _QUOTED, rb"\d*", _QUOTED, _ID, rb"\d*", _QUOTED, _START)
    ),
    ".json": rb'^{"timestamp":"%b".*?"session_id":"%b","line_num":.*?"session_start":"%b"'
    % (_STAMP, _ID, _START),
    ".log": rb"^%b \[\d+\] (?:\S+@\S+/\S* %b )?" % (_STAMP, _ID),
}
# A repetition turns each digit but the first by as much wherever it stands: bind and execute still
# agree, and what was different stays so. Dates are no numbers.
NUMBERS = re.compile(rb"(?:= |\(|')([1-9]\d{2,})(?![\w.:-])|([1-9]\d{2,})(?=@)")
GAP_S = 60  # between repetitions


class Base:
    """A log, and where in it everything stands that a repetition changes."""

    def __init__(self, log: bytes, suffix: str) -> None:
        self.log = np.frombuffer(log, np.uint8)
        heads = list(re.finditer(HEADS[suffix], log, re.MULTILINE))
        if not heads:
            raise SystemExit(
                f"no record of a UTC {suffix} log, with capture_log.py's prefix, in it"
            )
        self.begins = np.array([head.start() for head in heads])
        stamps = _Field(heads, 1, _second, _day)
        self._fields = [stamps, _Field(heads, 2, _from_hexadecimal, _hexadecimal)]
        if heads[0].re.groups > 2:
            self._fields.append(_Field(heads, 3, _second, _day))
        self._digits, self._places = _numbers(log)
        self._step_s = max(stamps.seconds) - min(stamps.seconds) + GAP_S

    def repetition(self, number: int) -> Bytes:
        """The log as it was so many times later; 0 is the log itself."""
        if not number:
            return self.log
        out = self.log.copy()
        turn = np.random.default_rng(number).integers(0, 10, self._places.max(initial=0) + 1)
        turn = turn.astype(np.uint8)
        out[self._digits] = (out[self._digits] - 48 + turn[self._places]) % 10 + 48
        for field in self._fields:
            field.write(out, number * self._step_s)
        return out


class _Field:
    """A time in every record, to the second: few different ones, each at many places."""

    def __init__(
        self,
        heads: list[re.Match[bytes]],
        group: int,
        read: Callable[[bytes], int],
        render: Callable[[int], bytes],
    ) -> None:
        found = [(head.start(group), head[group]) for head in heads if head[group]]
        codes = {text: code for code, text in enumerate(dict.fromkeys(text for _, text in found))}
        self.seconds = [read(text) for text in codes]
        self._where = np.array([where for where, _ in found], np.int64)
        self._codes = np.array([codes[text] for _, text in found], np.int64)
        self._render = render

    def write(self, out: Bytes, later_s: int) -> None:
        texts = np.array([self._render(second + later_s) for second in self.seconds])
        width = texts.dtype.itemsize
        # Every position of the log as the beginning of a text: one copy instead of one per byte.
        windows = np.ndarray(len(out) - width + 1, f"V{width}", out.data, strides=(1,))
        windows[self._where] = texts.view(f"V{width}")[self._codes]


def _second(text: bytes) -> int:
    return timegm(strptime(text.decode(), _FORMAT))


def _day(second: int) -> bytes:
    return strftime(_FORMAT, gmtime(second)).encode()


def _from_hexadecimal(text: bytes) -> int:
    return int(text, 16)


def _hexadecimal(second: int) -> bytes:
    return b"%08x" % second


def _numbers(log: bytes) -> tuple[Positions, Positions]:
    """Where the digits of numbers are, the first of each left out, and their place in the number."""
    spans = [one.span(1) if one[1] else one.span(2) for one in NUMBERS.finditer(log)]
    begins, ends = np.array(spans, np.int64).reshape(-1, 2).T
    lengths = ends - begins - 1
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(begins + 1, lengths) + offsets, offsets


def grown(base: Base, size: int) -> Iterator[Bytes]:
    """Repetitions until there are so many bytes, cut after a record."""
    number = 0
    while size >= len(base.log):
        yield base.repetition(number)
        size -= len(base.log)
        number += 1
    whole = base.begins[np.searchsorted(base.begins, size, side="right") - 1]
    yield base.repetition(number)[:whole]


def without_query_id(log: bytes) -> bytes:
    """A csvlog as it is with compute_query_id off: its last column is 0."""
    begins = [one.start() for one in re.finditer(HEADS[".csv"], log, re.MULTILINE)]
    pieces = []
    for begin, end in zip(begins, [*begins[1:], len(log)], strict=True):
        pieces.append(log[begin : log.rindex(b",", begin, end)])
    return b",0\n".join([*pieces, b""])


def unnamed(log: bytes) -> bytes:
    """A csvlog of an application that names no prepared statement: pgreplay 1.2.0 crashes on them.

    Nor does it know the capital letter with which newer servers begin the list of parameters.
    """
    log = re.sub(
        rb'(,"(?:duration: [\d.]+ ms  )?(?:parse|bind|execute) )_pg3_\d+: ', rb"\1<unnamed>: ", log
    )
    return log.replace(b',"Parameters: $1', b',"parameters: $1')


REWRITES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "without query_id": without_query_id,
    "unnamed": unnamed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("bytes", type=int)
    parser.add_argument("--rewrite", choices=REWRITES, default="as it is")
    options = parser.parse_args()
    log = REWRITES[options.rewrite](options.base.read_bytes())
    with options.out.open("wb") as stream:
        for piece in grown(Base(log, options.base.suffix), options.bytes):
            stream.write(piece.data)


if __name__ == "__main__":
    main()
