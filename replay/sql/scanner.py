"""SQL text into tokens, in one pass, whatever the text: truncated and broken SQL included.

Tokens are plain strings as written, comments and white space left out: a regular expression cuts
them in one call, which is what makes a fingerprint cheap. Only texts that no regular expression can
cut (nested comments, dollar quotes) are walked by position.
Lexical rules: PostgreSQL manual, 4.1 "Lexical Structure", and scan.l. Never raises.
"""

import re
from collections.abc import Iterator
from enum import IntEnum


class Lexeme(IntEnum):
    """Kinds of tokens."""

    WORD = 1  # identifiers and keywords, unquoted
    QUOTED = 2  # "identifiers"
    PARAMETER = 3  # $1
    STRING = 4  # of all kinds
    NUMBER = 5
    BITS = 6  # B'…' and X'…'
    MARK = 7  # operators and punctuation


_COMMENT = r"/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"  # that holds no other
_BLANK = rf"(?:[ \t\n\r\f\v]++|--[^\n\r]*+|{_COMMENT})*+"
NEW_LINE = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+"
PLAIN = r"'[^']*+(?:''[^']*+)*+'?"
ESCAPED = r"'(?:[^'\\]++|\\.?|'')*+'?"
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"?'
# Whatever is not ASCII is a letter; by what they are not, sets of characters are compiled soonest.
LETTER = r"[^\x00-@\[-^`{-\x7f]"
_IN_TAG = r"[^\x00-/:-@\[-^`{-\x7f]"  # and digits
_IN_WORD = r"[^\x00-#%-/:-@\[-^`{-\x7f]"  # and $
_WORD = rf"{LETTER}{_IN_WORD}*+"
_TAG = rf"\$(?:{LETTER}{_IN_TAG}*+)?\$"
_DIGITS = r"[0-9]++(?:_[0-9]++)*+"
_NUMBER = (
    r"0[xX](?:_?[0-9a-fA-F])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_UESCAPE = rf"(?:{_BLANK}[uU][eE][sS][cC][aA][pP][eE]{_BLANK}'[^']'?)?"
# An operator ends in + or - only where it holds one of ~ ! @ # % ^ & | ` ?, so that `=-1` is `=`
# and `-1`; it never holds the beginning of a comment.
_ANY = r"(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])"
_OPERATOR = rf"(?={_ANY}{{0,62}}?[~!@#%^&|`?]){_ANY}++|{_ANY}{{0,62}}(?!/\*)[*/<>=]|[-+]"
_TOKEN = re.compile(
    rf"{_BLANK}("
    rf"{_WORD}(?!['\"&])"  # most tokens; none that might be the prefix of a string
    r"|[(),;\[\]]|\.(?![.0-9])"
    rf"|\$[0-9]++|{_TAG}"
    rf"|{PLAIN}(?:{NEW_LINE}{PLAIN})*+"
    rf"|{_NUMBER}"
    rf"|[eE]{ESCAPED}(?:{NEW_LINE}{ESCAPED})*+"
    rf"|[uU]&{PLAIN}(?:{NEW_LINE}{PLAIN})*+{_UESCAPE}"
    rf"|[bBxXnN]{PLAIN}(?:{NEW_LINE}{PLAIN})*+"
    rf"|(?:[uU]&)?{_QUOTED}"
    rf"|{_WORD}"
    r"|\.\.\.?|::|:=|/\*"
    rf"|{_OPERATOR}"
    r"|.|\Z)",
    re.DOTALL,
)
# What needs a walk: a dollar that opens a quote, a comment inside another, a comment without end.
_HARD = re.compile(rf"{_TAG}|/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+(?:/\*|\Z)")
_COMMENT_EDGE = re.compile(r"/\*|\*/")

_FIRST = dict.fromkeys("(),;[].:+-*/<>=~!@#%^&|`?'\"$0123456789", Lexeme.MARK)
_FIRST |= dict.fromkeys("0123456789", Lexeme.NUMBER)
_FIRST |= {"'": Lexeme.STRING, '"': Lexeme.QUOTED}
_PREFIXED = {"b": Lexeme.BITS, "x": Lexeme.BITS, "e": Lexeme.STRING, "n": Lexeme.STRING}
_MOST_PARAMETERS = 65535  # of the protocol's bind message

# Words after which a sign belongs to the value that follows; after any other it subtracts.
_BEFORE_VALUE = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "select where and or not then else when case between limit offset fetch in values by on "
        "set returning having default return like ilike is from for to interval all any distinct "
        "using escape"
    ).split()
)
_BEFORE_SIGN = frozenset("([,;:+-*/<>=~!@#%^&|`")


def scan(sql: str) -> list[str]:
    """Tokens of a text in order, as written, without trailing semicolons.

    A literal in several pieces (parted by a line break) is one token; an identifier whose quote
    was cut off is closed.
    """
    tokens: list[str] = (
        [text for _, text in placed(sql)] if _HARD.search(sql) else _TOKEN.findall(sql)
    )
    while tokens and tokens[-1] in {"", ";"}:
        tokens.pop()
    if tokens and lexeme(tokens[-1]) is Lexeme.QUOTED and tokens[-1].count('"') % 2:
        tokens[-1] += '"'
    return tokens


def lexeme(token: str) -> Lexeme:
    """What a token is."""
    first = token[0]
    kind = _FIRST.get(first, Lexeme.WORD)
    if kind is Lexeme.WORD:
        if "'" not in token and '"' not in token:
            return kind
        if token[1] == "&":
            return Lexeme.STRING if token[2] == "'" else Lexeme.QUOTED
        return _PREFIXED[first.lower()]
    if kind is Lexeme.MARK and len(token) > 1:
        if first == "$":
            return _of_dollar(token)
        if first == "." and token[1] != ".":
            return Lexeme.NUMBER
    return kind


def takes_sign(before: str) -> bool:
    """Whether a + or - after this token, in lower case, is a sign; no token is ""."""
    if not before:
        return True
    if before in _BEFORE_VALUE:
        return True
    return before[-1] in _BEFORE_SIGN and before[0] not in "'\"$"


def _of_dollar(token: str) -> Lexeme:
    if not token[1].isdecimal():
        return Lexeme.STRING
    is_number = len(token) < 7 and 0 < int(token[1:]) <= _MOST_PARAMETERS
    return Lexeme.PARAMETER if is_number else Lexeme.MARK


def placed(sql: str) -> Iterator[tuple[int, str]]:
    """Tokens of a text with their positions, semicolons included."""
    at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        assert found is not None  # a token may be any character, or the end
        text, at = found[1], found.end()
        if text == "/*":
            at = _after_comment(sql, at)
            continue
        if len(text) > 1 and text[0] == text[-1] == "$":
            close = sql.find(text, at)
            at = len(sql) if close < 0 else close + len(text)
        yield found.start(1), sql[found.start(1) : at]


def _after_comment(sql: str, at: int) -> int:
    """Position behind a block comment whose opening was read; comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)
