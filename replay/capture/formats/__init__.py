"""The log formats that capture reads: one module each, one line in the registry."""

from collections.abc import Sequence

from replay.capture.formats import (
    azure,
    cloudnativepg,
    cloudsql,
    cloudwatch,
    csvlog,
    jsonlog,
    stderr,
)
from replay.capture.formats.columns import Format, Hints, Recogniser

__all__ = ["OF_SERVERS", "RECOGNISERS", "Format", "Hints", "recognise"]

OF_SERVERS = ("jsonlog", "csvlog", "stderr")
"""Formats of log_destination, the best first."""

RECOGNISERS: Sequence[Recogniser] = (
    csvlog.recognise,
    jsonlog.recognise,
    cloudnativepg.recognise,
    *cloudsql.RECOGNISERS,
    *azure.RECOGNISERS,
    *cloudwatch.RECOGNISERS,
    *stderr.RECOGNISERS,
)
"""Asked in this order: what is sure of itself before what takes any line."""


def recognise(head: bytes, hints: Hints) -> Format | None:
    """The format of an input that begins so; None where no format knows it."""
    for known in RECOGNISERS:
        found = known(head, hints)
        if found is not None:
            return found
    return None
