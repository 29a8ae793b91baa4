"""Values that no row has: new in every run, so that a run can be repeated on the same target."""

import itertools
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta

from data_gen.profile import ColumnProfile
from replay.bind.times import moved

_LIMIT = re.compile(r"\((\d+)(?:,(-?\d+))?\)")  # of varchar(40) and numeric(10,2)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SECOND_US = 1_000_000


class Fresh:
    """Counts on from a number that no earlier run used, in the form of the column."""

    def __init__(self) -> None:
        self._numbers = itertools.count(secrets.randbelow(1 << 40))

    def value(self, column: ColumnProfile, token: str) -> str:
        """A new value for a column of FRESH_TYPES or NARROW_TYPES, like the token in form and length."""
        return _FORMS[column.base_type](next(self._numbers), column, token)


def _integer(first: int) -> Callable[[int, ColumnProfile, str], str]:
    """Integers from `first` up to twice that: far above the keys of generated rows."""
    return lambda number, _column, _token: str(first + number % first)


def _small(number: int, _column: ColumnProfile, _token: str) -> str:
    """In the upper part of a smallint; so many, a prime, that no stride of copies repeats early."""
    return str(20_000 + number % 12_763)


def _numeric(number: int, column: ColumnProfile, _token: str) -> str:
    limit = _LIMIT.search(column.type)
    half = 10 ** max(int(limit[1]) - int(limit[2] or 0), 1) // 2 if limit else 1 << 52
    return str(half + number % half)


def _text(number: int, column: ColumnProfile, token: str) -> str:
    """The token with its end renewed; that of an address before the @."""
    limit = _LIMIT.search(column.type)
    most = int(limit[1]) if limit else len(token) + 10
    name, at, domain = token.partition("@")
    room = most - len(at + domain)
    if room < 1:
        name, at, domain, room = token, "", "", most
    end = _in_letters(number)[-room:]
    length = min(max(len(name), len(end)), room)
    return name[: length - len(end)] + end + at + domain


def _in_letters(number: int) -> str:
    letters = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        letters = _DIGITS[digit] + letters
    return letters or "0"


def _uuid(number: int, _column: ColumnProfile, _token: str) -> str:
    return str(uuid.UUID(int=(number << 80) | secrets.randbits(80), version=4))


def _moment(number: int, _column: ColumnProfile, token: str) -> str:
    """Within a second of the token: two rows of a key over time never share it."""
    return moved(token, timedelta(microseconds=number % _SECOND_US))


_FORMS: dict[str, Callable[[int, ColumnProfile, str], str]] = {
    "int2": _small,
    "int4": _integer(1 << 30),
    "int8": _integer(1 << 52),
    "numeric": _numeric,
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "citext": _text,
    "uuid": _uuid,
    "timestamp": _moment,
    "timestamptz": _moment,
}
NARROW_TYPES = frozenset({"int2"})  # values run out: made up only where a row would collide
# Of the others no value can be made up that is sure to be valid.
FRESH_TYPES = frozenset(_FORMS) - NARROW_TYPES
