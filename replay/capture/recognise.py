"""Values that tell more than their form: payment cards, and identifiers that begin with their time.

A card's number is the one value of digits alone that is worth money, so it is told from other
numbers (network, length, check digit) and never follows their increasing map. ULID and UUID version
7 are made to sort by time, so theirs moves as dates move.
Sources: ISO/IEC 7812-1; the ULID specification; RFC 9562, 5.7.
"""

import re

CARD = re.compile(
    r"(?<![^\W_])(?:[2-6]\d{3}(?P<mark>[ -]?)\d{4}(?P=mark)\d{4}(?P=mark)\d{4}"
    r"|3[47]\d\d(?P<mark15>[ -]?)\d{6}(?P=mark15)\d{5}"
    r"|3[068]\d\d(?P<mark14>[ -]?)\d{6}(?P=mark14)\d{4})(?![^\W_])"
)
_NETWORK = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47068]|35|6(?:011|4[4-9]|5|2)|5[06-8]"
)
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-7][0-9a-hjkmnp-tv-z]{25}")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_STAMP, _DRAWN = 10, 16  # characters of a ULID
# Within these years a stamp is believed: other identifiers of that form have any.
_FIRST_MS, _LAST_MS = 1_262_304_000_000, 2_524_608_000_000  # 2010 to 2050


def is_card(digits: str) -> bool:
    """Whether digits alone are a payment card's number."""
    return _NETWORK.match(digits) is not None and luhn(digits) == 0


def luhn(digits: str) -> int:
    """The check sum of ISO/IEC 7812-1, annex B; 0 where the last digit is right."""
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(sum(divmod(2 * int(d), 10)) for d in even)) % 10


def no_card(digits: str) -> str:
    """Digits that are no card's number: the last one is moved where its check sum is right."""
    return digits if luhn(digits) else digits[:-1] + str((int(digits[-1]) + 1) % 10)


def ulid_ms(text: str) -> int | None:
    """Time of a ULID in ms since 1970; None for another text."""
    if ULID.fullmatch(text) is None:
        return None
    stamp = 0
    for letter in text[:_STAMP].upper():
        stamp = stamp << 5 | _ALPHABET.index(letter)
    return _believed(stamp)


def ulid(at_ms: int, drawn: int) -> str:
    """The ULID of a time and 80 drawn bits."""
    number = at_ms << 5 * _DRAWN | drawn & (1 << 5 * _DRAWN) - 1
    places = range(5 * (_STAMP + _DRAWN - 1), -1, -5)
    return "".join(_ALPHABET[number >> place & 31] for place in places)


def uuid_ms(digits: str) -> int | None:
    """Time of a UUID of version 7, given as 32 hexadecimal digits; None where it has none."""
    return _believed(int(digits[:12], 16))


def _believed(stamp: int) -> int | None:
    return stamp if _FIRST_MS <= stamp < _LAST_MS else None
