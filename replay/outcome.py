"""What became of a planned transaction or statement in a run, and the identity that binds them.

planned = started + skipped; started = ok + failed + cancelled. A transaction that waits for a
pool slot longer than the pool's timeout is *skipped*: the service would have given up. One that
is still under way when the run ends is *cancelled*. Anything that the server refused is *failed*,
by SQLSTATE.
"""

import re
from dataclasses import dataclass

OK = "ok"
CANCELLED = "cancelled"
SKIPPED_POOL = "skipped:pool_timeout"  # the pool had no free connection in time
SKIPPED_END = "skipped:end"  # still waiting for the pool when the run ended
SKIPPED_REFUSED = "skipped:refused"  # the target let none of the pool's sessions in
RETRIED_AFTER = "retried:"  # and a SQLSTATE: of a statement after which its transaction began again
LOST = "lost"  # the connection broke; counted as failed
UNANSWERED = (
    "unanswered"  # the service let the connection go instead; may not be sent twice: failed
)
LEFT_OUT_ASKED = "requests of routes that --leave-out names"
"""Why a transaction was not planned, where the user wants the run to be judged without it."""

REFUSAL = re.compile(r"[0-9A-Z]{5}|http \d{3}")
"""What a server gave as its reason: a SQLSTATE, or a service's status."""
_REFUSED = 400  # the first status of HTTP that is no success


def http_code(status: int) -> str:
    """A service's answer in the place of a SQLSTATE: five characters; empty for a success."""
    return f"H{status:04}" if status >= _REFUSED else ""


def error_name(code: str) -> str:
    """An error as people know it: `http 404` of H0404, a SQLSTATE as it is."""
    is_status = code[:1] == "H" and code[1:].isdigit()
    return f"http {int(code[1:])}" if is_status else code


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Transactions of a run, counted; `check` holds the identity."""

    planned: int
    started: int
    skipped: int
    ok: int
    failed: int
    cancelled: int

    def check(self) -> None:
        """Hold the accounting identity; an AssertionError is a fault of this program."""
        assert self.planned == self.started + self.skipped, self
        assert self.started == self.ok + self.failed + self.cancelled, self
