"""Finds a log's prefix from its head: one of the usual ones, or one made out of its lines."""

import re
from itertools import pairwise

from replay.capture.formats.induced import induced
from replay.capture.formats.leads import LEAD_PATTERN
from replay.capture.formats.prefix import HEAD_AT_MOST, Item, Prefix

# Of prefixes that match equally well the first is taken: those that know more, and stop at %q.
USUAL = (
    "%m [%p] %q%u@%d ",  # Debian
    "%m [%p] ",  # the default
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",  # RDS and Aurora
    "%t:%r:%u@%d:[%p]:",
    "%t-%c-",  # Azure
    "%m [%p]: [%l-1] db=%d,user=%u ",  # Cloud SQL
    "[%p]: [%l-1] db=%d,user=%u ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",  # for pgBadger
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%r ",
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%r ",
    "%t [%p]: [%l-1] user=%u,db=%d ",
    "%m [%p]: [%l-1] user=%u,db=%d ",
    "%t [%p]: [%l-1] %q%u@%d ",
    "%t [%p]: [%l-1] ",
    "%m [%p]: [%l-1] ",
    "%t [%p]: ",
    "%t [%p] %q%u@%d ",  # Debian, before 10
    "%t [%p] ",
    "%t [%p-%l] %q%u@%d ",
    "%m [%p-%l] %q%u@%d ",
    "%t [%p]: [%l-1] %c %x %d %u %a %h ",  # Zalando
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%m [%p] [user=%u,db=%d,app=%a] ",
    "%m %u@%d[%p] ",
    "< %m > ",  # Red Hat
    "< %t > ",
)
_LEAD = re.compile(LEAD_PATTERN)
_NAME = re.compile(rb"[^ ,=]*\Z")
_KEYED_NAME = re.compile(rb"[^=]*\Z")  # behind `user=`
_HOST = re.compile(rb"(?:|\[local\]|[^()%]*[.:][^()%]*|localhost)\Z")
_KEYED_HOST = re.compile(rb"[^()]*\Z")  # a port is not of %h
_BACKEND = re.compile(rb"[a-z -]*\Z")
_OF_SESSION = re.compile(rb"(?:LOG:  (?:duration: |statement: |connection )|STATEMENT:  )")
_SURE = 0.9  # of the lines that are PostgreSQL's


def found(head: bytes) -> Prefix | None:
    """The prefix of a log that begins so; None where its lines do not determine it."""
    lines = own_lines(head)
    if not lines:
        return None
    shares = {text: share(lines, Prefix(text)) for text in USUAL}
    best = max(shares, key=lambda text: shares[text])
    if shares[best] >= _SURE:
        return Prefix(best)
    prefix = induced(lines, share)
    if prefix is None or not prefix.escapes or share(lines, prefix) < _SURE:
        return None
    return prefix


def own_lines(head: bytes) -> list[bytes]:
    """The whole lines of a log's head that bear a prefix and a severity, as far as one can tell."""
    whole = head[: head.rfind(b"\n") + 1] or head
    return [
        line[:HEAD_AT_MOST]
        for line in whole.split(b"\n")
        if line and not line.startswith(b"\t") and _LEAD.search(line, 0, HEAD_AT_MOST)
    ]


def share(lines: list[bytes], prefix: Prefix, *, guessed: bool = True) -> float:
    """How much of the lines a prefix matches, from 0 to 1.

    A guess must make names of names, and may not end at %q in what only sessions write.
    """
    right = _right(prefix) if guessed else []
    beyond_q = prefix.escapes.index(prefix.beyond_q) + 1 if guessed and prefix.beyond_q else 0
    matched = 0
    for line in lines:
        match = prefix.pattern.match(line)
        if match is None or not all(its.match(match[group] or b"") for group, its in right):
            continue
        is_short = beyond_q and match[beyond_q] is None
        matched += not (is_short and _OF_SESSION.match(line, match.start("lead")))
    return matched / max(len(lines), 1)


def _right(prefix: Prefix) -> list[tuple[int, re.Pattern[bytes]]]:
    """Groups of what may be mistaken for something else, each with the form that it must have."""
    items = pairwise((Item(), *prefix.items))
    fields = [(before, item) for before, item in items if item.escape not in ("", "q")]
    found = []
    for group, (before, item) in enumerate(fields, 1):
        is_keyed = before.literal.endswith(b"=")
        if item.escape in "ud":
            found.append((group, _KEYED_NAME if is_keyed else _NAME))
        elif item.escape == "h":
            found.append((group, _KEYED_HOST if is_keyed else _HOST))
        elif item.escape == "b":
            found.append((group, _BACKEND))
    return found
