"""Makes a log_line_prefix out of the lines that bear it.

Each line's head is cut into pieces: what only one escape writes (a time, a session's id, an address),
`key=value`, numbers, words, and the signs between. Lines of one sequence of pieces are laid over one
another, and each piece is told by its form, its key, or how it changes from line to line. Where a
piece stays open, so does the prefix: to guess whether a name is a user's or a database's would be to
filter by the wrong one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from replay.capture.formats.leads import LEAD_PATTERN
from replay.capture.formats.prefix import Prefix

Piece = tuple[str, str]  # kind and text
Share = Callable[[list[bytes], Prefix], float]

_LEAD = re.compile(LEAD_PATTERN)
_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ZONE = r" (?:[A-Za-z]+|[+-]\d+)"
_NAME = r"(?:\[unknown\]|[\w.$-]*)"
_PIECES = re.compile(
    rf"(?P<m>{_STAMP}\.\d{{3}}{_ZONE})|(?P<t>{_STAMP}{_ZONE})|(?P<n>\b\d{{10}}\.\d{{3}}\b)"
    rf"|(?P<label>[A-Za-z_]+=(?={_STAMP}))"
    r"|(?P<keyed>[A-Za-z_]+=(?:\[\w+\]|[\w.:%-]*\(\d+\)|[^,;|\])>=]*?)"
    r"(?=[,;|\])>]|\s+[A-Za-z_]+=|\s*$))"
    r"|(?P<c>\b[0-9a-f]{8}\.[0-9a-f]+\b)|(?P<v>\b\d+/\d+\b)"
    r"|(?P<host>[\w.:%-]+\(\d+\)|\[local\]|\d+\.\d+\.\d+\.\d+(?![\w.]))"
    rf"|(?P<pair>{_NAME}@{_NAME})"
    r"|(?P<number>(?<!\w)-\d+\b|\b\d+\b)|(?P<word>\w+)|(?P<sign>.)"
)
_KEYS = {
    "u": "u user usr username role",
    "d": "d db database dbname datname",
    "a": "a app appname application application_name",
    "h": "h host client remote remote_host client_addr ip addr",
    "p": "p pid process proc",
    "l": "l line line_num lineno",
    "x": "x xid tx txid xact transaction trx",
    "v": "v vxid vtxid vxact",
    "e": "e state sqlstate statecode err error code",
    "i": "i cmd tag command cmdtag command_tag",
    "b": "b backend backend_type type",
    "Q": "q qid query queryid query_id",
    "c": "c sid sess session session_id",
    "P": "leader leader_pid",
}
_ESCAPE_OF = {key: escape for escape, keys in _KEYS.items() for key in keys.split()}
_FORMS = 5
_ENOUGH = 8  # lines, before what never changes is taken for a constant
_QUERY_ID = 1 << 33  # nearly all are as large; nothing else is
_PID_AT_MOST = 1 << 22


def induced(lines: list[bytes], share: Share) -> Prefix | None:
    """The prefix that most of these lines bear; None where they do not determine it."""
    heads = [_pieces(line) for line in lines]
    forms = Counter(tuple(map(_form, head)) for head in heads)
    best, best_share = None, 0.0
    for form, _ in forms.most_common(_FORMS):
        text = _told([head for head in heads if tuple(map(_form, head)) == form])
        for candidate in [] if text is None else _with_q(text):
            covered = share(lines, candidate) if best_share < 1 else 0.0
            if covered > best_share:
                best, best_share = candidate, covered
    return best


def _pieces(line: bytes) -> list[Piece]:
    lead = _LEAD.search(line)
    head = (line[: lead.start()] if lead else b"").decode("utf-8", "replace")
    return [(match.lastgroup or "", match[0]) for match in _PIECES.finditer(head)]


def _form(piece: Piece) -> str:
    kind, text = piece
    if kind == "keyed":
        return text.partition("=")[0] + "="
    return text if kind in ("sign", "label") else kind


def _told(heads: Sequence[list[Piece]]) -> str | None:
    """The prefix of lines whose pieces have one form; None where a piece stays open."""
    columns = [[head[place][1] for head in heads] for place in range(len(heads[0]))]
    kinds = [kind for kind, _ in heads[0]]
    told: list[str | None] = [_by_form(*column) for column in zip(kinds, columns, strict=True)]
    stamps = [place for place, kind in enumerate(kinds) if kind in "mtn"]
    for later in stamps[1:]:
        told[later] = "%s" if kinds[later] == "t" else None
    _tell_numbers(kinds, columns, told)
    return None if None in told else "".join(filter(None, told))


def _by_form(kind: str, values: list[str]) -> str | None:
    if kind in ("sign", "label"):
        return values[0].replace("%", "%%")
    if kind in "mtncv":
        return f"%{kind}"
    if kind == "pair":
        return "%u@%d"
    if kind == "host":
        return _host(values)
    if kind == "keyed":
        return _keyed(values)
    if "00000" in values and all(re.fullmatch("[0-9A-Z]{5}", value) for value in values):
        return "%e"
    # A word that never changes may be a user's name, unless it is one that names what follows.
    return (
        values[0] if kind == "word" and values[0].lower() in _ESCAPE_OF and _same(values) else None
    )


def _host(values: list[str]) -> str:
    return "%r" if any(value.endswith(")") for value in values) else "%h"


def _keyed(values: list[str]) -> str | None:
    key = values[0].partition("=")[0]
    ends = [value.partition("=")[2] for value in values]
    escape = _ESCAPE_OF.get(key.lower())
    if escape == "h":
        return f"{key}={_host(ends)}"
    if escape is not None:
        return f"{key}=%{escape}"
    return values[0].replace("%", "%%") if _same(values) else None


def _same(values: list[str]) -> bool:
    return len(values) >= _ENOUGH and len(set(values)) == 1


def _tell_numbers(kinds: list[str], columns: list[list[str]], told: list[str | None]) -> None:
    """Which numbers are query ids, process ids and line numbers, where it can be told."""
    numbers = {
        place: [int(value) for value in columns[place]]
        for place, kind in enumerate(kinds)
        if kind == "number" and told[place] is None
    }
    for place, values in list(numbers.items()):
        if any(value < 0 or value >= _QUERY_ID for value in values):
            told[place] = "%Q"
        elif set(values) == {1} and place > 1 and columns[place - 1][0] == "-":
            told[place] = "1"  # of `[%l-1]`, which syslog's users write
        else:
            continue
        del numbers[place]
    process = _process(kinds, columns, told, numbers)
    if process is None:
        return
    for place, values in numbers.items():
        if _rises(values, process):
            told[place] = "%l"


def _process(
    kinds: list[str],
    columns: list[list[str]],
    told: list[str | None],
    numbers: dict[int, list[int]],
) -> Sequence[str | int] | None:
    """What tells the process of each line; the number that is its id is taken out of `numbers`."""
    if "c" in kinds:
        sessions = columns[kinds.index("c")]
        pids = [int(session.partition(".")[2], 16) for session in sessions]
        for place in [place for place, values in numbers.items() if values == pids]:
            told[place] = "%p"
            del numbers[place]
        return sessions
    for place, text in enumerate(told):
        if text and text.endswith("=%p"):
            return columns[place]
    likely = [
        place
        for place, values in numbers.items()
        if 1 < max(values) <= _PID_AT_MOST
        and all(_rises(others, values) for at, others in numbers.items() if at != place)
        and (len(numbers) == 1 or not _rises(values, values))
    ]
    if len(likely) != 1:
        return None
    told[likely[0]] = "%p"
    return numbers.pop(likely[0])


def _rises(values: list[int], process: Sequence[str | int]) -> bool:
    """Whether numbers go up by one from line to line of each process."""
    steps: Counter[bool] = Counter()
    last: dict[str | int, int] = defaultdict(int)
    for value, its in zip(values, process, strict=True):
        if its in last:
            steps[value == last[its] + 1] += 1
        last[its] = value
    return steps[True] > 0 and steps[True] >= 9 * steps[False]


def _with_q(text: str) -> list[Prefix]:
    """The prefix, and what it would be with %q at each place: background lines are shorter."""
    places = [match.end() for match in re.finditer(r"%[a-zA-Z%]|[^%]", text)]
    return [Prefix(text), *(Prefix(text[:at] + "%q" + text[at:]) for at in places[:-1])]
