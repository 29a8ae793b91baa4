"""What else than the statements' log bears on a capture: lines, counters, rights, server."""

from collections.abc import Callable, Iterator

from replay.capture.doctor.facts import Facts
from replay.capture.doctor.finding import GOOD, LESS, MISSING, Finding
from replay.capture.translations import knows

_CLOCK_S = 1.0


def _lines(facts: Facts) -> Iterator[Finding]:
    """Settings that change what stands in a line of the log."""
    wanted = (
        ("log_parameter_max_length", ("-1", "-1B"), "-1", "cut parameters cannot be replayed"),
        ("log_lock_waits", ("on",), "on", "production's own lock waits would be missing"),
        (
            "compute_query_id",
            ("on",),
            "on",
            "statements of the log and of pg_stat_statements are joined by their text alone",
        ),
    )
    for name, good, value, why in wanted:
        found = facts.settings.get(name, value)
        if name == "compute_query_id" and found == "auto" and _is_loaded(facts):
            continue
        if found not in good:
            fix = f"ALTER SYSTEM SET {name} = {value};"
            yield Finding(topic=name, level=LESS, says=f"is {found}: {why}", fix=(fix,))
    messages = facts.settings.get("lc_messages", "C")
    if not knows(messages):
        fix = "ALTER SYSTEM SET lc_messages = 'C';"
        says = f"is {messages}: capture does not know that language's messages"
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


def _is_loaded(facts: Facts) -> bool:
    return "pg_stat_statements.track" in facts.settings


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


LOOKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (_lines, _counters, _rights, _server)
