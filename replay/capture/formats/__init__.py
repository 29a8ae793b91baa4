"""The log formats that capture reads: one module each, one line in the registry."""

from replay.capture.formats.jsonlog import JSONLOG
from replay.capture.formats.record import Broken, Format, Record

__all__ = ["FORMATS", "Broken", "Format", "Record", "recognise"]

FORMATS: tuple[Format, ...] = (JSONLOG,)


def recognise(first_line: bytes) -> Format | None:
    """The format of a file that begins with this line; None where no format knows it."""
    for candidate in FORMATS:
        if candidate.recognises(first_line):
            return candidate
    return None
