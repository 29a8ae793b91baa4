"""The log formats that capture reads: one module each, one line in the `registry`."""

from collections.abc import Iterator
from importlib import import_module

from replay.capture.formats.columns import Format, Hints, Recogniser

__all__ = ["OF_SERVERS", "Format", "Hints", "recognise", "recognisers"]

OF_SERVERS = ("jsonlog", "csvlog", "stderr")
"""Formats of log_destination, the best first."""

_MODULES = ("csvlog", "jsonlog", "cloudnativepg", "cloudsql", "azure", "cloudwatch", "stderr")
"""Asked in this order: what is sure of itself before what takes any line."""


def recognisers() -> Iterator[Recogniser]:
    """Every format's, in turn; a module is loaded when its turn comes, which mostly is never."""
    for name in _MODULES:
        known: Recogniser = import_module(f"{__name__}.{name}").recognise
        yield known


def recognise(head: bytes, hints: Hints) -> Format | None:
    """The format of an input that begins so; None where no format knows it."""
    for known in recognisers():
        found = known(head, hints)
        if found is not None:
            return found
    return None
