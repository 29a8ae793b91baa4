"""What a planned load comes down to: its distinct calls, shapes, settings and sessions, numbered."""

import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from replay.load.planned import PlannedStatement, PlannedTransaction
from replay.load.protocol import execute
from replay.load.shard import SESSION, Line, name_of

_TEXTS = 64  # of one template, that are calls of their own
_UNEVEN, _FEW = 1.25, 64  # a worker's arrivals beside another's


@dataclass(slots=True)
class Numbering:
    """Distinct calls and shapes, numbered in order of appearance."""

    templates: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    calls: dict[tuple[str, str, str | None], int] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)  # by template
    shapes: dict[tuple[str, ...], int] = field(default_factory=dict)
    settings: dict[tuple[str, ...], int] = field(default_factory=lambda: {(): 0})
    ordered: bool = False

    def line(self, statement: PlannedStatement) -> Line:
        """The statement as it stands in a shard."""
        if statement.template not in self.templates:
            self.templates[statement.template] = len(self.templates)
            self.examples.append(statement.sql)
        text = ""
        key = (statement.template, statement.sql, statement.prepared)
        if key not in self.calls:
            if self.texts[statement.template] >= _TEXTS:
                # A name is for a text that comes again, and this one does not.
                text = statement.sql
                simple = statement.prepared is None
                key = (statement.template, "", None if simple else "")
            self.texts[statement.template] += 1
        call = self.calls.setdefault(key, len(self.calls))
        prepared = key[2]
        message = b""
        if prepared is not None:
            message = execute(name_of(call) if prepared else b"", statement.values)
        return Line(
            call,
            message,
            statement.gap_us,
            () if message else statement.values,
            statement.expected_error,
            text,
            statement.after,
        )

    def shape(self, statements: tuple[PlannedStatement, ...]) -> int:
        """The number of this sequence of templates."""
        key = tuple(statement.template for statement in statements)
        return self.shapes.setdefault(key, len(self.shapes))


class Sharing:
    """Who drives what: a session's whole is one worker's, and so is a client's, unless that makes it too much."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._of: dict[str, int] = {}  # clients
        self._taken = [0] * workers

    def worker(self, transaction: PlannedTransaction, number: int) -> int:
        """A transaction's; the same on every host, which `hash` is not."""
        if transaction.aside:
            return self._workers
        if transaction.session:
            return zlib.crc32(transaction.session.encode()) % self._workers
        if not transaction.client:
            return number % self._workers
        worker = self._of.get(transaction.client, -1)
        least = min(self._taken)
        if worker < 0 or self._taken[worker] > _UNEVEN * least + _FEW:
            worker = self._of[transaction.client] = self._taken.index(least)
        self._taken[worker] += 1
        return worker


class Recording:
    """The captured sessions of a load, numbered in order of appearance."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}  # connect, last due, number, worker, transactions

    def number(self, transaction: PlannedTransaction, worker: int) -> int:
        """The number of a transaction's session, of which one more was planned; -1: of none."""
        if not transaction.session:
            return -1
        row = self._rows.get(transaction.session)
        if row is None:
            row = [transaction.connect_us, 0, len(self._rows), worker, 0]
            self._rows[transaction.session] = row
        row[1] = transaction.due_us
        row[4] += 1
        return row[2]

    def table(self) -> np.ndarray:
        """One row a session, by when it connects."""
        rows = np.array([tuple(row) for row in self._rows.values()], dtype=SESSION)
        return rows[np.argsort(rows["connect_us"], kind="stable")]


def most_at_once(sessions: np.ndarray) -> int:
    """How many of the sessions are open at one time, if none lasts longer than planned."""
    moments = np.concatenate([sessions["connect_us"], sessions["last_us"] + 1])
    steps = np.repeat([1, -1], len(sessions))
    return int(np.cumsum(steps[np.argsort(moments, kind="stable")]).max(initial=0))
