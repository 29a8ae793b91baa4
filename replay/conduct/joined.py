"""One transaction of what a session did while it held an advisory lock: pure, on kept transactions.

The sample keeps some of a session's units, and not always the one that gave the lock back. Where it
was kept, and close by, all kept units from the lock to there are one transaction; else the lock's own
unit stands alone, and its lock ends with it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from replay.sql.fingerprint import fingerprint
from replay.workload import Statement, Transaction

_APART_US = 1_000_000  # between two units of one request, at most
_MOST = 50  # units of one request
_FRAME = frozenset({"begin", "commit", "rollback"})


def joined(
    transactions: Iterable[Transaction],
    templates: Sequence[str],
    gives_back: Callable[[Statement], bool],
) -> list[Transaction]:
    """The transactions, with those from one of the templates' statements to the unlock made one."""
    by_session: dict[str, list[Transaction]] = defaultdict(list)
    for one in transactions:
        by_session[one.session].append(one)
    found: list[Transaction] = []
    for units in by_session.values():
        at = 0
        while at < len(units):
            taken = _request(units[at:], templates, gives_back)
            found.append(_one(units[at : at + taken]) if taken > 1 else units[at])
            at += taken
    return sorted(found, key=lambda one: (one.start_us, one.id))


def _request(
    units: Sequence[Transaction],
    templates: Sequence[str],
    gives_back: Callable[[Statement], bool],
) -> int:
    """How many units there are from the lock, if the first takes it, to its end; else 1."""
    if not any(one.template in templates for one in units[0].statements):
        return 1
    for number, unit in enumerate(units[:_MOST]):
        if number and unit.start_us - _end_us(units[number - 1]) > _APART_US:
            return 1
        if any(map(gives_back, unit.statements)):
            return number + 1
        if number and any(one.template in templates for one in unit.statements):
            return 1
    return 1


def _end_us(unit: Transaction) -> int:
    last = unit.statements[-1] if unit.statements else None
    return unit.start_us + (last.offset_us + last.duration_us if last else 0)


def _one(units: Sequence[Transaction]) -> Transaction:
    """The units as one transaction, at the times of its own."""
    first = units[0]
    inside = [
        replace(one, offset_us=unit.start_us - first.start_us + one.offset_us)
        for unit in units
        for one in unit.statements
        if fingerprint(one.sql).kind not in _FRAME
    ]
    end_us = _end_us(units[-1]) - first.start_us
    return replace(first, statements=(_frame("BEGIN", 0), *inside, _frame("COMMIT", end_us)))


def _frame(sql: str, offset_us: int) -> Statement:
    return Statement(
        template=fingerprint(sql).id,
        sql=sql,
        slots="",
        values=(),
        prepared=None,
        offset_us=offset_us,
        duration_us=0,
    )
