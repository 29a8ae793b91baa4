"""One capture, from what blocks of logs say to what it gives: counted, sampled, scrubbed, assembled.

It is loaded while helpers read already (see `stage`).
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from replay import __version__
from replay.capture.assemble import build_templates, fitted, moment
from replay.capture.bottomk import Weights
from replay.capture.captured import Captured, Filters, Options, kept_values, key_id
from replay.capture.formats.columns import Ints
from replay.capture.fragments import outside
from replay.capture.inputs import HOW_TO_LOG, Found
from replay.capture.kept import Assembly
from replay.capture.lacking import none_of_them
from replay.capture.logged import settled
from replay.capture.memory import give_back
from replay.capture.origins import Origins, origins
from replay.capture.places import build_places
from replay.capture.reading import Reading
from replay.capture.sampling import Sampling
from replay.capture.sampling import notes as sampling_notes
from replay.capture.saves import Saves
from replay.capture.scrub import KeepValues, scrubber
from replay.capture.standing import told as set_before
from replay.capture.statements import join
from replay.capture.untold import notes as untold_notes
from replay.capture.workers import Digesting
from replay.errors import InputError
from replay.workload import Manifest, SessionSettings, Source, Template, Workload

if TYPE_CHECKING:  # a capture of logs alone starts without, nor without a server's driver
    from data_gen.profile import SchemaProfile
    from replay.capture.links.linker import Linker
    from replay.capture.links.told import Told
    from replay.capture.snapshot import Window
    from replay.capture.source import Asked

log = logging.getLogger(__name__)

_WARNED_SHARE = 0.01  # of the records; above it, malformed ones are a warning
_REFUSED_SHARE = 0.5  # above it, the input is not what it seems


class Course:
    """One capture of inputs that were found."""

    def __init__(
        self,
        found: Found,
        asked: "Asked | None",
        key: bytes,
        options: Options,
        filters: Filters,
        sampling: Sampling,
        window: "Window | None",
        linker: "Linker | None",
    ) -> None:
        self._found, self._asked, self._key, self._options = found, asked, key, options
        self._filters, self._sampling, self._window = filters, sampling, window
        self._reading = Reading(
            filters=filters,
            seed=options.seed,
            k=options.per_stratum,
            begin_us=_epoch_us(options.begin),
            end_us=_epoch_us(options.end),
            whole=sampling.whole,
            everything=options.everything,
            linker=linker,
        )

    def read(
        self,
        digesting: Digesting,
        progress: Callable[[int, int], None] | None,
        save: Callable[[Captured], None] | None,
    ) -> None:
        """Read all inputs; what was read is saved every so often, at a small share of the time."""
        began = time.monotonic()
        saves = Saves()

        def tell(done: int, total: int) -> None:
            saves.read(done, total)
            if progress is not None:
                progress(done, total)

        def pause() -> None:
            if save is not None and self._reading.tally.executions and saves.is_due():
                with saves.timed():
                    save(self.captured())

        self._reading.read(digesting, progress=tell, pause=pause)
        log.debug("read in %.1f s", time.monotonic() - began)
        if self._reading.interrupted and not self._reading.tally.executions:
            raise KeyboardInterrupt  # nothing to keep
        self._require_statements()

    def captured(self) -> Captured:
        """What was read so far, with scrubbed values."""
        give_back()
        reading, asked = self._reading, self._asked
        registry, tally, store = reading.registry, reading.tally, reading.store
        numbers, weights = reading.sampler.kept()
        scrub = scrubber(
            key=self._key,
            kept=kept_values(asked),
            today=moment(tally.end_us).date(),
            keep_values=self._options.keep_values,
        )
        assembly = Assembly(
            registry=registry, begin_us=tally.begin_us, scrubber=scrub, sampling=self._sampling
        )
        plain = replace(assembly, scrubber=KeepValues(self._key, frozenset()))
        units = reading.everything or store
        turns, raw = (
            assembly.begin(units, numbers, self._options.jobs),
            plain.begin(units, numbers, 1),
        )
        figures = tally.by_template(len(registry.templates))
        calls = figures.calls
        alone = np.ones(len(registry.templates))
        if reading.everything is not None:
            kept = Counter(dict(enumerate(calls.tolist())))
        else:
            fit = fitted(registry, store, numbers, weights, calls.astype(np.float64))
            weights, executions, unit = fit
            kept = Counter(executions[0].tolist())
            alone = outside(self._sampling, registry, executions, unit, weights)
        named = origins(store, numbers, weights) if reading.everything is None else {}
        told = self._linked(numbers, weights, figures.calls, named)
        named = told.behind if told is not None else named
        templates = self._joined(build_templates(registry, tally, figures, kept, named))

        def scrubbed(profile: "SchemaProfile") -> "SchemaProfile":
            # Brings a parser of SQL along: a capture of logs alone starts without.
            from replay.capture.joints import joined_as_used  # noqa: PLC0415

            return scrub.profile(joined_as_used(profile, templates))

        return Captured(
            workload=Workload(
                manifest=self._manifest(scrub.policy, templates),
                templates=templates,
                transactions=settled(turns, weights, alone),
                conflicts=reading.conflicts.told({t.id: t.sql for t in registry.templates}),
                places=build_places(registry, reading.sampler, numbers),
                standing=self._standing(assembly, alone),
            ),
            profile=scrubbed(asked.profile) if asked else None,
            interrupted=reading.interrupted,
            raw=settled(raw, weights, alone),
            scrubbed=scrubbed,
            told=told,
        )

    def _standing(self, assembly: Assembly, alone: Weights) -> tuple[SessionSettings, ...]:
        """What sessions had set before the window."""
        standing = self._reading.standing
        if not standing:
            return ()
        every = np.arange(len(standing))
        return set_before(settled(assembly.begin(standing, every, 1), np.ones(every.size), alone))

    def _linked(
        self, numbers: Ints, weights: Weights, calls: Ints, named: Origins
    ) -> "Told | None":
        """Links with requests, once all is read."""
        reading = self._reading
        if reading.linker is None or not reading.finished:
            return None
        from replay.capture.links.told import link  # noqa: PLC0415 - as above

        return link(
            reading.linker,
            reading.everything or reading.store,
            numbers,
            weights,
            templates=[template.id for template in reading.registry.templates],
            calls=calls,
            is_control=reading.registry.is_control(),
            named=named,
        )

    def _manifest(self, policy: Mapping[str, str], templates: Sequence[Template]) -> Manifest:
        reading, tally = self._reading, self._reading.tally
        asked, window = self._asked, self._window
        inputs = self._found.inputs
        return Manifest(
            tool_version=__version__,
            format=", ".join(dict.fromkeys(one.format.name for one in inputs)),
            inputs=tuple(one.name for one in inputs),
            begin=moment(tally.begin_us),
            end=moment(tally.end_us),
            slice_s=float(tally.slice_s),
            seed=self._options.seed,
            per_stratum=self._options.per_stratum,
            everything=self._options.everything,
            scrub=policy,
            records=reading.records,
            executions=tally.executions,
            transactions=reading.sessions.units,
            sessions=reading.sessions.sessions,
            skipped=reading.skipped(),
            complete=reading.complete,
            notes=(*self._notes(), *untold_notes(templates)),
            peak_concurrency=tally.peak_concurrency(),
            bucket_s=reading.sampler.bucket_s,
            key_id=key_id(self._key),
            source=asked.source if asked else window.source if window else Source(),
        )

    def _joined(self, templates: Sequence[Template]) -> Sequence[Template]:
        asked, window = self._asked, self._window
        if asked is None and window is None:
            return templates
        counted = window.entries if window else asked.statements if asked else ()
        own = (asked.own if asked else frozenset()) | self._reading.own
        joined = join(templates, counted, own)
        return tuple(sorted(joined, key=lambda template: (-template.calls, template.id)))

    def _notes(self) -> tuple[str, ...]:
        reading, asked, window = self._reading, self._asked, self._window
        told = (*(asked.notes if asked else ()), *(window.notes if window else ()))
        notes = [*reading.notes(), *self._found.notes, *sampling_notes(self._sampling)]
        notes += dict.fromkeys(told)
        share = reading.malformed / max(reading.records + reading.malformed, 1)
        if share > _WARNED_SHARE:
            percent = math.ceil(share * 1000) / 10
            notes.append(f"{percent:g} % of the log's lines are no records and were passed over")
        if reading.conflicts.beyond:
            notes.append(
                f"{reading.conflicts.beyond} lock waits and failures are counted by their kind alone: "
                "there are too many different ones"
            )
        if reading.tally.executions and not reading.tally.timed:
            notes.append(
                "the log tells no durations (log_statement alone): what ran and how often is exact, "
                "how long it took is not known; log_duration = on adds it"
            )
        return tuple(notes)

    def _require_statements(self) -> None:
        reading = self._reading
        names = ", ".join(one.name for one in self._found.inputs)
        lines = reading.records + reading.malformed
        if reading.malformed > _REFUSED_SHARE * lines:
            raise InputError(
                f"{names}: {reading.malformed} of {lines} lines are no records "
                f"({reading.first_malformed}); is this the whole log, in one format?"
            )
        if reading.tally.begun:
            return
        if unmet := none_of_them(self._filters, reading.others):
            raise InputError(f"{names}: {unmet}")
        left_out = [skip for skip in reading.skipped() if skip.count]
        among = f" ({'; '.join(f'{s.count} times {s.reason}' for s in left_out)})" * bool(left_out)
        raise InputError(
            f"{names}: none of its {reading.records} records is a statement{among}; "
            f"{HOW_TO_LOG}; messages in English are read for sure (lc_messages = 'C')"
        )


def _epoch_us(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000)
