"""A run through a service: what the sessions of its pool did, as the samples tell it.

The replay knows its requests; the statements behind them are the service's own (see `inferred`). Requests that wait inside of the service wait for its pool: where nearly all sessions that were ever seen
busy are busy, the requests under way beyond these have no session.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from replay.diagnose.attempts import Attempts, Ints
from replay.diagnose.queue import Queue
from replay.diagnose.sums import summed
from replay.diagnose.templates import TemplateFigures
from replay.diagnose.timeline import PAUSE
from replay.percentiles import percentiles
from replay.requests import REQUEST
from replay.sql.comment import route_of, spelling
from replay.sql.fingerprint import fingerprint
from replay.workload import Template, Transaction

_FULL = 0.75  # of the most sessions that were seen busy at once …
_LEAST_BUSY = 4  # … and at least so many: fewer are no pool
_PAUSE_US = 50_000  # in sum, of a transaction
_CUT = 16  # characters at the end of a text that may be cut in the middle of a word


def named(table: pa.Table, templates: Iterable[Template]) -> pa.Table:
    """A table of runtables.SAMPLES or BLOCKING in which the service's sessions have their templates.

    A session is known by the text of its statement; one whose text is none of the templates' stays
    without.
    """
    known = {template.id: template.sql for template in templates if template.kind != REQUEST}
    for of in ("template", "waiter_template", "blocker_template"):
        if of not in table.column_names:
            continue
        text = table[of.replace("template", "text")].cast(pa.string()).fill_null("")
        whose = {one: _template_of(one, known) for one in text.unique().to_pylist() if one}
        found = [
            told or whose.get(seen, "")
            for told, seen in zip(table[of].to_pylist(), text.to_pylist(), strict=True)
        ]
        at = table.schema.get_field_index(of)
        table = table.set_column(at, table.schema.field(at), pa.array(found).cast(table[of].type))
    return table


def _template_of(text: str, known: Mapping[str, str]) -> str:
    made = fingerprint(text)
    if made.id in known:
        return made.id
    begin = made.sql[:-_CUT]  # the server shows the beginning of a long text
    matches = [name for name, sql in known.items() if begin and sql.startswith(begin)]
    return matches[0] if len(matches) == 1 else ""


def charge(
    requests: Attempts, ran: Attempts, moments_us: Ints, behind: Mapping[tuple[int, int], str]
) -> Queue:
    """The wait for the service's pool, charged to what its sessions `ran`; as `queue.charge`."""
    looks = _busy(ran, moments_us)
    under_way = _under_way(requests, moments_us)
    busy = np.array([len(looks[at]) for at in moments_us.tolist()])
    full = busy >= max(_FULL * busy.max(initial=0), _LEAST_BUSY)
    waiting = np.where(full, np.maximum(under_way - busy, 0), 0)
    charges = summed(
        (
            ("locks", culprit) if (culprit := behind.get((at, pid))) else ("demand", name),
            share,
        )
        for at, share in zip(
            moments_us.tolist(), (waiting / np.maximum(busy, 1)).tolist(), strict=True
        )
        if share
        for pid, name in looks[at]
    )
    (p95_us,) = percentiles(lambda: map(_spans_us, requests.parts()), (95,))
    total_s = _together_s(requests) * _share(waiting, under_way)
    scale = total_s / (sum(charges.values()) or 1.0)
    return Queue(
        total_s=total_s,
        p95_ms=p95_us / 1e3 * _share(waiting, under_way),
        demand_s={name: s * scale for (why, name), s in charges.items() if why == "demand"},
        locks_s={name: s * scale for (why, name), s in charges.items() if why == "locks"},
    )


def _busy(ran: Attempts, moments_us: Ints) -> Mapping[int, list[tuple[int, str]]]:
    """Sessions that held the service's connections at each moment, and what they ran."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    begin = np.searchsorted(moments_us, ran.began_us, "left").tolist()
    end = np.searchsorted(moments_us, ran.ended_us, "right").tolist()
    for at, (first, last) in enumerate(zip(begin, end, strict=True)):
        name = ran.names[ran.template[at]] or PAUSE
        for moment in moments_us[first:last].tolist():
            found[moment].append((int(ran.pid[at]), name))
    return defaultdict(list, found)


def _spans_us(requests: Attempts) -> Ints:
    return requests.ended_us[requests.last] - requests.due_us[requests.first]


def _together_s(requests: Attempts) -> float:
    return sum(float(_spans_us(part).sum()) for part in requests.parts()) / 1e6


def _under_way(requests: Attempts, moments_us: Ints) -> Ints:
    """Requests that are due and not yet answered, at each moment."""
    found = np.zeros(len(moments_us), np.int64)
    for part in requests.parts():
        due, over = np.sort(part.due_us[part.first]), np.sort(part.ended_us[part.last])
        found += np.searchsorted(due, moments_us, "right")
        found -= np.searchsorted(over, moments_us, "right")
    return found


def _share(waiting: Ints, under_way: Ints) -> float:
    return float(waiting.sum() / (under_way.sum() or 1))


def figures(
    of_requests: Mapping[str, TemplateFigures],
    of_statements: Mapping[str, TemplateFigures],
    queue: Queue,
    requests: Attempts,
) -> dict[str, TemplateFigures]:
    """Routes as they were asked for, templates as they were seen; each wait is told once.

    Of the time of late requests, so much was wait for the service's pool as of all requests' time.
    """
    total_s = _together_s(requests)
    waited = queue.total_s / total_s if total_s else 0.0
    found = {}
    for name, one in {**of_requests, **of_statements}.items():
        asked = of_requests.get(name)
        if one.kind == REQUEST and asked is not None:
            late_s = asked.late_wait_s + asked.late_served_s
            found[name] = replace(
                asked, late_wait_s=waited * late_s, late_served_s=(1 - waited) * late_s
            )
        else:
            found[name] = replace(one, late_wait_s=0.0, late_served_s=0.0)
    return found


def paused(transactions: Iterable[Transaction]) -> frozenset[str]:
    """Templates of transactions in which production's client, too, let its statements wait for it.

    A service that lacks a processor on staging seems to work inside of its transactions.
    """
    pauses: dict[str, list[int]] = defaultdict(list)
    for one in transactions:
        ran = one.statements
        pause_us = sum(
            max(after.offset_us - before.offset_us - before.duration_us, 0)
            for before, after in pairwise(ran)
        )
        for name in {statement.template for statement in ran if len(ran) > 1}:
            pauses[name].append(pause_us)
    return frozenset(name for name, us in pauses.items() if np.median(us) >= _PAUSE_US)


def routes(samples: pa.Table, templates: Iterable[Template]) -> dict[str, tuple[str, ...]]:
    """Template -> the routes that its comments named in this run, most first, as requests are spelt."""
    templates = tuple(templates)
    shown = spelling(one.sql for one in templates if one.kind == REQUEST)
    kinds = {one.id: one.kind for one in templates}
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for row in samples.select(["template", "text"]).to_pylist():
        if row["template"] and (route := route_of((row["text"] or "").encode())):
            seen[row["template"]][shown(route, kinds.get(row["template"], ""))] += 1
    return {
        name: tuple(route for route, _ in counts.most_common()) for name, counts in seen.items()
    }
