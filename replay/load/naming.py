"""Statement names for Locust's tables: short, unique, and known again by whoever wrote the query.

What tells a statement are its verb, its tables and its conditions: lists of columns and of values
are left out first, then the middle. Locust's web UI and CSV have one name a row and no more room.
"""

import re
from collections import Counter
from collections.abc import Mapping

_LENGTH = 100
_TAIL = 45  # of what is cut, the end is kept: conditions stand there
_LISTS = (
    (re.compile(r"(?i)^(\(?select\s+(?:distinct\s+)?)(?!\.\.\.).{24,}?(\s+from\s)"), r"\1...\2"),
    (re.compile(r"(?i)(\sset\s+).+?(\swhere\s|\sreturning\s|$)"), r"\1...\2"),
    (re.compile(r"(?i)^(insert\s+into\s+[^\s(]+\s*)\([^)]*\)"), r"\1(...)"),
    (re.compile(r"(?i)(\bvalues\s*)\(.*\)"), r"\1(...)"),
    (re.compile(r"(?i)(\bin\s*)\([^()]*,[^()]*\)"), r"\1(...)"),
)
_REQUEST = re.compile(
    r"^[A-Z]+ (?=/(?!\*))"
)  # Locust's own tables have the method in a column of its own
_ID = 8


def shortened(sql: str) -> str:
    """A statement in at most a hundred characters, on one line."""
    text = " ".join(sql.split()).rstrip("; ")
    for pattern, kept in _LISTS:
        if len(text) > _LENGTH // 2:
            text = pattern.sub(kept, text, count=1)
    if len(text) > _LENGTH:
        text = f"{text[: _LENGTH - _TAIL - 5]} ... {text[-_TAIL:]}"
    return text


def names(examples: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Template id -> (verb, name), no pair twice; `examples` is template id -> a text of it.

    A request's name is its route.
    """
    short = {template: shortened(sql) for template, sql in examples.items()}
    times = Counter(short.values())
    return {
        template: (
            text.partition(" ")[0].strip("(").upper(),
            _REQUEST.sub("", text, count=1) if times[text] == 1 else f"{text} [{template[:_ID]}]",
        )
        for template, text in short.items()
    }
