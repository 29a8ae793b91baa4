"""SQL text into tokens, in one pass, whatever the text: truncated and broken SQL included.

Lexical rules: PostgreSQL manual, 4.1 "Lexical Structure". Never raises.
"""

import re
from enum import IntEnum
from typing import NamedTuple


class Lexeme(IntEnum):
    """Kinds of tokens; comments and white space are none."""

    WORD = 1  # identifiers and keywords, unquoted, in lower case
    QUOTED = 2  # "identifiers" as written
    PARAMETER = 3  # $1
    STRING = 4
    NUMBER = 5
    BITS = 6  # B'…' and X'…'
    OPERATOR = 7
    PUNCTUATION = 8


class Token(NamedTuple):
    """One token; `text` is as it is compared, `value` what a literal means."""

    lexeme: Lexeme
    text: str
    value: str = ""


_WORD = Lexeme.WORD  # an enum's members are slow to look up
_TOKEN = re.compile(
    r"""
    (?P<gap>\s*)(?:
      (?P<line>--[^\n]*)
    | (?P<comment>/\*)
    | (?P<prefixed>[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z))
    | (?P<unicode>[uU]&'(?:[^']|'')*(?:'|\Z))
    | (?P<bits>[bBxX]'[^']*(?:'|\Z))
    | (?P<string>[nN]?'(?:[^']|'')*(?:'|\Z))
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z))
    | (?P<parameter>\$\d+)
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
        |(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<operator>::|:=|\.\.\.|\.\.|(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])+)
    | (?P<other>\S))
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL
)
_UNICODE = re.compile(r"\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})|(\\))")
_PLAIN_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_MAKES_OPERATOR = set("~!@#%^&|`?")  # only with one of these may an operator end in + or -
# Words after which a sign belongs to the number that follows.
_BEFORE_VALUE = frozenset(
    [
        "select",
        "where",
        "and",
        "or",
        "not",
        "then",
        "else",
        "when",
        "case",
        "between",
        "limit",
        "offset",
        "fetch",
        "in",
        "values",
        "by",
        "on",
        "set",
        "returning",
        "having",
        "default",
        "return",
        "like",
        "ilike",
        "is",
        "from",
        "interval",
        "all",
        "any",
        "distinct",
    ]
)


def scan(sql: str) -> list[Token]:
    """Tokens of a text in order; literals carry their value, a number its sign."""
    tokens: list[Token] = []
    at = 0
    match = _TOKEN.match
    while found := match(sql, at):
        kind = found.lastgroup or "other"
        text = found[kind]
        at = found.end()
        if kind == "word":
            tokens.append(Token(_WORD, text.lower()))
        elif kind == "comment":
            at = _after_comment(sql, at)
        elif kind == "operator":
            at -= _unread(text)
            tokens.append(Token(Lexeme.OPERATOR, sql[found.start(kind) : at]))
        elif kind == "other":
            tokens.append(Token(Lexeme.PUNCTUATION, text))
        elif kind == "parameter":
            tokens.append(Token(Lexeme.PARAMETER, text))
        elif kind == "number":
            _add_number(tokens, text)
        elif kind == "quoted":
            tokens.append(Token(Lexeme.QUOTED, text if text.endswith('"') else text + '"'))
        elif kind == "bits":
            tokens.append(Token(Lexeme.BITS, "?", text if text.endswith("'") else text + "'"))
        elif kind == "dollar":
            close = sql.find(text, at)
            body = sql[at:] if close < 0 else sql[at:close]
            at = len(sql) if close < 0 else close + len(text)
            tokens.append(Token(Lexeme.STRING, "?", body))
        elif kind != "line":
            _add_string(tokens, _decoded(kind, text), continues="\n" in found["gap"])
    return tokens


def _add_string(tokens: list[Token], value: str, *, continues: bool) -> None:
    """Strings parted by a line break are one literal."""
    if continues and tokens and tokens[-1].lexeme is Lexeme.STRING:
        value = tokens.pop().value + value
    tokens.append(Token(Lexeme.STRING, "?", value))


def _add_number(tokens: list[Token], text: str) -> None:
    if tokens and tokens[-1].text in {"-", "+"} and tokens[-1].lexeme is Lexeme.OPERATOR:
        before = tokens[-2] if len(tokens) > 1 else None
        if before is None or _expects_value(before):
            text = tokens.pop().text + text
    tokens.append(Token(Lexeme.NUMBER, "?", text.removeprefix("+")))


def _expects_value(token: Token) -> bool:
    if token.lexeme is Lexeme.WORD:
        return token.text in _BEFORE_VALUE
    return token.lexeme is Lexeme.OPERATOR or token.text in {"(", "[", ",", ";"}


def _after_comment(sql: str, at: int) -> int:
    """Position behind a block comment whose opening was read; comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, at):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _unread(operator: str) -> int:
    """How many trailing signs are no part of the operator: `=-1` is `=` and `-1`."""
    if len(operator) == 1 or not _MAKES_OPERATOR.isdisjoint(operator):
        return 0
    kept = operator.rstrip("+-")
    return len(operator) - max(len(kept), 1)


def _decoded(kind: str, text: str) -> str:
    body = text[text.index("'") + 1 :]
    body = body.removesuffix("'")
    body = body.replace("''", "'")
    if kind == "prefixed":
        return _ESCAPE.sub(_escaped, body)
    if kind == "unicode":
        return _UNICODE.sub(_unicoded, body)
    return body


def _escaped(found: re.Match[str]) -> str:
    hexadecimal = found.group(1) or found.group(2) or found.group(3)
    if hexadecimal:
        return _character(int(hexadecimal, 16))
    if found.group(4):
        return _character(int(found.group(4), 8) & 0xFF)
    return _PLAIN_ESCAPES.get(found.group(5), found.group(5))


def _unicoded(found: re.Match[str]) -> str:
    return "\\" if found.group(3) else _character(int(found.group(1) or found.group(2), 16))


def _character(code: int) -> str:
    return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else "\ufffd"
