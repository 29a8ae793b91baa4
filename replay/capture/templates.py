"""From SQL text to template, quickly: only unseen texts pay for a fingerprint.

Prepared statements repeat their raw text, the first key. Texts with literals are tried against the
patterns learned under their query_id, and then masked: literals as `?`. Both compare all of the
text, so what they equate has one fingerprint. The query_id alone is no key: it may stand for several
templates (a multi-statement line carries the id of one of its statements, aliases are not hashed).
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from replay.sql.fingerprint import Fingerprint, fingerprint

_CACHED_TEXTS = 8192  # a cache that is full starts anew
_CACHED_MASKS = 50_000
_CACHED_TEXT_AT_MOST = 8192  # characters
_VARIANTS = 1000  # of one template: temporary tables have a new query_id in every session
_PATTERNS = 4096
_PATTERNS_OF_ONE_ID = 4
_LEARNED_AFTER = 8  # texts: to compile a pattern takes as long as to mask a hundred
_LITERAL = r"(?:'[^'\\]*'|\d+(?:\.\d+)?)"

_DOLLAR_QUOTE = re.compile(r"\$[A-Za-z_]*\$")
# A number that is no part of a name; the look back stands behind the first digit for speed.
_NUMBER = re.compile(r"\d(?<![\w$.\"]\d)\d*(?:\.\d+)?(?![\w.\"])")
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


Matches = Callable[[str], object]


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
        self._patterns: dict[int, tuple[tuple[Matches, Known], ...]] = {}  # by query_id
        self._masked: Counter[int] = Counter()  # texts by query_id
        self._learned = 0

    def of(self, text: str, query_id: int) -> Known:
        """The template of an SQL text, which the server logged under that query_id (0: none)."""
        known = self._by_text.get(text)
        if known is not None:
            return known
        for matches, known in self._patterns.get(query_id, ()):
            if matches(text):
                return known
        return self._unseen(text, query_id)

    def variant(self, known: Known, query_id: int) -> int:
        """Number of the template's variant with that query_id; past a thousand they are one."""
        if len(known.variants) >= _VARIANTS:
            query_id = 0
        number = known.variants.get(query_id)
        if number is None:
            number = known.variants[query_id] = len(self.variants)
            self.variants.append((known.number, query_id))
        return number

    def _unseen(self, text: str, query_id: int) -> Known:
        masked = mask(text)
        known = self._by_mask.get(masked) if masked else None
        if known is None:
            known = self._fingerprinted(text)
            if masked:
                _remember(self._by_mask, masked, known, _CACHED_MASKS)
        if masked and masked != text:
            self._learn(masked, query_id, known)
        else:
            _remember(self._by_text, text, known, _CACHED_TEXTS)
        return known

    def _learn(self, masked: str, query_id: int, known: Known) -> None:
        """Make a pattern of a mask whose query_id comes often; its literals are the mask's `?`."""
        if not query_id or self._learned >= _PATTERNS or len(masked) > _CACHED_TEXT_AT_MOST:
            return
        if len(self._masked) >= _CACHED_MASKS:
            self._masked.clear()
        self._masked[query_id] += 1
        patterns = self._patterns.get(query_id, ())
        if self._masked[query_id] >= _LEARNED_AFTER and len(patterns) < _PATTERNS_OF_ONE_ID:
            pattern = re.compile(_LITERAL.join(map(re.escape, masked.split("?"))))
            self._patterns[query_id] = (*patterns, (pattern.fullmatch, known))
            self._masked[query_id] = 0
            self._learned += 1

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
        comment = text.rfind("/*")
        if text.find("*/", comment) != len(text) - 2:
            return ""
        text = text[:comment].rstrip()
    outside = text.split("'")[::2]
    masked = "?".join(outside)
    if (
        text.count("'") % 2  # a quote without its other
        or "\\" in text
        or "/*" in text
        or "--" in text
        or ("$" in text and _DOLLAR_QUOTE.search(text))
        or ('"' in masked and not _PLAIN_NAMES.fullmatch(masked))  # a quote in a name, perhaps
    ):
        return ""
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


def _remember(cache: dict[str, Known], text: str, known: Known, at_most: int) -> None:
    if len(text) > _CACHED_TEXT_AT_MOST:
        return
    if len(cache) >= at_most:
        cache.clear()
    cache[text] = known
