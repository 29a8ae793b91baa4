"""What a server's facts mean for a capture: pure, from facts to findings and the lines to run."""

from collections.abc import Sequence
from dataclasses import dataclass

from replay.capture.doctor.facts import Facts
from replay.capture.doctor.finding import GOOD, LESS, MISSING, Finding
from replay.capture.doctor.looks import LOOKS

_JSONLOG_SINCE = 150_000
_MUCH_LOG_GB_H = 1.0
_SAMPLE = 0.05
# Bytes of a jsonlog record beside the statement's text, and records a statement: measured on
# PostgreSQL 15 and 18 with a point read, 404 bytes by the simple protocol, 883 with parameters,
# where bind and execute are logged apart and the first holds them too.
_RECORD_BYTES = 370
_RECORDS_AT_MOST = 2
_PARAMETERS_BYTES = 36
# CPU µs of backend and log writer per transaction of a prepared point read, PostgreSQL 15.
COSTS: tuple[tuple[str, float, str], ...] = (
    ("nothing", 16.5, ""),
    ("pg_stat_statements", 16.7, "1 %"),
    ("5 % of transactions logged", 18.2, "10 %"),
    ("5 % of statements logged", 19.4, "18 %"),
    ("everything logged (csvlog)", 34.0, "106 %"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All that the doctor has to say."""

    facts: Facts
    logs: str  # everything, untimed, transactions, statements, slow or nothing
    share: float  # of transactions or statements that reach the log
    statements_per_s: float
    log_bytes_per_h: float  # with the settings as they are, at most
    sampled_bytes_per_h: float  # with 5 % of transactions, at most
    findings: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Whether a capture from the log would work with the settings as they are."""
        return not any(finding.level == MISSING for finding in self.findings)

    @property
    def changes(self) -> tuple[str, ...]:
        """The SQL to run as a superuser, with what makes it take effect at the end."""
        lines = list(dict.fromkeys(line for finding in self.findings for line in finding.fix))
        if any(line.startswith("ALTER SYSTEM") for line in lines):
            lines.append("SELECT pg_reload_conf();")
        if any(finding.restart for finding in self.findings):
            lines.append("-- and restart the server: lines marked so take effect only then")
        return tuple(lines)


def advise(facts: Facts, formats: Sequence[str]) -> Checkup:
    """The findings on a server; `formats` names the log formats that capture reads."""
    logs, share = _logged(facts)
    rate = facts.statements.calls_per_s if facts.statements else facts.xacts_per_s
    text = facts.statements.text_bytes if facts.statements else 0.0
    whole = rate * 3600 * _RECORDS_AT_MOST * (_RECORD_BYTES + _PARAMETERS_BYTES + text)
    findings = [
        _destination(facts, formats),
        _what_is_logged(logs, share, whole / 1e9),
        *(finding for look in LOOKS for finding in look(facts)),
    ]
    return Checkup(
        facts=facts,
        logs=logs,
        share=share,
        statements_per_s=rate,
        log_bytes_per_h=whole * share,
        sampled_bytes_per_h=whole * _SAMPLE,
        findings=tuple(findings),
    )


def _logged(facts: Facts) -> tuple[str, float]:
    """Which statements the server logs, and their share."""
    settings = facts.settings
    if settings.get("log_min_duration_statement", "-1") == "0":
        return "everything", 1.0
    if settings.get("log_statement") == "all":
        return ("everything" if settings.get("log_duration") == "on" else "untimed"), 1.0
    share = float(settings.get("log_transaction_sample_rate", "0"))
    if share > 0:
        return ("transactions", share) if share < 1 else ("everything", 1.0)
    share = float(settings.get("log_statement_sample_rate", "1"))
    if settings.get("log_min_duration_sample", "-1") == "0" and share > 0:
        return "statements", share
    sampled = settings.get("log_min_duration_sample", "-1") != "-1" and share > 0
    if settings.get("log_min_duration_statement", "-1") != "-1" or sampled:
        return "slow", 0.0
    return "nothing", 0.0


def _destination(facts: Facts, formats: Sequence[str]) -> Finding:
    destinations = facts.settings.get("log_destination", "")
    named = [name.strip() for name in destinations.split(",")]
    readable = [name for name in named if name in formats]
    collects = facts.settings.get("logging_collector", "on") == "on"
    fix, restart = [], False
    if not collects:
        fix.append("ALTER SYSTEM SET logging_collector = on;  -- needs a restart")
        restart = True
    best = "jsonlog" if facts.version >= _JSONLOG_SINCE else "csvlog"
    if not readable and best not in formats:
        says = f"capture reads {', '.join(formats)}, which this version does not write"
        return Finding(topic="log", level=MISSING, says=says)
    if not readable:
        value = f"stderr,{best}" if "stderr" in named else best
        fix.append(f"ALTER SYSTEM SET log_destination = '{value}';")
    if not fix:
        return Finding(topic="log", level=GOOD, says=f"written as {', '.join(readable)}")
    says = f"log_destination = {destinations}, logging_collector = {'on' if collects else 'off'}"
    return Finding(
        topic="log",
        level=MISSING,
        says=f"{says}: capture reads {', '.join(formats)}",
        fix=tuple(fix),
        restart=restart,
    )


def _what_is_logged(logs: str, share: float, whole_gb_h: float) -> Finding:
    sample = (f"ALTER SYSTEM SET log_transaction_sample_rate = {_SAMPLE};",)
    everything = "log_min_duration_statement = 0 for a window logs everything"
    if logs == "everything":
        if whole_gb_h < _MUCH_LOG_GB_H:
            return Finding(topic="statements", level=GOOD, says="every one is logged")
        return Finding(
            topic="statements",
            level=GOOD,
            says=f"every one is logged, up to {whole_gb_h:.1f} GB an hour: right for a window; to "
            f"leave it on, log {_SAMPLE:.0%} of transactions instead and reset "
            "log_min_duration_statement",
        )
    if logs == "transactions":
        says = f"{share:.3g} of all transactions are logged whole: rarer paths than that are only "
        return Finding(
            topic="statements",
            level=GOOD,
            says=f"{says}counted by pg_stat_statements; {everything}",
        )
    if logs == "untimed":
        return Finding(
            topic="statements",
            level=LESS,
            says="every one is logged without its duration (log_statement = all): what runs and how "
            "often would be exact, how long it takes not known",
            fix=("ALTER SYSTEM SET log_duration = on;",),
        )
    if logs == "statements":
        return Finding(
            topic="statements",
            level=LESS,
            says=f"{share:.3g} of statements are drawn one by one: hardly a transaction is whole",
            fix=(
                "ALTER SYSTEM RESET log_min_duration_sample;",
                "ALTER SYSTEM RESET log_statement_sample_rate;",
                *sample,
            ),
        )
    if logs == "slow":
        return Finding(
            topic="statements",
            level=LESS,
            says="only slow ones are logged: the fast ones, and the BEGIN and COMMIT around these, "
            f"are missing; {everything}",
            fix=sample,
        )
    return Finding(
        topic="statements",
        level=MISSING,
        says=f"none is logged with its duration; {everything}",
        fix=sample,
    )
