"""Capture: a server's logs and statistics in, a workload out; values are scrubbed on the way.

What reads the database's log is imported when it is asked for: a capture of requests alone starts without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.capture.digest import Filters
    from replay.capture.stage import Captured, Options, capture

__all__ = ["Captured", "Filters", "Options", "capture"]


def __getattr__(name: str) -> Any:
    """What `__all__` names, from where it stands."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "digest" if name == "Filters" else "stage"
    return getattr(import_module(f"{__name__}.{module}"), name)
