"""What a capture is asked, and what it gives: known without what reads any log."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from replay.workload import Transaction, Workload

if TYPE_CHECKING:
    from data_gen.profile import SchemaProfile
    from replay.capture.links.told import Told
    from replay.capture.source import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to take of a log; empty takes all."""

    databases: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    untold: bool = False  # take lines too that do not tell their database

    def asked(self) -> Mapping[str, tuple[str, ...]]:
        """The names that are asked for, by what they are of; those of one thing at least."""
        all_names = (
            ("database", self.databases),
            ("user", self.users),
            ("application", self.applications),
        )
        return {what: names for what, names in all_names if names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What capture gives: write it with bundle.write."""

    workload: Workload
    profile: "SchemaProfile | None"  # scrubbed; None where no server was asked
    interrupted: bool = False  # by Ctrl-C: the workload holds what was read until then
    raw: Sequence[Transaction] = ()  # the kept ones with production's values: these reach no disk
    scrubbed: "Callable[[SchemaProfile], SchemaProfile] | None" = None  # of a raw profile
    told: "Told | None" = None  # of the links with requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to take of the logs, and how."""

    filters: Filters = field(default_factory=Filters)
    begin: datetime | None = None  # of transactions, by the start of their first statement
    end: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)  # of the server that wrote the log
    seed: int = 0  # of the sample
    per_stratum: int = 64  # k of the sample
    everything: bool = False  # no sample: all transactions are kept
    keep_values: bool = False  # instead of scrubbing them
    jobs: int = 1


def kept_values(asked: "Asked | None") -> frozenset[str]:
    """Values that stand in the schema: literals, and the names of relations."""
    if asked is None:
        return frozenset()
    from data_gen.labels import schema_literals  # noqa: PLC0415 - a capture of logs alone starts without

    names = {name for t in asked.profile.tables for name in (t.qualified, t.name)}
    names |= {c.sequence for t in asked.profile.tables for c in t.columns if c.sequence}
    names |= {name.rpartition(".")[2] for name in names}
    return schema_literals(asked.profile) | names


def key_id(key: bytes) -> str:
    """What tells one scrub key from another, and nothing else of it: 16 hex digits."""
    return hashlib.blake2b(b"id", key=hashlib.sha256(key).digest(), digest_size=8).hexdigest()
