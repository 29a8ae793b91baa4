"""Which setting of its session a statement changes, for as long as the session lasts."""

import re
from typing import TypeVar

T = TypeVar("T")
ALL = "all"
_SET = re.compile(
    r"\s*(set|reset)\s+(?!local\b|transaction\b|constraints\b)"
    r"(?:session\s+(?!authorization\b))?(time\s+zone|session\s+authorization|[\w.\"]+)",
    re.IGNORECASE,
)
_DISCARD = re.compile(r"\s*discard\s+all\b", re.IGNORECASE)
_PART = re.compile(r"((?:'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[^;'\"])*)(?:;|$)")
_SAME_AS = {"schema": "search_path", "time zone": "timezone"}


def parts(sql: str) -> tuple[str, ...]:
    """The statements of a text that does nothing but set what outlives its transaction; else none."""
    if not _name(sql):
        return ()
    found = tuple(filter(None, map(str.strip, _PART.findall(sql))))
    return found if all(map(_name, found)) else ()


def changed(sql: str) -> str:
    """The setting that a SET or RESET changes; ALL for DISCARD ALL, too; "" of any other text."""
    return _name(sql) if len(parts(sql)) == 1 else ""


def apply(sql: str, held: T, known: dict[str, T]) -> None:
    """Let `known` have what is in force after such a statement, by setting, the last one set last.

    `held` stands there for the statement.
    """
    name = changed(sql)
    told = _SET.match(sql)
    if told is not None and told[1].lower() == "set":
        known.pop(name, None)
        known[name] = held
    elif name == ALL:
        known.clear()
    else:
        known.pop(name, None)


def _name(sql: str) -> str:
    told = _SET.match(sql)
    if told is None:
        return ALL if _DISCARD.match(sql) else ""
    name = " ".join(told[2].lower().split())
    return _SAME_AS.get(name, name)
