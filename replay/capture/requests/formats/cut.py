"""Requests of lines that are all cut alike: which field says what, and columns made of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replay.capture.blocks import lines_in
from replay.capture.formats.columns import Broken, Ints
from replay.capture.formats.texts import PLAIN, Texts
from replay.capture.kernels import as_bytes
from replay.capture.requests.columns import TEXTS, Requests, absent, elsewhere, hosts_of
from replay.capture.requests.formats import cells
from replay.capture.requests.formats.cells import NONE, Room, Shape, take
from replay.capture.requests.formats.moments import no_minute

ROLES = {
    "time": cells.TIME,
    "line": cells.LINE,
    "method": cells.METHOD,
    "target": cells.TARGET,
    "status": cells.STATUS,
    "size": cells.SIZE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How lines are cut, by literals ahead of each field and behind the last; fields go by number."""

    literals: Sequence[bytes]
    roles: Mapping[str, int]  # see ROLES
    durations: Sequence[int] = ()  # one field, or three to be summed
    texts: Mapping[str, int] = field(default_factory=dict)  # by column
    hosts: Sequence[int] = ()
    port: int = NONE  # of the host that stands ahead of it
    time_unit_us: int = 0  # that a number of the time counts; 0: it is a text
    duration_unit_us: int = 1
    quotes: int = NONE  # of every line, where all have as many
    is_begin: bool = False  # else the time is the request's end
    dashes: bool = False  # a dash is nothing

    def shape(self) -> Shape:
        """For compiled code."""
        roles = np.full(cells.DURATION_3 + 1, NONE, np.int64)
        for name, at in self.roles.items():
            roles[ROLES[name]] = at
        roles[cells.DURATION : cells.DURATION + len(self.durations)] = self.durations
        ports = [self.port] * (self.port != NONE)
        rules = (
            *(self.time_unit_us, self.duration_unit_us),
            *(self.quotes, self.is_begin, self.dashes),
        )
        return Shape(
            literals=as_bytes(b"".join(self.literals)),
            bounds=np.cumsum([0, *map(len, self.literals)]),
            roles=roles,
            kept=np.array([*self.texts.values(), *self.hosts, *ports], np.int64),
            rules=np.array(rules, np.int64),
        )


def cut(block: memoryview, plan: Plan) -> tuple[Requests, Ints]:
    """The requests of whole lines; of the odd lines begin, end, and what is odd about each."""
    data, shape = as_bytes(block), plan.shape()
    lines, columns = lines_in(block) + 1, 2 + shape.kept.size
    room = Room(
        begins=np.empty((columns, lines), np.int32),
        ends=np.empty((columns, lines), np.int32),
        numbers=np.empty((5, lines), np.int64),
        odd=np.empty((3, lines), np.int64),
        counts=np.zeros(3, np.int64),
        fields=np.zeros((2, shape.bounds.size), np.uint64),
        minute=no_minute(),
    )
    take(data, shape, room)
    count, odd, _ = room.counts.tolist()
    marks = np.full(count, PLAIN, np.uint8)
    texts = [
        Texts(data, begins[:count], ends[:count], marks)
        for begins, ends in zip(room.begins, room.ends, strict=True)
    ]
    named = dict(zip(("method", "target", *plan.texts), texts, strict=False))
    columns_of: dict[str, Any] = {
        name: named[name] if name in named else absent(count) for name in TEXTS
    }
    whole = elsewhere(texts[1]) if room.counts[2] else absent(0)
    return (
        Requests(
            begin=room.numbers[cells.BEGIN, :count],
            at_us=room.numbers[cells.AT, :count],
            duration_us=room.numbers[cells.TOOK, :count],
            status=room.numbers[cells.CODE, :count],
            size=room.numbers[cells.SENT, :count],
            hosts=hosts_of(_hosts(texts[2 + len(plan.texts) :], plan), whole),
            **columns_of,
        ),
        room.odd[:, :odd],
    )


def broken_of(odd: Ints, reasons: Mapping[int, str]) -> tuple[Broken, ...]:
    """Odd lines as pieces that are no record."""
    begins, _, codes = odd.tolist()
    return tuple(
        Broken(offset=begin, reason=reasons[code])
        for begin, code in zip(begins, codes, strict=True)
    )


def _hosts(texts: Sequence[Texts], plan: Plan) -> Sequence[Texts]:
    """Columns that name hosts; where a port is right behind all of one, with it."""
    hosts = texts[: len(plan.hosts)]
    if plan.port == NONE:
        return hosts
    port = texts[-1]
    return [
        Texts(one.data, one.begins, port.ends, one.marks)
        if bool((port.begins == one.ends + 1).all())
        else one
        for one in hosts
    ]
