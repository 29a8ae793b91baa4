"""What a server's facts mean for a capture: pure, from facts to findings and the lines to run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from replay.capture.doctor.facts import Facts

GOOD, LESS, MISSING = "good", "less", "missing"
_JSONLOG_SINCE = 150_000
_CLOCK_S = 1.0
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
class Finding:
    """One thing looked at."""

    topic: str
    level: str  # good; less: the capture would hold less than it could; missing: it would not work
    says: str
    fix: tuple[str, ...] = ()  # SQL, a statement a line
    restart: bool = False  # the fix needs one


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All that the doctor has to say."""

    facts: Facts
    logs: str  # everything, transactions, statements, slow or nothing
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
        *(finding for look in _LOOKS for finding in look(facts)),
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
    """Which statements the server logs with their durations, and their share."""
    settings = facts.settings
    if settings.get("log_min_duration_statement", "-1") == "0":
        return "everything", 1.0
    if settings.get("log_statement") == "all" and settings.get("log_duration") == "on":
        return "everything", 1.0
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


def _lines(facts: Facts) -> Iterator[Finding]:
    """Settings that change what stands in a line of the log."""
    wanted = (
        ("log_parameter_max_length", ("-1", "-1B"), "-1", "cut parameters cannot be replayed"),
        ("log_lock_waits", ("on",), "on", "production's own lock waits would be missing"),
        ("compute_query_id", ("on",), "on", "the log names no query_id: capture reads slower"),
    )
    for name, good, value, why in wanted:
        found = facts.settings.get(name, value)
        if name == "compute_query_id" and found == "auto" and _is_loaded(facts):
            continue
        if found not in good:
            fix = f"ALTER SYSTEM SET {name} = {value};"
            yield Finding(topic=name, level=LESS, says=f"is {found}: {why}", fix=(fix,))
    messages = facts.settings.get("lc_messages", "C")
    if not (messages in {"", "C", "POSIX"} or messages.startswith(("en", "C."))):
        fix = "ALTER SYSTEM SET lc_messages = 'C';"
        says = f"is {messages}: capture reads English messages"
        yield Finding(topic="lc_messages", level=MISSING, says=says, fix=(fix,))


def _counters(facts: Facts) -> Iterator[Finding]:
    topic = "pg_stat_statements"
    if not _is_loaded(facts):
        libraries = facts.settings.get("shared_preload_libraries")
        # Each name is quoted by itself: a list in one pair of quotes is the name of one library.
        names = [name.strip() for name in (libraries or "").split(",") if name.strip()]
        listed = ", ".join(f"'{name}'" for name in [*names, topic])
        line = f"ALTER SYSTEM SET shared_preload_libraries = {listed};  -- needs a restart"
        if libraries is None:
            line = f"-- add {topic} to shared_preload_libraries, which this user may not read"
        says = "is not loaded: paths that the log does not show would not be known at all"
        both = (line, f"CREATE EXTENSION IF NOT EXISTS {topic};  -- in {facts.database!r}")
        yield Finding(topic=topic, level=LESS, says=says, fix=both, restart=True)
        return
    if not facts.statements_installed:
        says = f"is loaded, and not to be seen from database {facts.database!r}"
        fix = (f"CREATE EXTENSION IF NOT EXISTS {topic};",)
        yield Finding(topic=topic, level=LESS, says=says, fix=fix)
    elif facts.statements is None:
        says = "is older than 1.9: since when it counts, and evictions, are not known"
        yield Finding(topic=topic, level=LESS, says=says, fix=(f"ALTER EXTENSION {topic} UPDATE;",))
    else:
        seen = f"counts {facts.statements.calls_per_s:,.1f} calls/s over "
        says = f"{seen}{facts.statements.counted_for_s / 3600:,.1f} h"
        yield Finding(topic=topic, level=GOOD, says=says)
        if facts.statements.evictions:
            most = facts.settings.get("pg_stat_statements.max", "5000")
            larger = int(most) * 2
            says = f"evicted entries {facts.statements.evictions} times (max {most}): rare ones go first"
            fix = (f"ALTER SYSTEM SET pg_stat_statements.max = {larger};  -- needs a restart",)
            yield Finding(topic=topic, level=LESS, says=says, fix=fix, restart=True)
    if facts.settings.get("pg_stat_statements.track", "top") == "none":
        fix = ("ALTER SYSTEM SET pg_stat_statements.track = 'top';",)
        yield Finding(topic=topic, level=LESS, says="track = none: it counts nothing", fix=fix)


def _rights(facts: Facts) -> Iterator[Finding]:
    user = _quoted(facts.username)
    lacking: list[tuple[str, str, str]] = []
    if not facts.reads_all_stats:
        says = f"{facts.username} sees its own entries of pg_stat_statements only"
        lacking.append((LESS, says, f"GRANT pg_read_all_stats TO {user};"))
    if not facts.knows_identity:
        says = f"{facts.username} may not ask which server this is, and --stats does"
        grant = f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {user};"
        lacking.append((MISSING, says, grant))
    hidden = facts.columns - facts.columns_readable
    if hidden:
        says = (
            f"pg_stats hides {hidden} of {facts.columns} columns from {facts.username}: they are "
            "generated from their type alone"
        )
        lacking.append((LESS, says, f"GRANT pg_read_all_data TO {user};"))
    for level, says, grant in lacking:
        yield Finding(topic="rights", level=level, says=says, fix=(grant,))
    if not lacking:
        says = f"{facts.username} sees all statistics"
        yield Finding(topic="rights", level=GOOD, says=says)
    blank = facts.columns_readable - facts.columns_analyzed
    if blank > 0:
        says = f"{blank} of {facts.columns_readable} columns have no statistics"
        yield Finding(topic="statistics", level=LESS, says=says, fix=("ANALYZE;",))


def _server(facts: Facts) -> Iterator[Finding]:
    major = facts.version // 10_000
    says = f"PostgreSQL {major}.{facts.version % 10_000}"
    yield Finding(topic="version", level=GOOD, says=says)
    ahead, known = facts.clock_ahead_s, facts.clock_known_to_s
    says = (
        f"the server's is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    )
    far = abs(ahead) > _CLOCK_S + known
    note = "; what is matched by time with other logs is off by as much" if far else ""
    yield Finding(topic="clock", level=LESS if far else GOOD, says=f"{says} (± {known:.2f}){note}")
    if facts.waiting_for_restart:
        names = ", ".join(facts.waiting_for_restart)
        says = f"changed, and in force only after a restart: {names}"
        yield Finding(topic="settings", level=LESS, says=says, restart=True)
    if facts.managed_by:
        says = (
            f"this looks like a managed server (role {facts.managed_by}): change settings in the "
            "provider's parameters, ALTER SYSTEM is not for its users"
        )
        yield Finding(topic="settings", level=LESS, says=says)


_LOOKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (_lines, _counters, _rights, _server)


def _is_loaded(facts: Facts) -> bool:
    return "pg_stat_statements.track" in facts.settings


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
