"""From SQL text to template, quickly: only unseen texts pay for a fingerprint.

The first key is the raw text: prepared statements repeat it. The second is the text with its plain
literals masked, which is verified by text as well: two texts with one mask have one fingerprint. The
server's query_id is no key: it may stand for several templates (a multi-statement line carries the
id of one of its statements, aliases are not hashed), and is only counted.
"""

import re
from dataclasses import dataclass, field

from replay.sql.fingerprint import Fingerprint, fingerprint

_CACHED_TEXTS = 50_000  # a cache that is full starts anew
_CACHED_TEXT_AT_MOST = 8192  # characters

# Where a text holds one of these, a regular expression cannot tell where its literals end.
_NASTY = re.compile(r"\\|\$[A-Za-z_]*\$|/\*|--")
_STRING = re.compile(r"'[^']*'")
_NUMBER = re.compile(r"(?<![\w$.\"])\d+(?:\.\d+)?(?![\w.\"])")
_PLAIN_NAMES = re.compile(r'(?:[^"]|"\w*")*')

# What a statement does to its session's transaction.
STAYS = 0
OPENS = 1  # a transaction is open afterwards
CLOSES = 2  # none is open afterwards
CHAINS = 3  # one ended, and another is open

_CONTROL = re.compile(
    r"(?P<open>BEGIN|START\s+TRANSACTION)\b"
    r"|(?P<stay>(?:COMMIT|ROLLBACK)\s+PREPARED|ROLLBACK\s+(?:(?:WORK|TRANSACTION)\s+)?TO)\b"
    r"|(?P<close>COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b(?P<chain>[\w\s]*\bAND\s+CHAIN\b)?",
    re.IGNORECASE,
)
_ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)  # a function's body, with its own END
_PART = re.compile(r'((?:"(?:[^"]|"")*"|[^";])*)(?:;|$)')


@dataclass(slots=True, eq=False)
class Known:
    """A template that the log has shown."""

    number: int  # position in Templates.known
    id: str
    fingerprint: Fingerprint
    effect: int  # STAYS, OPENS, CLOSES or CHAINS
    variants: dict[int, int] = field(default_factory=dict)  # query_id -> variant number


class Templates:
    """All templates seen, and their variants: a template under one query_id."""

    def __init__(self) -> None:
        self.known: list[Known] = []
        self.variants: list[tuple[int, int]] = []  # (template number, query_id)
        self._by_id: dict[str, Known] = {}
        self._by_text: dict[str, Known] = {}
        self._by_mask: dict[str, Known] = {}

    def of(self, text: str) -> Known:
        """The template of an SQL text."""
        known = self._by_text.get(text)
        return known if known is not None else self._unseen(text)

    def variant(self, known: Known, query_id: int) -> int:
        """Number of the template's variant with that query_id."""
        number = known.variants.get(query_id)
        if number is None:
            number = known.variants[query_id] = len(self.variants)
            self.variants.append((known.number, query_id))
        return number

    def _unseen(self, text: str) -> Known:
        masked = mask(text)
        known = self._by_mask.get(masked) if masked else None
        if known is None:
            known = self._fingerprinted(text)
            if masked:
                _remember(self._by_mask, masked, known)
        _remember(self._by_text, text, known)
        return known

    def _fingerprinted(self, text: str) -> Known:
        found = fingerprint(text)
        known = self._by_id.get(found.id)
        if known is None:
            known = Known(len(self.known), found.id, found, effect_of(found.sql))
            self.known.append(known)
            self._by_id[found.id] = known
        return known


def mask(text: str) -> str:
    """The text with its plain literals as `?`; empty where that cannot be done safely.

    A comment at the end (sqlcommenter's, different for every call) is cut off.
    """
    text = text.rstrip()
    if text.endswith("*/"):
        text = text[: text.rfind("/*")]
    if text.count("'") % 2 or _NASTY.search(text):
        return ""
    masked = _STRING.sub("?", text)
    if '"' in masked and not _PLAIN_NAMES.fullmatch(masked):
        return ""  # a name with more in it than a word, a quote for example
    return _NUMBER.sub("?", masked)


def effect_of(canonical: str) -> int:
    """What a statement, or several in one line, leave of the session's transaction."""
    effect = STAYS
    if _ATOMIC.search(canonical):
        return effect
    for part in _PART.findall(canonical):
        found = _CONTROL.match(part.strip())
        if found is None or found["stay"]:
            continue
        if found["open"]:
            effect = CHAINS if effect == CLOSES else OPENS
        else:
            effect = CHAINS if found["chain"] else CLOSES
    return effect


def _remember(cache: dict[str, Known], text: str, known: Known) -> None:
    if len(text) > _CACHED_TEXT_AT_MOST:
        return
    if len(cache) >= _CACHED_TEXTS:
        cache.clear()
    cache[text] = known
