"""A migration in the middle of the load, told in words and on a terminal."""

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from replay.migration import Migration, MigrationStatement, Round
from replay.outcome import OK
from replay.report import wording

_SHOWN = 3  # waits on each side of a statement
_WIDTH = 90  # characters of a statement that is named in passing


def section(migration: Migration, texts: Mapping[str, str]) -> RenderableType:
    """Every statement with its waits, and how the load bore each run of the file."""
    if not migration.statements:
        return Text(f"{migration.file} never began", style="bold yellow")
    parts: list[RenderableType] = []
    for one in migration.rounds:
        good = one.complete and one.recovered_s is not None and not one.disturbed_s
        head = f"round {_number(migration, one)}: " if len(migration.rounds) > 1 else ""
        parts.append(Text(f"{head}{recovery(one)}", style="" if good else "bold red"))
        parts += [_statement(s, texts) for s in migration.statements if _within(s, one)]
    return Group(*parts)


def in_words(migration: Migration, texts: Mapping[str, str]) -> Iterator[str]:
    """The same in plain lines."""
    if not migration.statements:
        yield f"{migration.file} never began"
    for one in migration.rounds:
        yield f"{migration.file}: {recovery(one)}"
        for statement in migration.statements:
            if _within(statement, one):
                yield f"  line {statement.line}: {_short(statement.sql)}"
                yield from (f"    {line}" for line in sentence(statement, texts))


def recovery(one: Round) -> str:
    """How the load bore one run of the file, and when it was itself again."""
    usual = f"p95 before {wording.ms(one.before_p95_ms)}, at worst {wording.ms(one.worst_p95_ms)}"
    took = wording.seconds(one.ended_s - one.began_s)
    done = f"done in {took}" if one.complete else f"NOT done, given up after {took}"
    if not one.disturbed_s:
        return f"{done}; the load did not feel it ({usual})"
    felt = f"{done}; the load was disturbed for {wording.seconds(one.disturbed_s)} ({usual})"
    if one.recovered_s is None:
        return f"{felt} and did not recover before its end"
    after = one.recovered_s - one.ended_s
    when = f"{wording.seconds(after)} after" if after >= 0.05 else "with"
    return f"{felt} and was itself again {when} the migration's end"


def sentence(statement: MigrationStatement, texts: Mapping[str, str]) -> Iterator[str]:
    """What one statement took, waited for and blocked, a line each."""
    took = f"took {_time(statement.took_s)}"
    if statement.outcome != OK:
        took += f", ended with {statement.outcome}: {statement.error}"
    yield took
    for wait in statement.waited[:_SHOWN]:
        who = _named(wait.blocker, texts)
        yield f"waited {_time(wait.seconds)} for {_lock(wait.lock, wait.relation)} behind {who}"
    for group in statement.blocked[:_SHOWN]:
        yield (
            f"blocked {group.sessions} session{'s' * (group.sessions != 1)} for "
            f"{_time(group.seconds)} in all, the longest {_time(group.longest_s)}, "
            f"at {_lock(group.lock, group.relation)}: {_named(group.template, texts)}"
        )
    more = max(len(statement.blocked) - _SHOWN, 0)
    if more:
        yield f"and {more} more kinds of statements; {_time(statement.blocked_s)} in all"


def _statement(statement: MigrationStatement, texts: Mapping[str, str]) -> RenderableType:
    head = Text.assemble(
        (f"line {statement.line}  ", "dim"),
        _short(statement.sql),
        no_wrap=True,
        overflow="ellipsis",
    )
    told = (Text(line) for line in sentence(statement, texts))
    return Group(head, Padding(Group(*told), (0, 0, 0, 8), expand=False))


def _within(statement: MigrationStatement, one: Round) -> bool:
    return one.began_s <= statement.began_s <= one.ended_s


def _number(migration: Migration, one: Round) -> int:
    return migration.rounds.index(one) + 1


def _lock(lock: str, relation: str) -> str:
    return f"{lock} on {relation}" if relation else lock


def _named(template: str, texts: Mapping[str, str]) -> str:
    return _short(texts.get(template) or template or wording.STRANGER)


def _short(sql: str) -> str:
    whole = " ".join(sql.split())
    return whole if len(whole) <= _WIDTH else f"{whole[: _WIDTH - 1]}…"


def _time(value: float) -> str:
    return wording.ms(value * 1e3) if value < 1 else wording.seconds(value)
