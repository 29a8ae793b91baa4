"""What one log record says of contention: who waited for which kind of lock, or failed for one.

The lines are proc.c's (log_lock_waits, and log_lock_failures of PostgreSQL 18), deadlock.c's and
postgres.c's, versions 14 to 18, in English; a deadlock is known by its SQLSTATE in any language.
Numbers of processes, transactions and tuples are production's own, and end here: a lock is known by
its mode and by the kind of thing it is on, a statement by its template, a relation by its name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from replay.sql.fingerprint import Fingerprint, fingerprint

_DEADLOCK = "40P01"
_NOT_AVAILABLE = "55P03"
_CANCELLED = "57014"

_TOLD = re.compile(
    r"process \d+ (?P<what>still waiting for|acquired|failed to acquire|could not obtain"
    r"|avoided deadlock for|detected deadlock while waiting for) (?P<lock>\w+) on (?P<on>.*?)"
    r"(?: by rearranging queue order)?(?: after (?P<ms>\d+)\.(?P<us>\d{3}) ms)?",
    re.DOTALL,
)
_KINDS = {
    "still waiting for": "waiting",
    "acquired": "acquired",
    "failed to acquire": "failed",
    "could not obtain": "unobtained",
    "avoided deadlock for": "avoided",
    "detected deadlock while waiting for": "detected",
}
# What DescribeLockTag (lmgr.c) names, by how it begins.
_OBJECTS = {
    "relation ": "relation",
    "extension ": "extension",
    "page ": "page",
    "tuple ": "tuple",
    "transaction ": "transaction",
    "virtual ": "virtual transaction",
    "remote ": "remote transaction",
    "speculative ": "speculative token",
    "object ": "object",
    "user ": "user lock",
    "advisory ": "advisory lock",
    "pg_database": "frozen ids",
}
_QUEUE = re.compile(r"Wait queue: ([\d, ]+)\.")
# The innermost context comes first; behind it stand texts of statements, which may say anything.
_ROW = re.compile(r'while [a-z ]+ tuple \(\d+,\d+\) in relation "(.+)"$', re.MULTILINE)
_REFUSED = re.compile(r'could not obtain lock on (row in )?relation (?:"(.+)"|with OID \d+)')
_CYCLE = re.compile(r"Process (\d+) waits for (\w+) on ([^;]*); blocked by process \d+\.\n?")
_NO_TEXTS = ("<insufficient privilege>", "<backend information not available>", "<command string")

_CUT_OFF_FROM = 96  # characters: track_activity_query_size is 100 bytes at least

Templates = Callable[[str], Fingerprint]


class Peer(NamedTuple):
    """The statement of another process of a deadlock."""

    template: str  # id
    begins: str  # its canonical SQL, where the log may have cut its text off


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One record's evidence; the fields are those of `workload.Conflict`."""

    kind: str
    at_us: int  # epoch µs of the record
    template: str = ""
    peers: tuple[Peer, ...] = ()  # of a deadlock, sorted
    lock: str = ""
    on: str = ""
    relation: str = ""
    waited_us: int = 0
    queued: int = 0


@lru_cache(maxsize=4096)
def known(text: str) -> Fingerprint:
    """The fingerprint of a statement that is told again and again, as those that wait are."""
    return fingerprint(text)


def observe(
    *,
    message: str,
    detail: str,
    context: str,
    statement: str,
    sqlstate: str,
    at_us: int,
    template_of: Templates = known,
) -> Observation | None:
    """What a record says of contention, or None where it says nothing of it."""
    template = template_of(statement).id if statement else ""
    row = _ROW.match(context)
    relation = row[1] if row else ""
    if sqlstate == _DEADLOCK:
        return _deadlock(detail, template, relation, at_us, template_of)
    if sqlstate in (_NOT_AVAILABLE, _CANCELLED):
        return _failed(message, sqlstate, template, relation, at_us)
    told = _TOLD.fullmatch(message)
    if told is None:
        return None
    queue = _QUEUE.search(detail)
    return Observation(
        kind=_KINDS[told["what"]],
        at_us=at_us,
        template=template,
        lock=told["lock"],
        on=_object(told["on"]),
        relation=relation,
        waited_us=int(told["ms"]) * 1000 + int(told["us"]) if told["ms"] else 0,
        queued=queue[1].count(",") + 1 if queue else 0,
    )


def _deadlock(
    detail: str, template: str, relation: str, at_us: int, template_of: Templates
) -> Observation:
    """A deadlock from the side of the one that failed: the first of the cycle in DETAIL."""
    cycle = list(_CYCLE.finditer(detail))
    texts = _texts(detail[cycle[-1].end() :], [found[1] for found in cycle]) if cycle else []
    peers = {_peer(text, template_of(text)) for text in texts[1:] if text}
    if not template and texts and texts[0]:
        template = template_of(texts[0]).id
    return Observation(
        kind="deadlock",
        at_us=at_us,
        template=template,
        peers=tuple(sorted(peers)),
        lock=cycle[0][2] if cycle else "",
        on=_object(cycle[0][3]) if cycle else "",
        relation=relation,
    )


def _peer(text: str, found: Fingerprint) -> Peer:
    return Peer(found.id, found.sql if len(text) >= _CUT_OFF_FROM else "")


def _texts(listed: str, pids: list[str]) -> list[str]:
    """The SQL of each process, in the order of the cycle; empty where the server did not tell.

    A text may hold lines that look like the next process: only the pid that is due ends it.
    """
    texts: list[str] = []
    for pid, after in zip(pids, [*pids[1:], ""], strict=True):
        mark = f"Process {pid}: "
        if not listed.startswith(mark):
            return texts
        end = listed.find(f"\nProcess {after}: ") if after else len(listed)
        text = listed[len(mark) : end if end >= 0 else len(listed)]
        texts.append("" if text.startswith(_NO_TEXTS) else text)
        listed = listed[end + 1 :] if end >= 0 else ""
    return texts


def _failed(
    message: str, sqlstate: str, template: str, relation: str, at_us: int
) -> Observation | None:
    """A statement that did not get its lock in time, or at once, or was cancelled as it waited.

    A cancelled one counts where its context says that it waited for a row: other waits leave no
    trace in the record.
    """
    on = "transaction" if relation else ""
    if "due to lock timeout" in message:
        kind = "timeout"
    elif sqlstate == _CANCELLED:
        if not relation:
            return None
        kind = "cancelled"
    elif message.startswith("skipping "):  # VACUUM (SKIP_LOCKED): nobody failed
        return None
    else:
        kind = "refused"
        found = _REFUSED.match(message)
        if found:
            on, relation = "tuple" if found[1] else "relation", found[2] or ""
    return Observation(kind=kind, at_us=at_us, template=template, on=on, relation=relation)


def _object(told: str) -> str:
    return next((kind for start, kind in _OBJECTS.items() if told.startswith(start)), "other")
