"""The formats of request logs: one module each, one line in the registry."""

from collections.abc import Callable, Sequence
from typing import Protocol

from replay.capture.requests.columns import Requests
from replay.capture.requests.formats import access, flatlines, gor, har

__all__ = ["RECOGNISERS", "RequestFormat", "recognise"]


class RequestFormat(Protocol):
    """A request log's format as one input has it; without state, and can be pickled."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def cut(self, chunk: memoryview, *, whole_file: bool) -> int:
        """Where the last record of a chunk ends that is surely whole; 0 where none is."""

    def parse(self, block: memoryview) -> Requests:
        """The requests of a block that `cut` cut, and what in it is none. Never raises."""


RECOGNISERS: Sequence[Callable[[bytes], RequestFormat | None]] = (
    har.recognise,
    flatlines.recognise,
    gor.recognise,
    access.recognise,
)
"""Asked in this order: what is sure of itself before what takes any line."""


def recognise(head: bytes) -> RequestFormat | None:
    """The format of a request log that begins so; None where no format knows it."""
    for known in RECOGNISERS:
        found = known(head)
        if found is not None:
            return found
    return None
