"""Capture: a server's logs and statistics in, a workload out; values are scrubbed on the way.

What reads the database's log is imported when it is asked for: a capture of requests alone starts without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.capture.captured import Captured, Filters, Options
    from replay.capture.stage import capture

__all__ = ["Captured", "Filters", "Options", "capture"]


def __getattr__(name: str) -> Any:
    """What `__all__` names, from where it stands."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "stage" if name == "capture" else "captured"
    return getattr(import_module(f"{__name__}.{module}"), name)
