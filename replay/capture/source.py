"""What production's server says of itself: over one read-only connection, or by a script's output."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_gen.introspect import profile_of
from data_gen.profile import SchemaProfile
from replay.capture.answers import Answers
from replay.capture.profile_file import Recorded
from replay.capture.questions import connected
from replay.capture.statements import OWN, Counted, read_statements
from replay.workload import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All answers of the source."""

    source: Source
    profile: SchemaProfile  # raw: scrub it before it leaves
    statements: tuple[Counted, ...]
    own: frozenset[str]  # folded texts of what this program itself sends to a source
    notes: tuple[str, ...]
    counted_since_us: int  # epoch; when pg_stat_statements began to count
    asked_us: int  # epoch, by the server's clock


def ask(dsn: str) -> Asked:
    """Read identity, settings, schema, statistics and pg_stat_statements; then disconnect.

    Raises EnvironmentFaultError where the server cannot be reached, or does not answer in time.
    """
    with connected(dsn) as answers:
        return asked_of(answers)


def read_answers(file: Path) -> Asked:
    """The same from what psql wrote when it ran the script of `replay profile --sql`.

    Raises InputError where the file is none, or not whole.
    """
    return asked_of(Recorded(file))


def asked_of(answers: Answers) -> Asked:
    """All answers, put together; raises UnansweredError where the server refused one."""
    source = source_of(answers, settings=True)
    profile = profile_of(answers.rows)
    statements, counting, notes = read_statements(answers)
    return Asked(
        source=source,
        profile=profile,
        statements=statements,
        own=OWN,
        notes=(*_cut_note(source.settings), *notes),
        counted_since_us=counting.since_us,
        asked_us=counting.now_us or profile.taken_at_us,
    )


def source_of(answers: Answers, *, settings: bool = False) -> Source:
    """Version, database and system identifier of the server, with its settings where asked for."""
    (identity,) = answers.rows("identity")
    rows = answers.rows("settings") if settings else ()
    return Source(**identity, settings={row["name"]: row["value"] for row in rows})


def _cut_note(settings: Mapping[str, str]) -> tuple[str, ...]:
    cut = settings.get("log_parameter_max_length", "-1")
    if cut in ("-1", "-1B"):
        return ()
    return (f"parameters are cut off in the log (log_parameter_max_length = {cut})",)
