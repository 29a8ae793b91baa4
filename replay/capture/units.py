"""What is sampled: executions, and the units that hold them: transactions or single statements."""

import hashlib

import msgspec

PRIORITIES = 1 << 64
"""Priorities are whole numbers from 0 up to here, uniform."""


class Execution(msgspec.Struct, gc=False):
    """One execution as the log tells it: its values still stand in `sql` and `parameters`."""

    template: str  # id
    sql: str
    parameters: str  # raw DETAIL or CONTEXT; empty where there is none
    prepared: str | None  # None: simple protocol; "": unnamed
    start_us: int  # epoch
    duration_us: int  # of a failed one as far as it is known
    sqlstate: str = ""


class Unit(msgspec.Struct, gc=False):
    """A whole transaction, or an autocommit statement."""

    priority: int
    session: str
    executions: list[Execution]  # one at least

    @property
    def start_us(self) -> int:
        """Start of its first execution, epoch µs."""
        return self.executions[0].start_us


def session_seed(seed: int, session: str) -> int:
    """What a session's priorities derive from: 64 bits."""
    text = f"{seed}:{session}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def priority(session: int, line: int) -> int:
    """The priority of the unit that begins at that line of a session (by session_seed).

    The finaliser of splitmix64 (Steele, Lea, Flood 2014) over a Weyl step a line.
    """
    mixed = (session + line * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return mixed ^ (mixed >> 31)
