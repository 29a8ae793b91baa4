"""Names, addresses and the like, by the column's name: Faker fills pools, rows combine their parts.

Faker is called some hundred times a column, never per row. A pool alone would cap the number of
distinct values: parts are combined in mixed radix, and a code follows where even that is too few.
"""

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_gen.cells import Octets, Piece, constant
from data_gen.shuffle import Ints, permutation
from data_gen.values import letters
from data_gen.values.family import Wanted

_POOL_SIZE = 400
_CALLS = 600
_SHORTEST, _LONGEST = 0.5, 1.7  # of the width wanted; what weighs otherwise is not what it is named
# Faker's providers stand in <>; <#> is where a code goes. Nothing leads to a real address or phone.
_RECIPES: Sequence[tuple[str, str]] = (
    (r"e_?mail", "<first_name>.<last_name><#>@<safe_domain_name>"),
    (r"(first|given|fore)_?name", "<first_name><#>"),
    (r"(last|family|sur)_?name", "<last_name><#>"),
    (r"user_?name|login|handle|nick", "<first_name>_<last_name><#>"),
    (r"company|organi[sz]ation|vendor|supplier|employer", "<company> <#>"),
    (r"job|occupation", "<job> <#>"),
    (r"phone|mobile|fax", "+1-555-<numerify:%##-####><#>"),
    (r"(^|_)ip(v4)?(_|$)|ip_?addr|remote_addr", "10.<#><numerify:%.##.%#>"),
    (r"mac_?addr", "02:<hexify:^^:^^:^^:^^><#>"),
    (r"iban", "<iban><#>"),
    (r"(^|_)(bic|swift)(_|$)", "<swift><#>"),
    (r"(^|_)(vat|tax)_?(id|no|number|code)", "<#><numerify:%########>"),
    (r"licen[cs]e_?plate|plate_?(no|number)", "<license_plate><#>"),
    (r"isbn", "<isbn13><#>"),
    (r"(^|_)ean(13)?(_|$)|barcode|gtin", "<ean13><#>"),
    (r"street|address", "<#> <street_address>"),
    (r"city|town", "<city> <#>"),
    (r"country_?code", "<country_code><#>"),
    (r"country", "<country> <#>"),
    (r"state|region|province|district", "<state> <#>"),
    (r"zip|postal|postcode", "<postcode><#>"),
    (r"currency", "<currency_code><#>"),
    (r"locale|language|lang", "<language_code><#>"),
    (r"colou?r", "<color_name> <#>"),
    (r"ur[il]|link|website|homepage", "https://<domain_word>.example/<slug><#>"),
    (r"host|domain", "<domain_word><#>.example"),
    (r"user_?agent", "<user_agent> <#>"),
    (r"referr?er", "https://<domain_word>.example/<#>"),
    (r"time_?zone|(^|_)tz(_|$)", "<timezone><#>"),
    (r"salutation|honorific", "<prefix><#>"),
    (r"department", "<job> <#>"),
    (r"mime|content_?type", "<mime_type><#>"),
    (r"file_?name|path", "<#><file_name>"),
    (r"title|subject|headline", "<catch_phrase> <#>"),
    (r"(^|_)(full_?)?name$", "<first_name> <last_name> <#>"),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), recipe) for pattern, recipe in _RECIPES)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Words of one kind, all different."""

    data: Octets
    lengths: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Parts of pools, constant text between them, and a code where they are too few."""

    parts: tuple[bytes | Pool | None, ...]  # None: the code
    distinct: int
    code: int  # symbols
    key: int

    def pieces(self, points: Ints) -> tuple[Piece, ...]:
        """Each part as a piece; the value's number in mixed radix says which words."""
        number = permutation(self.distinct, self.key).forward(points % self.distinct)
        chosen: dict[int, Ints] = {}
        for place, part in enumerate(self.parts):
            if isinstance(part, Pool):
                number, chosen[place] = np.divmod(number, part.lengths.size)
        size = len(letters.CODE) ** self.code
        return tuple(
            constant(part, points.size)
            if isinstance(part, bytes)
            else Piece(part.data, part.lengths[chosen[place]], chosen[place])
            if part is not None
            else Piece(letters.codes(number, self.code, letters.CODE, size=size, key=self.key))
            for place, part in enumerate(self.parts)
        )


def pool_for(wanted: Wanted, width: int, limit: int) -> Combined | None:
    """What the column's name calls for; None where it says nothing, or nothing fits the width."""
    for pattern, recipe in _COMPILED:
        if pattern.search(wanted.column.name):
            return _combined(recipe, wanted, width, limit)
    return None


def _combined(recipe: str, wanted: Wanted, width: int, limit: int) -> Combined | None:
    words = [word for word in re.split(r"(<[^>]+>)", recipe) if word]
    pools = {
        word: _pool(word[1:-1], wanted.locale) for word in words if word[0] == "<" and word != "<#>"
    }
    usual = sum(_mean(pools[w].lengths) if w in pools else len(w) for w in words if w != "<#>")
    if not _SHORTEST * width <= usual <= _LONGEST * width:
        return None
    told_apart = math.prod(pools[word].lengths.size for word in words if word in pools)
    code = letters.code_width(-(-wanted.distinct // told_apart))
    most = sum(int(pools[w].lengths.max()) if w in pools else len(w) for w in words) + code
    if most > limit:
        return None
    joined = recipe if code else re.sub(r" ?<#> ?", "", recipe)
    parts = [word for word in re.split(r"(<[^>]+>)", joined) if word]
    return Combined(
        tuple(
            None if word == "<#>" else pools[word] if word in pools else word.encode()
            for word in parts
        ),
        wanted.distinct,
        code,
        wanted.key,
    )


def _mean(lengths: Ints) -> float:
    return float(lengths.mean())


@functools.lru_cache(maxsize=64)
def _pool(provider: str, locale: str) -> Pool:
    # Faker's import and set-up cost more than the pools: only who makes such text pays for it.
    from faker import Faker  # noqa: PLC0415
    from faker.config import AVAILABLE_LOCALES  # noqa: PLC0415

    known = locale if locale in AVAILABLE_LOCALES else "en_US"
    fake = Faker(known, use_weighting=False)
    if not hasattr(fake, provider.partition(":")[0]):  # not every locale has every provider
        fake = Faker("en_US", use_weighting=False)
    fake.seed_instance(0)
    name, _, argument = provider.partition(":")
    call = getattr(fake, name)
    made = (str(call(argument) if argument else call()) for _ in range(_CALLS))
    words = list({word.casefold(): word for word in made}.values())[:_POOL_SIZE]
    encoded = [word.encode() for word in words]
    lengths = np.array([len(word) for word in encoded], np.int64)
    padded = b"".join(word.ljust(int(lengths.max()), b"\0") for word in encoded)
    return Pool(np.frombuffer(padded, np.uint8).reshape(len(encoded), -1), lengths)
