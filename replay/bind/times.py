"""Captured times, moved to the time of the generated data."""

import re
from datetime import UTC, datetime, timedelta

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d(:?\d\d)?)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def moved(token: str, by: timedelta) -> str:
    """A timestamp or a date moved, dates by whole days as data_gen's are; other text as it is."""
    try:
        if _TIMESTAMP.fullmatch(token):
            return (datetime.fromisoformat(token) + by).isoformat(sep=" ")
        if _DATE.fullmatch(token):
            day = datetime.fromisoformat(token).replace(tzinfo=UTC)
            return (day + by).date().isoformat()
    except (ValueError, OverflowError):  # no such day, or none that a calendar has
        pass
    return token
