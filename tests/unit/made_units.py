"""Units by hand: a template is a letter, an error an SQLSTATE's number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replay.capture.executions import HAS_FAILED, NONE, Executions
from replay.capture.priority import Priorities, mix
from replay.capture.units import Sources, Units, priorities, session_seed

IDENTITIES: Priorities = mix(np.arange(1, 128, dtype=np.uint64))  # by the letter's code


@dataclass(frozen=True, slots=True)
class Made:
    """A unit that begins at a line of a session."""

    line: int
    templates: str
    state: int = NONE
    spent_us: int | None = None  # None: by line and template, all different
    start_us: int | None = None

    def spent(self, template: str) -> int:
        return (self.line * 7919 + ord(template)) % 1000 if self.spent_us is None else self.spent_us

    @property
    def start(self) -> int:
        return self.line * 200_000 if self.start_us is None else self.start_us


def units(made: Sequence[Made], seed: int = 0) -> Units:
    """Those units, in that order, as a block gives them."""
    sources = Sources()
    record = sources.add(b"\0a record")
    flat = [(one, template) for one in made for template in one.templates]
    column = {
        "template": [ord(template) for _, template in flat],
        "start_us": [one.start for one, _ in flat],
        "spent_us": [one.spent(template) for one, template in flat],
        "line": [one.line for one, _ in flat],
        "state": [one.state for one, _ in flat],
    }
    arrays = {name: np.array(values, np.int64) for name, values in column.items()}
    none = np.zeros(len(flat), np.int64)
    failed = arrays["state"] != NONE
    sizes = np.array([len(one.templates) for one in made], np.int64)
    seeds = np.full(len(made), session_seed(seed, b"s"), np.uint64)
    return Units(
        executions=Executions(
            **arrays,
            session=none,
            duration_us=np.where(failed, HAS_FAILED, arrays["spent_us"]),
            query_id=none,
            lethal=np.zeros(len(flat), np.bool_),
            source=np.full(len(flat), record),
            call=np.full(len(flat), NONE),
        ),
        first=np.cumsum(sizes) - sizes,
        priority=priorities(seeds, np.array([one.line for one in made], np.int64)),
        session=[b"s"] * len(made),
        sources=sources,
    )
