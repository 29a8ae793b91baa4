"""Passwords that nobody quoted: ALTER ROLE a PASSWORD hunter2 fails, and is logged as it was typed.

Quoted ones are literals, and are taken out with them.
"""

from collections.abc import Sequence

_ROLES = frozenset({"role", "user", "group"})
_NO_PASSWORD = frozenset({"null", "?", ";", "valid"})


def is_bare_password(words: Sequence[str], at: int) -> bool:
    """Whether the word at that place stands where a role's password should, words in lower case."""
    return (
        at > 2
        and words[at - 1] == "password"
        and words[0] in {"create", "alter"}
        and words[1] in _ROLES
        and words[2] != "mapping"
        and words[at] not in _NO_PASSWORD
        and words[at][0] != "$"
    )
