"""How the server chose what to log: which share of its statements a log line stands for.

Manual, 20.8.2: a statement is logged when it took log_min_duration_statement or longer; with
log_statement_sample_rate when it took log_min_duration_sample or longer; and all of a transaction with
log_transaction_sample_rate. Nothing in a line marks it, so the settings must be known.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from replay.errors import InputError

NAMES = (
    "log_min_duration_statement",
    "log_min_duration_sample",
    "log_statement_sample_rate",
    "log_transaction_sample_rate",
    "log_statement",
)
_UNITS_US = {"us": 1, "": 1000, "ms": 1000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d|)")
_OFF = "-1"
# First words of what `log_statement` logs (GetCommandLogLevel, PostgreSQL 18).
_DEFINES = frozenset(
    (
        "create",
        "alter",
        "drop",
        "comment",
        "security",
        "grant",
        "revoke",
        "refresh",
        "cluster",
        "reassign",
        "import",
    )
)
_LOGGED_AS = {
    "ddl": _DEFINES,
    "mod": _DEFINES | {"insert", "update", "delete", "merge", "truncate"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What the server logs; durations in µs, None where the setting is off."""

    least_us: int | None = 0
    sampled_from_us: int | None = None
    statement_share: float = 1.0
    transaction_share: float = 0.0
    texts: str = "none"  # log_statement

    @property
    def logs_all(self) -> bool:
        """Whether every statement's text is logged."""
        return self.texts == "all"

    @property
    def whole(self) -> bool:
        """Whether transactions are logged whole, so that they can be rebuilt."""
        return self.logs_all or self.least_us == 0 or self.transaction_share > 0

    @property
    def complete(self) -> bool:
        """Whether every statement is in the log."""
        return self.logs_all or self.least_us == 0 or self.transaction_share == 1

    def logs_text(self, sql: str) -> bool:
        """Whether a statement's text is logged whatever is drawn."""
        return sql.partition(" ")[0] in _LOGGED_AS.get(self.texts, ())

    def probability(self, longest_us: int, statements: int, *, always: bool) -> float:
        """That a unit is in the log: one of so many statements, whose longest took that long.

        `always`: its first one is logged whatever is drawn, as errors are.
        """
        alone = statements == 1
        if self.complete or (alone and always):
            return 1.0
        if alone and self.least_us is not None and longest_us >= self.least_us:
            return 1.0
        drawn = self.sampled_from_us is not None and longest_us >= self.sampled_from_us
        by_statement = self.statement_share if alone and drawn else 0.0
        found = 1.0 - (1.0 - self.transaction_share) * (1.0 - by_statement)
        return found if found > 0 else 1.0  # the settings have changed since it was logged


def sampling_of(settings: Mapping[str, str]) -> Sampling:
    """By the server's settings, in the form that SHOW gives; what is not named logs everything.

    Raises InputError for a value that is none.
    """
    return Sampling(
        least_us=_us(settings, "log_min_duration_statement", "0"),
        sampled_from_us=_us(settings, "log_min_duration_sample", _OFF),
        statement_share=_share(settings, "log_statement_sample_rate", "1"),
        transaction_share=_share(settings, "log_transaction_sample_rate", "0"),
        texts=settings.get("log_statement", "none"),
    )


def notes(sampling: Sampling) -> tuple[str, ...]:
    """What a reader of the workload should know of it."""
    found = []
    if not sampling.complete and sampling.transaction_share > 0:
        found.append(
            "the server logs a sample of transactions (log_transaction_sample_rate = "
            f"{sampling.transaction_share:g}): calls are those in the log, the kept transactions' "
            "weights stand for all of them"
        )
        if sampling.texts in _LOGGED_AS:
            found.append(
                f"log_statement = {sampling.texts} logs its statements also of transactions that were "
                "not drawn: the weights count them once"
            )
    if not sampling.whole:
        found.append(
            "the server logs single statements (log_min_duration_statement, "
            "log_min_duration_sample): what belonged together in a transaction is not known, so each "
            "is one of its own; log_transaction_sample_rate logs whole ones"
        )
    if not sampling.complete and sampling.sampled_from_us is None and sampling.least_us:
        found.append(
            f"only statements of {sampling.least_us / 1000:g} ms and longer are in the log: faster "
            "ones are missing"
        )
    return tuple(found)


def _us(settings: Mapping[str, str], name: str, default: str) -> int | None:
    text = settings.get(name, default).strip()
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InputError(f"{name} = {text!r}: is no duration; write it as SHOW {name} gives it")
    if found[1].startswith("-"):
        return None
    return int(float(found[1]) * _UNITS_US.get(found[2], 86_400_000_000))


def _share(settings: Mapping[str, str], name: str, default: str) -> float:
    text = settings.get(name, default)
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError(f"{name} = {text!r}: is no rate from 0 to 1")
    return share
