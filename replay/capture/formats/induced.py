"""Makes a log_line_prefix out of the lines that bear it.

Each line's head is cut into pieces: what only one escape writes (a time, a session's id, an address),
`key=value`, numbers, words, and the signs between. Lines of one sequence of pieces are laid over one
another, and each piece is told by its form, its key, or how it changes from line to line. A piece
that stays open is left so: to guess whether a name is a user's or a database's would be to filter by
the wrong one. Without a process there is no prefix, for nothing would tell sessions apart.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from heapq import nlargest

from replay.capture.formats import opened
from replay.capture.formats.leads import LEAD_PATTERN
from replay.capture.formats.prefix import Prefix

Piece = tuple[str, str]  # kind and text
Line = tuple[list[Piece], bytes]  # pieces of its head, and the text behind it
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
    r"|(?P<b>(?:client|standalone) backend|not initialized|checkpointer|autovacuum (?:launcher|worker)"
    r"|background (?:worker|writer)|parallel worker|walwriter|logger|startup)"
    r"|(?P<number>(?<!\w)-\d+\b|\b\d+\b)|(?P<word>\[unknown\]|\w+)|(?P<blank> +)|(?P<sign>.)"
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
_PROCESS = re.compile("%(?:-1)?[pc]")


def induced(lines: list[bytes], share: Share) -> Prefix | None:
    """The prefix that most of these lines bear; None where they do not determine it."""
    by_form: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        pieces, text = _pieces(line)
        by_form[tuple(map(_form, pieces))].append((pieces, text))
    best, best_share = None, 0.0
    for its in nlargest(_FORMS, by_form.values(), key=len):
        for candidate in [with_q for text in _told(its) for with_q in _with_q(text)]:
            covered = share(lines, candidate) if best_share < 1 else 0.0
            if covered > best_share:
                best, best_share = candidate, covered
    return best


def _pieces(line: bytes) -> Line:
    lead = _LEAD.search(line)
    head = (line[: lead.start()] if lead else b"").decode("utf-8", "replace")
    pieces = [(match.lastgroup or "", match[0]) for match in _PIECES.finditer(head)]
    return pieces, line[lead.end() :] if lead else b""


def _form(piece: Piece) -> str:
    kind, text = piece
    if kind == "keyed":
        return text.partition("=")[0] + "="
    return text if kind in ("sign", "label") else kind


def _told(lines: Sequence[Line]) -> list[str]:
    """The prefixes that lines whose pieces have one form may have, the one that says most first."""
    heads = [head for head, _ in lines]
    columns = [[head[place][1] for head in heads] for place in range(len(heads[0]))]
    kinds = [kind for kind, _ in heads[0]]
    told: list[str | None] = [_by_form(*column) for column in zip(kinds, columns, strict=True)]
    _tell_stamps(kinds, columns, told)
    _tell_numbers(kinds, columns, told)
    has_process = any(piece and _PROCESS.search(piece) for piece in told)
    if None in told and ("{" in told or not has_process):  # another's JSON
        return []
    named = opened.named(columns, told, [text for _, text in lines])
    ways = (opened.joined(kinds, _padded(kinds, columns, way)) for way in (named, told))
    return list(dict.fromkeys(ways))


def _by_form(kind: str, values: list[str]) -> str | None:
    if kind in ("sign", "label", "blank"):
        return values[0].replace("%", "%%")
    if kind in "mtncvb":
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


def _tell_stamps(kinds: list[str], columns: list[list[str]], told: list[str | None]) -> None:
    """Of several times the first is the line's that is not its session's start, which %c tells too."""
    stamps = [place for place, kind in enumerate(kinds) if kind in "mtn"]
    started = [place for place in stamps if kinds[place] == "t" and _starts(kinds, columns, place)]
    line = next((place for place in stamps if place not in started), stamps[0] if stamps else -1)
    for other in stamps:
        if other != line:
            told[other] = "%s" if other in started else None


def _starts(kinds: list[str], columns: list[list[str]], place: int) -> bool:
    """Whether times are those at which the sessions began: whole quarters of an hour from %c's."""
    if "c" not in kinds:
        return False
    began = [int(session.partition(".")[0], 16) for session in columns[kinds.index("c")]]
    shown = [datetime.fromisoformat(f"{text[:19]}Z").timestamp() for text in columns[place]]
    return all((at - start) % 900 == 0 for at, start in zip(shown, began, strict=True))


def _padded(
    kinds: list[str], columns: list[list[str]], told: Sequence[str | None]
) -> list[str | None]:
    """The same with fields padded beside more than one blank: those ahead of it, or else behind."""
    padded = list(told)
    for place, kind in enumerate(kinds):
        if kind != "blank" or max(map(len, columns[place])) == 1:
            continue
        behind = place == 0 or kinds[place - 1] == "sign"
        field = place + 1 if behind else place - 1
        piece = padded[field] if field < len(padded) else None
        if piece is not None and piece.startswith("%"):
            padded[field] = f"%-1{piece[1:]}"
            is_between = not behind and kinds[place + 1 : place + 2] not in (["sign"], [])
            padded[place] = " " if is_between else ""
    return padded


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
        if min(values) > 0
        and 1 < max(values) <= _PID_AT_MOST
        and (len(numbers) == 1 or not _rises(values, values))
        and all(at == place or _is_no_pid(its, values) for at, its in numbers.items())
    ]
    fewest = sorted(likely, key=lambda place: len(set(numbers[place])))  # lines have more numbers
    if not likely or len({len(set(numbers[place])) for place in fewest[:2]}) < len(fewest[:2]):
        return None
    told[fewest[0]] = "%p"
    return numbers.pop(fewest[0])


def _is_no_pid(values: list[int], process: list[int]) -> bool:
    """Whether numbers are none of processes: lines', or some that may be 0."""
    return min(values) == 0 or _rises(values, process)


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
