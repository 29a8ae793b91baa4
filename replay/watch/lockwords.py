"""What one record of the server's log says of locks, with the processes that it names.

The lines are those of proc.c (log_lock_waits), deadlock.c and postgres.c, versions 14 to 18, in
English; a deadlock is known by its SQLSTATE in any language. The replay's own statements carry
their template in a comment, so the log names it too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from replay.tag import template_of

_DEADLOCK = "40P01"
_NOT_AVAILABLE = "55P03"
_CONFLICT = "40001"
_WAIT = re.compile(
    r"process (?P<pid>\d+) (?P<what>still waiting for|acquired) (?P<mode>\w+) on (?P<on>.*?)"
    r" after (?P<ms>\d+)\.(?P<us>\d{3}) ms",
    re.DOTALL,
)
_HELD = re.compile(r"Process(?:es)? holding the lock: ([\d, ]+)\.")
_QUEUE = re.compile(r"Wait queue: ([\d, ]+)\.")
_CYCLE = re.compile(
    r"Process (?P<pid>\d+) waits for (?P<mode>\w+) on (?P<on>[^;]*); blocked by process (?P<by>\d+)\."
)
_TEXT = re.compile(r"^Process (\d+): (.*?)(?=^Process \d+: |\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r'while [a-z ]+ tuple (\(\d+,\d+\)) in relation "(.+)"')
_TYPES = {
    "transaction ": "transactionid",
    "virtual ": "virtualxid",
    "speculative ": "spectoken",
}
_SHOWN = 240  # characters of a foreign statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the log, whatever its format."""

    at_us: int  # epoch µs; 0 where the line has no time that is understood
    pid: int  # 0 where unknown
    message: str
    detail: str
    context: str
    statement: str
    sqlstate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockWords:
    """One line of runtables.LOCKLOG, its time still the record's."""

    at_us: int
    kind: str
    pid: int
    template: str
    text: str
    mode: str = ""
    lock_type: str = ""
    relation: str = ""
    key: str = ""
    wait_us: int = 0
    holders: str = ""
    queue: str = ""


def read(record: Record) -> tuple[LockWords, ...]:
    """What the record says of locks; empty where it says nothing of them."""
    key, relation = _row(record.context)
    template, text = _who(record.statement)
    if record.sqlstate == _DEADLOCK:
        return tuple(_deadlock(record, key, relation))
    kind = ""
    if record.sqlstate == _NOT_AVAILABLE:
        kind = "timeout"
    elif record.sqlstate == _CONFLICT and "conflict with recovery" in record.message:
        kind = "conflict"
    if kind:
        return (
            LockWords(
                at_us=record.at_us,
                kind=kind,
                pid=record.pid,
                relation=relation,
                key=key,
                template=template,
                text=text,
            ),
        )
    told = _WAIT.match(record.message)
    if told is None:
        return ()
    return (
        LockWords(
            at_us=record.at_us,
            kind="waiting" if told["what"] != "acquired" else "acquired",
            pid=int(told["pid"]),
            mode=told["mode"],
            lock_type=_type(told["on"]),
            relation=relation,
            key=key,
            wait_us=int(told["ms"]) * 1000 + int(told["us"]),
            holders=_listed(_HELD, record.detail),
            queue=_listed(_QUEUE, record.detail),
            template=template,
            text=text,
        ),
    )


def _deadlock(record: Record, key: str, relation: str) -> Iterator[LockWords]:
    """A row for each process of the cycle; the first is the one that was ended."""
    texts = {int(pid): text.strip() for pid, text in _TEXT.findall(record.detail)}
    for number, found in enumerate(_CYCLE.finditer(record.detail)):
        pid = int(found["pid"])
        template, text = _who(texts.get(pid, ""))
        yield LockWords(
            at_us=record.at_us,
            kind="deadlock",
            pid=pid,
            mode=found["mode"],
            lock_type=_type(found["on"]),
            relation="" if number else relation,
            key="" if number else key,
            holders=found["by"],
            template=template,
            text=text,
        )


def _who(statement: str) -> tuple[str, str]:
    """Template, or text of a session that is none of the replay's."""
    template = template_of(statement)
    return template, "" if template else statement[:_SHOWN]


def _row(context: str) -> tuple[str, str]:
    found = _ROW.search(context)
    return (found[1], found[2]) if found else ("", "")


def _type(on: str) -> str:
    for begin, name in _TYPES.items():
        if on.startswith(begin):
            return name
    return on.partition(" ")[0]


def _listed(pattern: re.Pattern[str], detail: str) -> str:
    found = pattern.search(detail)
    return found[1].replace(" ", "") if found else ""
