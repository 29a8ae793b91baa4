"""Templates refine the server's query_id, on PostgreSQL's own regression scripts.

Two statements with different query_ids share no template, but for the reasons in EXCEPTIONS: there
the query_id tells apart what is one statement to whoever replays it.
"""

import itertools
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_regression import NONE, SETTINGS, Logged, logged, run_scripts

from replay import embedded
from replay.sql.fingerprint import fingerprint
from replay.sql.scanner import Lexeme, lexeme, scan

SCRIPTS = Path(os.environ.get("REPLAY_REGRESSION_SQL", "/nonexistent"))
if not (SCRIPTS / "parallel_schedule").is_file():
    pytest.skip(
        "REPLAY_REGRESSION_SQL names no directory with PostgreSQL's regression scripts (sql/, "
        "data/, parallel_schedule): templates are not compared with the server's query_id",
        allow_module_level=True,
    )

QUERIES = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table"})
# What changes the meaning of names: of those it holds, or of any.
DEFINES = re.compile(r"(create|alter|drop|select .* into|explain)\b")
MOVES = re.compile(
    r"(set|reset) (local |session )?(search_path|role|session|schema)|set schema|rollback|abort"
    r"|drop .* cascade|discard|do\b|call\b|execute\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why two statements of one template have two query_ids."""

    name: str
    why: str
    holds: Callable[[Logged, Logged, Sequence[Logged]], bool]  # of both, and all between them


def _utility(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    return _begins(one) not in QUERIES


def _several(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    return ";" in one.typed


def _lengths(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    """The same words, but for values: then only as many of them stand in a list."""
    return len(one.typed) != len(other.typed) and _words(one) == _words(other)


def _types(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    differ = [both for both in zip(one.typed, other.typed, strict=False) if len(set(both)) > 1]
    return (
        len(one.typed) == len(other.typed)
        and bool(differ)
        and all(word.endswith("'") for both in differ for word in both)
    )


def _signs(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    bare, others = ([word for word in told.typed if word != "+"] for told in (one, other))
    return one.typed != other.typed and [w for w in bare if w != "-"] == [
        w for w in others if w != "-"
    ]


def _meanings(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    names = _names(one)
    return any(
        MOVES.match(told.template.sql)
        or (DEFINES.match(told.template.sql) and not names.isdisjoint(told.typed))
        for told in between
    )


def _of_sessions(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    return one.session != other.session and bool(one.template.tables)


def _row_types(one: Logged, other: Logged, between: Sequence[Logged]) -> bool:
    has_rows = "(" in one.typed or "*" in one.typed
    return has_rows and any(told.template.sql.startswith("alter table") for told in between)


EXCEPTIONS = (
    Reason(
        name="utility statement",
        why="up to 15 it is hashed by its text, values and spacing included, and from 16 on most of "
        "its literals still count",
        holds=_utility,
    ),
    Reason(
        name="several statements in one string",
        why="the line carries the query_id of one of them",
        holds=_several,
    ),
    Reason(
        name="length of a list",
        why="the rows of VALUES count, and the items of IN and ARRAY before 18",
        holds=_lengths,
    ),
    Reason(
        name="sign",
        why="a + before a value is an operator, and so is a second -",
        holds=_signs,
    ),
    Reason(
        name="type of a literal",
        why="1, 3000000000, 1.5, '1' and NULL are constants of five types, and may choose another "
        "function; a template is blind to literals, types included",
        holds=_types,
    ),
    Reason(
        name="meaning of a name",
        why="the query_id hashes what a name meant: relations by OID (up to 17), types of columns, "
        "functions; in between it was created anew, altered, or looked up on another path",
        holds=_meanings,
    ),
    Reason(
        name="row type",
        why="* and a function's rows are the columns of a table, which was altered: it, its parent, "
        "or the one whose rows the function returns",
        holds=_row_types,
    ),
    Reason(
        name="temporary tables of two sessions",
        why="one name, a table in each session",
        holds=_of_sessions,
    ),
)


@pytest.fixture(
    scope="module", params=embedded.installations(), ids=lambda found: f"pg{found.version}"
)
def told(request: pytest.FixtureRequest) -> list[Logged]:
    """What a server of each version logged of all scripts."""
    with embedded.server(SETTINGS, installation=request.param) as running:
        run_scripts(running, SCRIPTS)
        return logged(running)


def test_templates_refine_the_servers_query_id(told):
    assert len(told) > 30_000
    assert len({one.template.id for one in told}) > 15_000
    reasons: Counter[str] = Counter()
    unexplained: list[str] = []
    for one, other in _apart(told):
        between = told[one.number + 1 : other.number]
        reason = next((r.name for r in EXCEPTIONS if r.holds(one, other, between)), None)
        reasons[reason or "none"] += 1
        if reason is None:
            lines = [one.template.sql, one.sql, *(told.sql for told in between[-9:]), other.sql]
            unexplained.append("\n    ".join(lines))
    print(f"{len(told):,} statements; pairs by reason: {dict(reasons)}")
    print(f"one query_id, several templates: {dict(_finer(told))}")
    assert not unexplained, "\n".join(unexplained)


def test_each_logged_statement_has_a_template_that_stands_still_whole_or_cut_off(told):
    draw = random.Random(1)
    for sql in {one.sql: None for one in told}:
        cut = sql[: draw.randrange(len(sql) + 1)]
        for text in (sql, cut):
            found = fingerprint(text)
            assert fingerprint(found.sql) == found, text


def test_templates_are_blind_to_literals_spacing_and_comments(told):
    draw = random.Random(2)
    for one in {one.sql: one for one in told}.values():
        assert fingerprint(_rewritten(one.sql, draw)).sql == one.template.sql, one.sql


def _apart(told: Iterable[Logged]) -> Iterator[tuple[Logged, Logged]]:
    """Neighbours in the log, of one template and of two query_ids: first those of equal types."""
    by_template: dict[str, list[Logged]] = defaultdict(list)
    for one in told:
        if one.query_id != NONE:
            by_template[one.template.id].append(one)
    for same in by_template.values():
        by_types: dict[tuple[str, ...], list[Logged]] = defaultdict(list)
        for one in same:
            by_types[one.typed].append(one)
        for group in by_types.values():
            for one, other in itertools.pairwise(group):
                if one.query_id != other.query_id:
                    yield one, other
        for one, other in itertools.pairwise(group[0] for group in by_types.values()):
            if one.query_id != other.query_id:
                yield one, other


def _finer(told: Iterable[Logged]) -> Counter[str]:
    """How the templates of one query_id differ, by class; each is one to the server."""
    by_id: dict[str, dict[str, Logged]] = defaultdict(dict)
    for one in told:
        if one.query_id != NONE:
            by_id[one.query_id].setdefault(one.template.sql, one)
    found: Counter[str] = Counter()
    for same in by_id.values():
        for one, other in itertools.pairwise(same.values()):
            found[_difference(one, other)] += 1
    return found


def _difference(one: Logged, other: Logged) -> str:
    if _begins(one) not in QUERIES:
        return "utility statement"
    words, others = (
        Counter(told.template.sql.replace("(", " ( ").split()) for told in (one, other)
    )
    if words == others:
        return "order of words"
    less = {*(words - others), *(others - words)}
    if less & {"!=", "<>", "cast", "as", "::", "(", ")", "outer", "inner", "asc", "all"}:
        return "another spelling: as, cast, <>, brackets, noise words"
    return "names: aliases, schemas, equal functions"


def _begins(one: Logged) -> str:
    return next((word for word in one.typed if word != "("), "")


def _words(one: Logged) -> frozenset[str]:
    return frozenset(word for word in one.typed if not word.endswith("'") and word not in "+-,()")


def _names(one: Logged) -> frozenset[str]:
    """Names of tables, functions and types, as the statement writes them."""
    words = one.typed
    called = {word for word, behind in itertools.pairwise(words) if behind == "("}
    cast = {
        behind for word, behind in itertools.pairwise(words) if word in {"::", "from", "update"}
    }
    tables = {part for table in one.template.tables for part in (table, table.split(".")[-1])}
    return frozenset(called | cast | tables)


def _rewritten(sql: str, draw: random.Random) -> str:
    """Other literals, other spacing, comments between the words."""
    blanks = (" ", "\n", "\t ", " /* it's /* one */ */ ", " -- a '\n")
    others = {
        Lexeme.STRING: ("'x'", "E'it\\'s'", "$q$ $$ $q$", "''"),
        Lexeme.BITS: ("B'1'", "x'fF'"),
    }
    pieces = []
    for token in scan(sql):
        pieces.append(draw.choice(others.get(lexeme(token), (token,))))
        pieces.append(draw.choice(blanks))
    return "".join(pieces)
