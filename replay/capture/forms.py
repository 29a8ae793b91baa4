"""The text forms of values that scrubbing tells apart (PostgreSQL's output, ISO date style)."""

import re

NUMBER = re.compile(
    r"(?P<sign>-?)(?P<whole>0|[1-9]\d{0,99}|(?=\.))(?P<fraction>\.\d+)?"
    r"(?P<exponent>[eE][+-]?\d{1,3})?"
)
PADDED = re.compile(r"000\d{2,60}")  # a counter; two zeros begin a telephone number abroad
TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[+-]\d\d(?::?\d\d){0,2}|Z)?")
UNITS = (
    "microsecond|millisecond|second|sec|minute|min|hour|day|week|month|mon|quarter|year|decade"
    "|century|centurie|millennium|millennia"
)
_UNIT = rf"(?:{UNITS})s?"
INTERVAL = re.compile(
    rf"(?=.)(?:[+-]?\d+(?:\.\d+)? ?{_UNIT} ?)*(?:[+-]?\d+:\d\d(?::\d\d(?:\.\d+)?)?)?(?: ?ago)?"
    r"|-?P(?=.)(?:-?\d+[YMWD])*(?:T(?:-?\d+(?:\.\d+)?[HMS])+)?",
    re.IGNORECASE,
)
# Words by which SQL itself names something; as whole values they are code, not data.
WORDS = (
    "true|false|null|t|f|y|n|yes|no|on|off|nan|infinity|-infinity|now|today|tomorrow|yesterday|epoch"
    "|allballs|dow|doy|isodow|isoyear|timezone|julian|utc|gmt|empty|english|simple"
)
ZONES = "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific"
SQL_WORD = re.compile(rf"{_UNIT}|{WORDS}|(?:{ZONES})(?:/[A-Za-z_]+){{1,2}}", re.IGNORECASE)
# A pattern of to_char, to_date or to_timestamp.
TEMPLATE_PATTERN = re.compile(
    r"(?=.*(?:YY|HH|MM|DD|Mon|Day|:))(?:FM|TM|YYYY|YY|IYYY|MM|Month|MON|Mon|DDD|DD|Day|Dy|HH24|HH12|HH|MI|SS|MS|US|AM|PM|TZ|OF"
    r'|IW|WW|Q|ID|D|"T"|[-/:., TZ])+'
)
IPV4 = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:/(\d{1,2}))?")
COLON_GROUPS = re.compile(r"(?=.*[0-9a-fA-F])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(/\d{1,3})?")
HEX_RUN = re.compile(r"[0-9a-fA-F]+")

# Pieces of any other text; what no alternative takes is punctuation, and stays.
PIECE = re.compile(
    r"(?P<date>(?<!\d)(?P<day>\d{4}-\d\d-\d\d)"
    r"(?P<time>[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d){0,2})?)?(?!\d))"
    r"|(?P<uuid>(?<![^\W_])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![^\W_]))"
    r"|(?P<mantissa>(?<![^\W_])\d+(?:\.\d+)?)(?P<exponent>[eE][+-]?\d{1,3})(?![^\W_])"
    r"|\\x(?P<bytes>[0-9a-fA-F]+)|\\u(?P<code>[0-9a-fA-F]{4})|\\."
    r"|(?P<word>[^\W_]+)",
    re.DOTALL,
)
WORD = re.compile(r"[^\W_]+")

# Arrays, rows and ranges: elements, quoted or not, between brackets and commas.
STRUCTURE = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.|"")*)"|(?P<plain>[^{}()\[\],"\\]+)|(?P<mark>[{}()\[\],])', re.DOTALL
)
VECTOR_AT_LEAST = 16  # numbers, and one of three places at least
_PLACES = re.compile(r"\.\d\d\d")
ESCAPED = re.compile(r'\\(.)|""', re.DOTALL)


def elements(text: str) -> list[re.Match[str]] | None:
    """The parts of an array, a row or a range, in order; None for a text that is none of them.

    JSON objects are none: there an element follows another without a comma.
    """
    if not text or text[0] not in "{([" or text[-1] not in "})]":
        return None
    parts: list[re.Match[str]] = []
    position, after_element = 0, False
    while position < len(text):
        part = STRUCTURE.match(text, position)
        if part is None:
            return None
        is_element = part["mark"] is None
        if is_element and after_element:
            return None
        after_element = is_element or part["mark"] in "})]"
        parts.append(part)
        position = part.end()
    return parts


def vector(parts: list[re.Match[str]]) -> list[str]:
    """The numbers of an array's parts that are a vector, an embedding for example; none where they are not."""
    if len(parts) < 2 * VECTOR_AT_LEAST + 1 or any(part["plain"] is None for part in parts[1::2]):
        return []
    first, *commas, last = (part["mark"] for part in parts[::2])
    if first == "(" or last == ")" or set(commas) != {","}:
        return []
    numbers = [part["plain"].strip(" ") for part in parts[1::2]]
    is_vector = all(map(NUMBER.fullmatch, numbers)) and any(map(_PLACES.search, numbers))
    return numbers if is_vector else []


def scientific(digits: str) -> str:
    """The digits behind the point of a number below 1, with an exponent."""
    told = digits.lstrip("0")
    return f"{told[0]}{'.' * (len(told) > 1)}{told[1:]}e-{len(digits) - len(told) + 1:02}"
