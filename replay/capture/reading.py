"""Stream the log's files through counting and sampling, in bounded memory but for the sample."""

import logging
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from replay.capture.formats import Broken, Record
from replay.capture.inputs import Input, open_lines, position
from replay.capture.messages import BEGINS, RAN, said
from replay.capture.sample import Sampler
from replay.capture.statements import folded
from replay.capture.tally import Tally
from replay.capture.templates import Templates
from replay.capture.transactions import Transactions
from replay.sql.fingerprint import fingerprint
from replay.tag import LOAD_APPLICATION
from replay.target import APPLICATION_NAME
from replay.workload import Skip

log = logging.getLogger(__name__)

_OWN_AT_MOST = 10_000  # texts
_OURS = (APPLICATION_NAME, LOAD_APPLICATION)
_OWN = "a line of this program's own session"
_ELSEWHERE = "a line of another database"
_CLIENT = ("client backend", "")  # "": the format does not say

Progress = Callable[[int, int], None]


class Reading:
    """One reading of all inputs, and what came of it."""

    def __init__(self, *, database: str, seed: int, k: int) -> None:
        self._database = database  # "" takes all
        self.templates = Templates()
        self.tally = Tally()
        self.sampler = Sampler(k=k)
        self.transactions = Transactions(
            self.templates, count=self.tally.add, emit=self.sampler.offer, seed=seed
        )
        self.records = 0
        self.malformed = 0
        self.first_malformed = ""
        self.interrupted = False
        self._own: set[str] = set()  # texts
        self._databases: set[str] = set()
        self._skipped: dict[str, tuple[int, str]] = {}
        self._broken_off: list[str] = []

    def read(self, inputs: Sequence[Input], progress: Progress | None) -> None:
        """Read all files; stops in order at Ctrl-C."""
        try:
            with _noting_interrupt() as interrupted:
                for done, total in self._all(inputs):
                    if progress is not None:
                        progress(done, total)
                    if interrupted.is_set():
                        self.interrupted = True
                        break
        except KeyboardInterrupt:
            self.interrupted = True
        self.transactions.finish()
        self.tally.flush()

    def skipped(self) -> tuple[Skip, ...]:
        """What was passed over, by reason."""
        return tuple(
            Skip(reason=reason, count=count, first=first)
            for reason, (count, first) in self._skipped.items()
        )

    @property
    def complete(self) -> bool:
        """Whether every input was read to a whole last line."""
        return not (self.interrupted or self._broken_off)

    @property
    def own(self) -> frozenset[str]:
        """Folded texts of what this program's own sessions ran."""
        return frozenset(folded(fingerprint(text).sql) for text in self._own)

    def notes(self) -> list[str]:
        """What a reader of the workload should know of this reading."""
        notes = [f"{name} breaks off in the middle" for name in self._broken_off]
        if self.interrupted:
            notes.insert(0, "the capture was interrupted: the rest of the log was not read")
        if len(self._databases) > 1:
            notes.append(
                f"the log holds statements of {len(self._databases)} databases, taken as one; "
                "name the one to capture with --stats"
            )
        if self.transactions.beyond:
            notes.append(
                f"{self.transactions.beyond} executions of overlong transactions are counted, but "
                "not kept"
            )
        return notes

    def _all(self, inputs: Sequence[Input]) -> Iterator[tuple[int, int]]:
        """Read all files block by block; gives bytes read and bytes in all."""
        before, total = 0, sum(log_file.bytes for log_file in inputs)
        for log_file in inputs:
            for read in self._blocks(log_file):
                yield before + read, total
            before += log_file.bytes

    def _blocks(self, log_file: Input) -> Iterator[int]:
        """Read one file block by block; gives the bytes read so far."""
        name = log_file.path.name
        try:
            with open_lines(log_file.path) as stream:
                line = 1
                for block in log_file.format.read(stream):
                    self._take(block, name, line)
                    line += len(block)
                    yield position(stream)
        except (OSError, EOFError, zlib.error) as error:
            log.warning("%s: %s", log_file.path, error)
            self._broken_off.append(name)

    def _take(self, block: list[Record | Broken], name: str, first_line: int) -> None:
        database, take = self._database, self.transactions.take
        databases = self._databases
        self.records += len(block)
        for line, record in enumerate(block, first_line):
            if isinstance(record, Broken):
                self._pass_over(record, name, line)
            elif record.backend_type not in _CLIENT:
                pass  # nobody's statement
            elif record.application_name in _OURS:
                self._skip(_OWN, name, line)
                self._note_own(record)
            elif database and record.dbname != database:
                self._skip(_ELSEWHERE, name, line)
            else:
                if record.dbname not in databases:
                    databases.add(record.dbname)
                take(record)

    def _pass_over(self, broken: Broken, name: str, line: int) -> None:
        self._skip(broken.reason, name, line)
        self.records -= 1
        self.malformed += 1
        self.first_malformed = self.first_malformed or f"{name}:{line}: {broken.reason}"
        if broken.cut_off:
            self._broken_off.append(name)

    def _skip(self, reason: str, name: str, line: int) -> None:
        count, first = self._skipped.get(reason, (0, f"{name}:{line}"))
        self._skipped[reason] = (count + 1, first)

    def _note_own(self, record: Record) -> None:
        kind, _, text, _ = said(record.message)
        if kind in (RAN, BEGINS) and len(self._own) < _OWN_AT_MOST:
            self._own.add(text)


@contextmanager
def _noting_interrupt() -> Iterator[threading.Event]:
    """Hold Ctrl-C back for the length of the block: the event says that it came."""
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        if came.is_set():
            raise KeyboardInterrupt  # the second one does not wait
        came.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
