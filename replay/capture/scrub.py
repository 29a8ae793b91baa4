"""Scrubbing: values become keyed tokens that keep what load and plans depend on, and nothing else.

Driven by the text's form alone, so that a parameter and a statistic of the same text give the same
token, whatever is known of the column. The key never reaches the disk: without it, or with
another one, two captures cannot be matched.

Order is kept where a range in production is a range in staging: numbers, dates, ULID and UUID 7.
Words do not keep theirs, nor their beginnings: a map that does shows which values begin alike, and
of a column of names or addresses, whose frequencies anybody knows, that gives the values away. So
LIKE 'abc%' and a range of texts meet other rows, and mostly none.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address
from re import Match
from typing import TYPE_CHECKING

import pyarrow as pa

from replay.capture import forms, recognise
from replay.capture.distinct import Distinct
from replay.capture.policy import KEPT, POLICY
from replay.capture.tokens import Tokens

if TYPE_CHECKING:  # a capture of logs alone starts without
    from data_gen.profile import SchemaProfile

__all__ = ["POLICY", "KeepValues", "Scrubber", "scrubber"]

log = logging.getLogger(__name__)

_SENTINEL_YEARS = 99  # 0001-01-01 says "never": it is nobody's date
_WEEKS = (54, 1040)  # more than a year, so that no year survives
# Generated data is set in its own present again, so what is recent comes back to where it was. What
# is not is some days further off, in a keyed number: a date of birth must not come back.
_RECENT = timedelta(days=60)
_FURTHER_DAYS = (3, 45)
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000
_ULID_LETTERS = 26


def scrubber(
    *, key: bytes, kept: frozenset[str], today: date | None = None, keep_values: bool = False
) -> "Scrubber":
    """What a capture scrubs with; with `keep_values` that is next to nothing, and is told loudly."""
    if not keep_values:
        return Scrubber(key, kept, today)
    log.warning(
        "--keep-values: production's values go into the workload as they are; it is as confidential "
        "as production's data, and so is all that is made from it"
    )
    return KeepValues(key, kept, today)


class Scrubber:
    """All tokens of one key; `kept` values stay, as whole values and as words in others.

    `today` is the day of the capture, around which dates are recent.
    """

    policy: Mapping[str, str] = POLICY  # for the manifest

    def __init__(self, key: bytes, kept: frozenset[str], today: date | None = None) -> None:
        self._tokens = Tokens(key)
        self._kept = kept
        first, last = _WEEKS
        self._days = -7 * (first + self._tokens.draw("weeks", "") % (last - first))
        first, last = _FURTHER_DAYS
        self._further = timedelta(days=first + self._tokens.draw("days", "") % (last - first))
        self._today = today or datetime.now(UTC).date()
        self._scrubbed = lru_cache(maxsize=1 << 16)(self._scrub)
        self._distinct: Distinct | None = None

    def value(self, text: str | None) -> str | None:
        """The token of a value in PostgreSQL's text form; NULL stays."""
        return None if text is None else self.text(text)

    def text(self, text: str) -> str:
        """The token of a value that is none of NULL."""
        return self._scrubbed(text)

    def column(self, values: pa.BinaryArray) -> pa.StringArray:
        """The tokens of values in PostgreSQL's text form, in UTF-8; NULL stays."""
        if self._distinct is None:
            self._distinct = Distinct(
                self._tokens,
                self._kept,
                self._today,
                self._days,
                self._further.days,
                self._scrubbed,
            )
        coded = values.dictionary_encode()
        return self._distinct.tokens(coded.dictionary).take(coded.indices)

    def bits(self, literal: str) -> str:
        """The token of a bit string literal, B'…' or X'…'; as long."""
        prefix, _, digits = literal.partition("'")
        digits = digits.removesuffix("'")
        if not digits:
            return literal
        token = self._tokens.hexadecimal(digits)
        if prefix in "bB":
            token = "".join("01"[int(digit, 16) % 2] for digit in token)
        return f"{prefix}'{token}'"

    def secret(self, text: str) -> str:
        """The token of a secret: nothing stays, however short it is or whatever else it may be."""
        return forms.WORD.sub(lambda word: self._tokens.word(word[0]), text)

    def token(self, text: str) -> str:
        """16 hex digits for an identity, of a session for example."""
        return self._tokens.drawn("token", text, 8).hex()

    def profile(self, profile: "SchemaProfile") -> "SchemaProfile":
        """The profile with all statistics scrubbed; what stands in the schema itself stays."""
        from replay.capture.profiles import scrubbed  # noqa: PLC0415 - as above

        return scrubbed(profile, self, self._days)

    def _scrub(self, text: str) -> str:
        if text in self._kept or forms.SQL_WORD.fullmatch(text):
            return text
        number = forms.NUMBER.fullmatch(text)
        if number is not None:
            is_card = recognise.CARD.fullmatch(text) and recognise.is_card(text)
            return self._card(text) if is_card else self._number(text, number)
        if forms.PADDED.fullmatch(text):
            return str(self._tokens.integer(int(text))).zfill(len(text))
        if forms.TIME.fullmatch(text) or forms.INTERVAL.fullmatch(text):
            return text
        if forms.TEMPLATE_PATTERN.fullmatch(text):
            return text
        parts = forms.elements(text)
        if parts is not None:
            numbers = forms.vector(parts)
            return self._vector(text, numbers) if numbers else "".join(map(self._element, parts))
        if (address := forms.IPV4.fullmatch(text)) is not None:
            return self._ipv4(text, address)
        if forms.COLON_GROUPS.fullmatch(text):
            groups, slash, width = text.partition("/")
            return (
                forms.HEX_RUN.sub(lambda run: self._tokens.hexadecimal(run[0]), groups)
                + slash
                + width
            )
        return self._pieces(text)

    def _pieces(self, text: str) -> str:
        if recognise.CARD.search(text) is None:
            return forms.PIECE.sub(self._piece, text)
        parts: list[str] = []
        at = 0
        for card in recognise.CARD.finditer(text):
            digits = card[0].replace(" ", "").replace("-", "")
            if recognise.is_card(digits):
                parts += [forms.PIECE.sub(self._piece, text[at : card.start()])]
                drawn = iter(self._card(digits))
                parts += [next(drawn) if c.isdecimal() else c for c in card[0]]
                at = card.end()
        return "".join(parts) + forms.PIECE.sub(self._piece, text[at:])

    def _card(self, digits: str) -> str:
        return recognise.no_card(self._tokens.word(digits))

    def _number(self, text: str, number: Match[str]) -> str:
        whole, digits = number["whole"], (number["fraction"] or "")[1:]
        if number["exponent"]:
            whole, _, digits = f"{Decimal(text).copy_abs():f}".partition(".")  # abs() would round
        size = int(whole or 0)
        moved, drawn = self._tokens.integer(size), self._tokens.fraction(size, digits)
        if moved == size and drawn == digits:
            return text
        if number["exponent"] and not size:
            return number["sign"] + forms.scientific(drawn)
        return number["sign"] + str(moved) * bool(whole) + f".{drawn}" * bool(drawn)

    def _vector(self, text: str, numbers: list[str]) -> str:
        """The numbers' tokens in other places: in their own they would tell what the vector means."""
        tokens = self.column(pa.array([number.encode() for number in numbers])).to_pylist()
        order = self._tokens.order(",".join(numbers), len(numbers))
        between = ", " if ", " in text else ","
        return text[0] + between.join(tokens[at] for at in order) + text[-1]

    def _element(self, part: Match[str]) -> str:
        if part["mark"] is not None:
            return part["mark"]
        if part["plain"] is not None:
            return self._scrubbed(part["plain"])
        value = self._scrubbed(forms.ESCAPED.sub(lambda one: one[1] or '"', part["quoted"]))
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def _ipv4(self, text: str, address: Match[str]) -> str:
        try:
            number = int(IPv4Address(text.partition("/")[0]))
        except ValueError:
            return self._pieces(text)
        width = min(int(address[5] or 32), 32)
        host = (1 << (32 - width)) - 1
        if number & host:  # an address inside the network
            width, host = 32, 0
        moved = self._tokens.permuted("ipv4", number >> (32 - width), 1 << width) if width else 0
        return str(IPv4Address(moved << (32 - width))) + text[text.find("/") :] * ("/" in text)

    def _piece(self, piece: Match[str]) -> str:
        if piece["word"] is not None:
            return self._word(piece["word"])
        if piece["date"] is not None:
            return self._date(piece)
        if piece["mantissa"] is not None:  # a number inside JSON
            return self._words(piece["mantissa"]) + piece["exponent"]
        if piece["uuid"] is not None:
            return self._uuid(piece["uuid"])
        if piece["bytes"] is not None:
            return "\\x" + self._tokens.hexadecimal(piece["bytes"])
        if piece["code"] is not None:
            drawn = self._tokens.draw("code", piece["code"].lower())
            return f"\\u{0x4E00 + drawn % 0x5000:04x}"
        return piece[0]

    def _words(self, text: str) -> str:
        return forms.WORD.sub(lambda word: self._word(word[0]), text)

    def _word(self, word: str) -> str:
        if word in self._kept or word.lower() in ("true", "false", "null"):
            return word
        at_ms = recognise.ulid_ms(word) if len(word) == _ULID_LETTERS else None
        if at_ms is not None:
            token = recognise.ulid(
                self._moved_ms(at_ms), self._tokens.draw("ulid", word.upper(), 10)
            )
            return token if word.isupper() else token.lower()
        return self._tokens.word(word)

    def _date(self, piece: Match[str]) -> str:
        try:
            day = date.fromisoformat(piece["day"])
            moved = day if day.year <= _SENTINEL_YEARS else self._moved(day)
        except (ValueError, OverflowError):
            return self._words(piece[0])
        return moved.isoformat() + (piece["time"] or "")

    def _moved(self, day: date) -> date:
        """Later days stay later; the distance stays where both are recent, or neither is."""
        further = timedelta()
        if abs(day - self._today) > _RECENT:
            further = self._further if day > self._today else -self._further
        return day + timedelta(days=self._days) + further

    def _moved_ms(self, at_ms: int) -> int:
        """The same for a time in ms since 1970."""
        day, within = divmod(at_ms, _DAY_MS)
        return (self._moved(_EPOCH + timedelta(days=day)) - _EPOCH).days * _DAY_MS + within

    def _uuid(self, text: str) -> str:
        digits = text.replace("-", "").lower()
        drawn = self._tokens.hexadecimal(digits)
        kept = drawn[:12] + digits[12] + drawn[13:16] + digits[16] + drawn[17:]  # version, variant
        at_ms = recognise.uuid_ms(digits) if digits[12] == "7" else None
        if at_ms is not None:  # what follows the version is time too, below the ms
            kept = f"{self._moved_ms(at_ms):012x}{digits[12:17]}{drawn[17:]}"
        groups = (kept[:8], kept[8:12], kept[12:16], kept[16:20], kept[20:])
        token = "-".join(groups)
        return token.upper() if text.isupper() else token


class KeepValues(Scrubber):
    """All values stay; secrets in utility statements do not, for no replay sends them."""

    policy = KEPT

    def text(self, text: str) -> str:
        """The value."""
        return text

    def column(self, values: pa.BinaryArray) -> pa.StringArray:
        """The values."""
        return values.cast(pa.string())

    def bits(self, literal: str) -> str:
        """The literal."""
        return literal

    def profile(self, profile: "SchemaProfile") -> "SchemaProfile":
        """The profile, without the secrets that stand in bodies of functions."""
        from replay.capture.profiles import bare  # noqa: PLC0415 - as above

        return bare(profile, self)
