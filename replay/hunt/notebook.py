"""The hunt's memory on disk, `hunt.json`: all that cost time, so that a stopped hunt goes on.

A hunt is one fixed procedure; what it measured before, it finds here and does not measure again.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from replay import documents
from replay.errors import EnvironmentFaultError, InputError
from replay.finding import Finding
from replay.hunt.solo import Solo

FILE = "hunt.json"
_KIND, _VERSION = "hunt", 1
RUNNING, FINISHED = "running", "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of the hunt."""

    subject: str  # key of what was tried
    dial: str
    factor: float
    broke: bool | None  # None: it cannot be judged
    why: str
    run: str  # directory beside this file; empty where it is not kept
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """All that is written down."""

    workload_id: str
    target: str  # system identifier and database, or "private"
    seed: int
    pool: int
    cores: float
    trial_s: float
    objective_ms: float = 250.0  # by which a trial is judged
    state: str = RUNNING
    elapsed_s: float = 0.0  # of all sessions of this hunt
    solos: Mapping[str, Solo | None] = field(default_factory=dict)  # by transaction
    trials: tuple[Trial, ...] = ()


class Notebook:
    """Notes that are on disk as soon as they are made."""

    def __init__(self, directory: Path, notes: Notes) -> None:
        self.directory = directory
        self.notes = notes

    @classmethod
    def open(cls, directory: Path, fresh: Notes) -> "Notebook":
        """Go on with the unfinished hunt there, if it is the same; else begin anew.

        Raises InputError where the directory holds something else.
        """
        found = standing(directory)
        if found is not None:
            same = replace(found, state=fresh.state, elapsed_s=fresh.elapsed_s, solos={}, trials=())
            if found.state == RUNNING and same == fresh:
                return cls(directory, found)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for trial in directory.glob("trial-*.run"):  # of an earlier hunt
                shutil.rmtree(trial)
        except OSError as error:
            raise EnvironmentFaultError(
                f"{directory}: cannot write a hunt here: {error}"
            ) from error
        notebook = cls(directory, fresh)
        notebook.save()
        return notebook

    def solo(self, transaction: int) -> Solo | None:
        """KeyError where it was not measured yet."""
        return self.notes.solos[str(transaction)]

    def add_solo(self, transaction: int, solo: Solo | None) -> None:
        """Note a profile; several are saved together (`save`)."""
        self.notes = replace(self.notes, solos={**self.notes.solos, str(transaction): solo})

    def trial(self, subject: str, dial: str, factor: float) -> Trial | None:
        """What came of it before; None where it was never tried."""
        wanted = (subject, dial, factor)
        return next((t for t in self.notes.trials if (t.subject, t.dial, t.factor) == wanted), None)

    def add_trial(self, trial: Trial) -> None:
        """Note a trial."""
        self.notes = replace(self.notes, trials=(*self.notes.trials, trial))
        self.save()

    def spent(self, seconds: float, *, state: str = RUNNING) -> None:
        """Add to the time that the hunt took."""
        self.notes = replace(self.notes, elapsed_s=self.notes.elapsed_s + seconds, state=state)
        self.save()

    def save(self) -> None:
        """Write all of it whole."""
        document = {"kind": _KIND, "version": _VERSION, "notes": self.notes}
        documents.write(self.directory / FILE, document)


def standing(directory: Path) -> Notes | None:
    """The hunt that stands there; None where there is nothing yet.

    Raises InputError where the directory holds something else.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: is a file; name a directory for the hunt")
    return _read(directory) if directory.is_dir() and any(directory.iterdir()) else None


def _read(directory: Path) -> Notes:
    try:
        document = documents.read(directory / FILE)
    except FileNotFoundError:
        document = {}
    if document.get("kind") != _KIND or document.get("version") != _VERSION:
        raise InputError(
            f"{directory}: exists and is no hunt of this version; name another directory"
        )
    try:
        return msgspec.convert(document["notes"], Notes)
    except msgspec.ValidationError as error:
        raise InputError(f"{directory / FILE}: {error}; hunt into another directory") from error
