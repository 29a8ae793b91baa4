"""What scrubbing does, in words for the manifest, and which statements hold secrets."""

import re

POLICY = {
    "numbers": "up to 9,999 before the point they stay, larger ones move by a keyed increasing map; up"
    " to two places behind it stay, of more the first one, and the others by such a map",
    "vectors": "of 16 numbers or more, one of three places at least: their tokens, in a keyed order",
    "dates": "dates and timestamps move by one keyed number of weeks, those further than 60 days"
    " from the capture by some more; times and intervals stay",
    "uuid": "keyed uuid; in version 7, as in a ULID, its time moves as dates do, so they keep order",
    "cards": "keyed digits, as many, wherever they stand; never a card's number",
    "bytea": "keyed bytes, as many",
    "network": "keyed addresses",
    "text": "word by word: keyed letters and digits of the same number, case and kind; neither the"
    " order of words nor what they begin with, so LIKE 'a%' and ranges of text meet other rows",
    "padded": "numbers behind three zeros or more move as numbers do, in the same width",
    "secrets": "passwords and the like in utility statements: as text, short numbers too",
    "schema": "values that stand in the schema, and SQL's own words, stay",
    "key": "forgotten, or kept by whoever gave it; not in this directory",
}

KEPT = {
    "kept": "all values, by --keep-values",
    "secrets": POLICY["secrets"],
}

# Utility statements whose literals are secrets, or hold one; of others a value is data.
_SECRETIVE = re.compile(
    r"(?:create|alter) (?:role|user|group|server|subscription|foreign)\b|(?:create|alter) database\b"
    r"|(?:set|alter) .*(?:passw|secret|token|credential|api_?key)|copy .*\bprogram\b"
)


def is_secretive(sql: str) -> bool:
    """Whether a template's literals are secrets: use Scrubber.secret for them."""
    return _SECRETIVE.match(sql) is not None
