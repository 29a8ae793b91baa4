"""Stream the log's files through counting and sampling, in bounded memory but for the sample."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from replay.capture.blocks import Block, Lines
from replay.capture.captured import Filters
from replay.capture.clocks import Clocks
from replay.capture.conflicts import Conflicts
from replay.capture.digest import Digest
from replay.capture.english import language
from replay.capture.everything import Everything
from replay.capture.executions import Executions, Rows
from replay.capture.formats.columns import Ints
from replay.capture.memory import collected_by_hand
from replay.capture.registry import Registry
from replay.capture.sample import Sampler
from replay.capture.sessions import Sessions
from replay.capture.standing import Standing
from replay.capture.statements import folded
from replay.capture.store import Store
from replay.capture.tally import Tally
from replay.capture.templates import NO_TEMPLATE
from replay.capture.units import Sources, Units
from replay.capture.workers import Digesting
from replay.sql.comment import MARKS
from replay.sql.fingerprint import fingerprint
from replay.workload import Skip

if TYPE_CHECKING:  # a capture of logs alone starts without
    from replay.capture.links.linker import Linker

_OWN_AT_MOST = 10_000  # texts
_OTHERS_AT_MOST = 100  # names
_NO_NUMBER = np.array([NO_TEMPLATE])
_INPUT_AT_MOST = 1 << 40  # bytes

Progress = Callable[[int, int], None]


class Reading:
    """One reading of all inputs, and what came of it."""

    def __init__(
        self,
        *,
        filters: Filters,
        seed: int,
        k: int,
        begin_us: int | None = None,
        end_us: int | None = None,
        whole: bool = True,
        everything: bool = False,
        linker: "Linker | None" = None,
    ) -> None:
        self._filters = filters
        self._whole = whole  # transactions can be rebuilt
        self._nameless = False  # lines that do not tell their session
        self._newest_first = ""  # an input whose lines come so
        self._translated = "", ""  # a language, and the input that has messages in it
        self._own: set[str] = set()  # texts
        self._databases: set[str] = set()
        self.others: dict[str, set[str]] = defaultdict(set)  # see Digest
        self._skipped: dict[str, tuple[int, str]] = {}
        self._lines = Lines()
        self._broken_off: list[str] = []  # in the middle of a record
        self._stopped_short: Sequence[str] = ()  # could not be read to their end
        self._clocks = Clocks(self._lines.place_of)
        self._numbers: dict[int, list[int]] = {}  # by worker: its template numbers to ours
        self._places: dict[Path, int] = {}  # of the inputs, in the order of their time
        self.registry = Registry()
        self.tally = Tally()
        self.store = Store(marks=MARKS)
        self.everything = Everything() if everything else None
        self.linker = linker
        requests = linker.requests.tolist() if linker is not None else ()
        self.sampler = self.everything or Sampler(k=k, store=self.store, requests=requests)
        self.standing = Standing(self.registry) if begin_us is not None else None
        self.sessions = Sessions(
            seed=seed, begin_us=begin_us, end_us=end_us, standing=self.standing
        )
        self.conflicts = Conflicts()
        self.records = 0
        self.malformed = 0
        self.first_malformed = ""
        self.interrupted = False
        self.finished = False

    def read(
        self,
        digesting: Digesting,
        *,
        progress: Progress | None = None,
        pause: Callable[[], None] | None = None,
    ) -> None:
        """Read all that is digested; stops in order at Ctrl-C.

        `progress` is told bytes read and bytes in all; `pause` is called between blocks.
        """
        read: dict[Path, int] = {}
        inputs, stop = digesting.inputs, digesting.stop
        self._places = {one.path: place for place, one in enumerate(inputs)}
        self._stopped_short = digesting.broken_off
        total = sum(log_file.bytes for log_file in inputs)
        with collected_by_hand():
            try:
                for worker, block, digest in digesting:
                    self._take(worker, block, digest)
                    read[block.input.path] = block.read
                    if progress is not None:
                        progress(sum(read.values()), total)
                    if pause is not None:
                        pause()
                    if stop.asked:
                        break
            except KeyboardInterrupt:
                stop.asked = True
            self.interrupted = stop.asked
        self._count(*self.sessions.finish(self._effects()))
        self.finished = True

    def skipped(self) -> tuple[Skip, ...]:
        """What was passed over, by reason."""
        return tuple(
            Skip(reason=reason, count=count, first=first)
            for reason, (count, first) in sorted(self._skipped.items())
        )

    @property
    def complete(self) -> bool:
        """Whether every input was read to a whole last line."""
        return self.finished and not (self.interrupted or self._incomplete())

    @property
    def own(self) -> frozenset[str]:
        """Folded texts of what this program's own sessions ran."""
        return frozenset(folded(fingerprint(text).sql) for text in self._own)

    def notes(self) -> list[str]:
        """What a reader of the workload should know of this reading."""
        notes = [f"{name} breaks off in the middle" for name in self._incomplete()]
        if self.interrupted:
            notes.insert(0, "the capture was interrupted: the rest of the log was not read")
        elif not self.finished:
            notes.insert(0, "the capture was killed: the rest of the log was not read")
        if len(self._databases) > 1 and not self._filters.databases:
            notes.append(
                f"the log holds statements of {len(self._databases)} databases, taken as one; "
                "name the one to capture with --stats or --database"
            )
        if self._filters.databases and "" in self._databases:
            notes.append(
                "the log does not tell which database a statement ran in (log_line_prefix without "
                "%d): those of all databases are taken"
            )
        if not self._newest_first:
            notes += self._clocks.notes()
        spoken, name = self._translated
        if spoken:
            notes.append(
                f"{name} has messages in {spoken} (lc_messages), of which only those of failed "
                "statements are read: set lc_messages = 'C' and capture again"
            )
        if self._newest_first:
            notes.append(
                f"{self._newest_first} has its newest lines first: each statement is a transaction of its "
                "own; export it in the order of time (gcloud logging read --order=asc)"
            )
        if self._nameless:
            notes.append(
                "the log does not tell which session a statement ran in (log_line_prefix without %c "
                "and %p): each is a transaction of its own"
            )
        if self.sessions.beyond:
            notes.append(
                f"{self.sessions.beyond} executions of overlong transactions are counted, but "
                "not kept"
            )
        return notes

    def _incomplete(self) -> Mapping[str, None]:
        return dict.fromkeys([*self._broken_off, *self._stopped_short])

    def _take(self, worker: int, block: Block, digest: Digest) -> None:
        self._note(block, digest)
        registry = self.registry
        numbers = self._numbers.setdefault(worker, [])
        numbers += [registry.template(found) for found in digest.new]
        states = np.array([registry.state(state) for state in digest.states], np.int64)
        # Where the log numbers no lines, a session's follow one another also over rotated files.
        before = self._places[block.input.path] * _INPUT_AT_MOST + block.offset
        rows = Rows(
            kind=digest.kind,
            at_us=digest.at_us,
            duration_us=digest.duration_us,
            line=np.where(digest.line > 0, digest.line, before + digest.begin),
            query_id=digest.query_id,
            template=np.append(np.array(numbers, np.int64), _NO_NUMBER)[digest.template],
            state=states[digest.state],
            lethal=digest.lethal,
            session=digest.session,
            source=np.arange(digest.at_us.size),
        )
        sources = Sources(block.data, digest, registry.format(block.input.format))
        for found, units in self.sessions.take(
            rows, digest.sessions, self._effects(), sources, host=block.input.host
        ):
            self._count(found, units)

    def _effects(self) -> Ints:
        """What each template does to its session's transaction: nothing, where it is not whole."""
        effects = self.registry.effects()
        return effects if self._whole else np.zeros_like(effects)

    def _count(self, found: Executions, units: Units) -> None:
        self.tally.take(found)
        if not self._whole:  # BEGIN by itself is nothing to replay
            units = units.without(self.registry.is_control())
        request = self.linker.take(units) if self.linker is not None else None
        self.sampler.take(units, self.registry.identities(), request)

    def _note(self, block: Block, digest: Digest) -> None:
        self.records += digest.records
        self.malformed += digest.malformed
        self._databases |= digest.databases
        for what, names in digest.others.items():
            if len(self.others[what]) < _OTHERS_AT_MOST:
                self.others[what] |= names
        for name in digest.languages:
            if language(name) is None:
                self._translated = name, block.input.name
            elif name not in self.registry.languages:
                self.registry.languages.append(name)
        if digest.newest_first:
            self._newest_first = block.input.name
        self._nameless |= b"" in digest.sessions
        self._whole &= not (digest.newest_first or self._nameless)
        self.conflicts.merge(digest.conflicts)
        self._clocks.take(block, digest.steps)
        if len(self._own) < _OWN_AT_MOST:
            self._own |= digest.own
        for reason, (count, offset) in digest.passed_over.items():
            before, first = self._skipped.get(reason, (0, ""))
            self._skipped[reason] = before + count, first or self._lines.place_of(block, offset)
        if digest.first_malformed is not None and not self.first_malformed:
            offset, reason = digest.first_malformed
            self.first_malformed = f"{self._lines.place_of(block, offset)}: {reason}"
        if digest.cut_off:
            self._broken_off.append(block.input.name)
        self._lines.passed(block, digest.lines)
