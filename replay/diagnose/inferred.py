"""What a service's sessions ran, inferred from samples.

A session that was seen at one statement ran it from its begin, by the server's clock, to the sample in
which it was seen last. Statements that are over between two samples are seen by chance; none of those
holds others up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from replay.diagnose.attempts import Attempts
from replay.outcome import OK

_SAME_US = 20_000  # two looks at one begin differ by less


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One session in one sample."""

    at_us: int
    pid: int
    name: str
    running: bool  # else it sits idle in its transaction
    began_us: int  # its statement
    opened_us: int  # its transaction


def statements(samples: pa.Table, who: Callable[[str, str], str], period_s: float) -> Attempts:
    """The service's statements as attempts, from a table of runtables.SAMPLES; `who` names a session."""
    rows: list[tuple[int, int, str, int, int]] = []  # transaction, pid, name, began, ended
    half_us = round(period_s * 5e5)
    transaction = -1
    for looks in _by_session(samples, who):
        before: _Look | None = None
        for look in looks:
            if before is None or abs(look.opened_us - before.opened_us) > _SAME_US:
                transaction += 1
            elif _is_same(look, before):
                if look.running:
                    rows[-1] = (*rows[-1][:4], look.at_us + half_us)
                before = look
                continue
            ended_us = look.at_us + half_us if look.running else look.began_us
            if rows and rows[-1][1] == look.pid:
                rows[-1] = (*rows[-1][:4], min(rows[-1][4], look.began_us))
            rows.append((transaction, look.pid, look.name, look.began_us, ended_us))
            before = look
    return _attempts(rows)


def _by_session(samples: pa.Table, who: Callable[[str, str], str]) -> Iterable[list[_Look]]:
    found: dict[int, list[_Look]] = defaultdict(list)
    for row in samples.to_pylist():
        at_us = row["at_us"]
        found[row["pid"]].append(
            _Look(
                at_us=at_us,
                pid=row["pid"],
                name=who(row["template"], row["text"] or ""),
                running=row["state"] == "active",
                began_us=at_us - row["query_age_us"],
                opened_us=at_us - (row["transaction_age_us"] or row["query_age_us"]),
            )
        )
    return (sorted(looks, key=lambda look: look.at_us) for looks in found.values())


def _is_same(look: _Look, before: _Look) -> bool:
    return look.name == before.name and abs(look.began_us - before.began_us) <= _SAME_US


def _attempts(rows: list[tuple[int, int, str, int, int]]) -> Attempts:
    names = tuple(dict.fromkeys(row[2] for row in rows))
    code = {name: at for at, name in enumerate(names)}
    arrival, pid, template, began, ended = (
        np.array([*column], dtype=np.int64)
        for column in (
            zip(*((t, p, code[n], b, e) for t, p, n, b, e in rows), strict=True)
            if rows
            else [()] * 5
        )
    )
    none = np.zeros(len(rows), dtype=np.int64)
    return Attempts(
        arrival=arrival,
        template=template,
        names=names,
        pid=pid,
        due_us=began,
        began_us=began,
        ended_us=np.maximum(ended, began),
        lag_us=none,
        outcome=none,
        outcomes=(OK,),
    )
