"""Secrets in the definitions of functions: a body is schema and stays, a password in it does not.

Looked at are the string constants of a body. One is a secret by its form (a URL with a password, an
e-mail address, a token of letters and digits that nobody can read), or because what stands before
it is called a password, a token or a key.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from data_gen.profile import SchemaObject
from replay.capture import recognise

_WITH_BODY = frozenset({"function", "procedure", "trigger"})
_STRING = re.compile(r"'((?:[^']|'')*)'")
_SECRET = re.compile(
    r"\w+://[^\s/@:]+:[^\s@]+@"  # credentials in a URL
    r"|[\w.+-]+@[\w-]+\.\w"  # e-mail
    r"|\b(?:Bearer|Basic)\s+\S{8,}"
    r"|\beyJ[\w-]{10,}\.|-----BEGIN "
    r"|\b(?:sk|pk|rk|gh[pousr]|xox[abp])[_-]\w{8,}|\bAKIA[A-Z0-9]{12,}"
    r"|\b(?=\w*[0-9])(?=\w*[A-Za-z])[A-Za-z0-9+/=]{20,}(?![\w])"
    r"|passw(?:or)?d\s*=\s*\S",
    re.IGNORECASE,
)
_CALLED_SO = re.compile(
    r"(?:passw|secret|token|credential|api_?key|private_?key)\w*['\"]?\s*(?::?=|=>|,|\()\s*$",
    re.IGNORECASE,
)
_BEFORE = 60  # characters that may say what a constant is


def without_secrets(made: SchemaObject, token: Callable[[str], str]) -> SchemaObject:
    """The object with a token in the place of each secret of its body."""
    if made.kind not in _WITH_BODY:
        return made
    text = made.definition

    def scrubbed(match: re.Match[str]) -> str:
        value = match[1].replace("''", "'")
        called_so = _CALLED_SO.search(text, max(match.start() - _BEFORE, 0), match.start())
        if value and (called_so or _SECRET.search(value) or recognise.CARD.search(value)):
            return "'" + token(value).replace("'", "''") + "'"
        return match[0]

    return replace(made, definition=_STRING.sub(scrubbed, text))
