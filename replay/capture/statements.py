"""pg_stat_statements: exact counts, and the templates that the log does not show.

Its texts have `$n` where the statement had a literal, and a template has `?`; so they are compared
with both folded to one mark, after the query_id has had its say.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from data_gen.questions import ALIAS, Row
from replay.capture.answers import NOT_ALLOWED, NOT_LOADED, Answers, UnansweredError
from replay.sql.fingerprint import Fingerprint, fingerprint
from replay.tag import template_of
from replay.workload import Counters, Template

_SLOT = re.compile(r"\$\d+|\?|(?<=\bextract\()\w+(?= from\b)")  # EXTRACT's field is a constant
# What PostgreSQL 17 and 18 take for a constant besides: a savepoint's or a prepared statement's name,
# what a setting is set to, and the cast of each item of a list.
_NAME = re.compile(
    r"^(savepoint|release(?: savepoint)?|rollback to(?: savepoint)?|deallocate(?: prepare)?"
    r"|set (?:session |local )?[\w.]+ (?:to|=)) (?!all$).+$"
)
_CAST_OF_ITEMS = re.compile(r"(?<=\?)::[a-z_][\w ]*(?=, \.\.\.)")
_PREPARE = re.compile(r'^prepare (?:"(?:[^"]|"")*"|[\w$]+)(?: ?\(.*?\))? as (?=\S)')
_FLOATS = frozenset({"total_ms", "read_ms", "write_ms"})

# Every statement of this program that production's server sees has one of these for an alias ...
OWN_ALIASES = (ALIAS, "replay_doctor")
# ... but for those that surround them, by their folded texts.
OWN = frozenset({"begin read only", "rollback"})

_NOT_COUNTED = {  # by the SQLSTATE that refuses
    NOT_LOADED: "pg_stat_statements is not in shared_preload_libraries: it counts nothing",
    NOT_ALLOWED: "pg_stat_statements may not be read by this user: GRANT SELECT on it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One entry of pg_stat_statements, of this database."""

    query_id: int
    text: str
    counters: Counters
    since_us: int | None = None  # epoch; this entry's first call, from PostgreSQL 17 on


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What pg_stat_statements says of its own counting; moments are epoch µs by the server's clock."""

    since_us: int  # last reset; the server's start where the extension does not tell
    evictions: int  # since then
    now_us: int  # 0 where nothing is counted


def read_statements(answers: Answers) -> tuple[tuple[Counted, ...], Counting, tuple[str, ...]]:
    """All entries of this database's top-level statements, and what a reader should know of them.

    Raises UnansweredError where the server refuses for another reason than that it does not count.
    """
    (extension,) = answers.rows("extension")
    try:
        rows = answers.rows("statements") if extension["created"] else []
        (counting,) = answers.rows("counting" if extension["tells"] else "started")
    except UnansweredError as error:
        if error.sqlstate not in _NOT_COUNTED:
            raise
        return (), Counting(since_us=0, evictions=0, now_us=0), (_NOT_COUNTED[error.sqlstate],)
    counted = tuple(_counted(row) for row in rows if row["query_id"] is not None)
    hidden = len(rows) - len(counted)
    notes = _notes(extension["created"], counting["evictions"], hidden)
    return counted, Counting(**counting), tuple(notes)


def _counted(row: Row) -> Counted:
    figures = {field.name: row[field.name] for field in fields(Counters)}
    for name in _FLOATS:
        figures[name] = float(figures[name] or 0)
    return Counted(
        query_id=row["query_id"],
        text=row["text"],
        counters=Counters(**figures),
        since_us=row["since_us"],
    )


def _notes(created: bool, evictions: int, hidden: int) -> Iterable[str]:
    if not created:
        yield "pg_stat_statements is not installed in this database: CREATE EXTENSION it"
    if evictions:
        yield (
            f"pg_stat_statements evicted entries {evictions} times: templates that it lacks may "
            "exist; raise pg_stat_statements.max"
        )
    if hidden:
        yield (
            f"{hidden} entries of pg_stat_statements are hidden from this user; "
            "GRANT pg_read_all_stats shows them"
        )


class Owners:
    """Templates of a log, by what pg_stat_statements knows of them."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._by_query_id: dict[int, list[Template]] = defaultdict(list)
        self._by_text: dict[str, list[Template]] = defaultdict(list)
        for template in templates:
            for text in {folded(template.sql), _unnamed(template.sql)}:
                self._by_text[text].append(template)
            for query_id, _ in template.query_ids:
                self._by_query_id[query_id].append(template)

    def of(self, query_id: int, sql: str) -> Template | None:
        """The template that an entry of this query_id and canonical text belongs to."""
        same_text = self._by_text.get(folded(sql)) or self._by_text.get(_unnamed(sql), [])
        same_id = self._by_query_id.get(query_id, [])
        both = [template for template in same_id if template in same_text]
        return max(both or same_id or same_text, key=lambda t: t.calls, default=None)


def join(
    templates: Sequence[Template], counted: Iterable[Counted], own: Collection[str] = OWN
) -> list[Template]:
    """Templates with what pg_stat_statements adds, and after them those that only it knows.

    An entry belongs to the template that the log showed under its query_id, else to one of the same
    text; where that is several, to the one most called. Entries that are the program's own, by
    their folded texts, are left out.
    """
    owners = Owners(templates)
    counted_of: dict[str, Counters] = {}
    alone: dict[str, Template] = {}
    for entry in counted:
        found = executed(entry.text)
        match = owners.of(entry.query_id, found.sql)
        if match is not None:
            known = counted_of.get(match.id)
            counted_of[match.id] = known + entry.counters if known else entry.counters
        elif not is_own(entry.text, found.sql, own):
            alone[found.id] = _added(alone.get(found.id), found, entry)
    joined = [
        replace(template, source="both", counted=counted_of[template.id])
        if template.id in counted_of
        else template
        for template in templates
    ]
    return joined + list(alone.values())


def executed(text: str) -> Fingerprint:
    """What an entry counts the executions of: under a PREPARE's text, those of what it prepared."""
    found = fingerprint(text)
    if not found.sql.startswith("prepare "):
        return found
    return fingerprint(_PREPARE.sub("", found.sql))


def is_own(text: str, canonical: str, own: Collection[str] = OWN) -> bool:
    """Whether a statement is this program's: by its folded text, its tag, or its alias."""
    return (
        folded(canonical) in own
        or bool(template_of(text))
        or any(alias in text for alias in OWN_ALIASES)
    )


def _added(template: Template | None, found: Fingerprint, entry: Counted) -> Template:
    """The template that only pg_stat_statements knows, with an entry more."""
    query_ids: dict[int, int] = dict(template.query_ids if template else ())
    query_ids[entry.query_id] = query_ids.get(entry.query_id, 0) + entry.counters.calls
    counted = entry.counters
    if template is not None and template.counted is not None:
        counted = template.counted + counted
    return Template(
        id=found.id,
        sql=found.sql,
        kind=found.kind,
        tables=found.tables,
        calls=counted.calls,
        errors=0,
        total_ms=counted.total_ms,
        source="statements",
        query_ids=tuple(query_ids.items()),
        counted=counted,
    )


def folded(canonical: str) -> str:
    """A template's text by which it is known in the log and in pg_stat_statements alike."""
    return _SLOT.sub("?", canonical)


def _unnamed(canonical: str) -> str:
    """The text without what only some versions keep."""
    return _CAST_OF_ITEMS.sub("", _NAME.sub(r"\1 ?", folded(canonical)))
