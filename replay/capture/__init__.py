"""Capture: a server's logs and statistics in, a workload out; values are scrubbed on the way."""

from replay.capture.digest import Filters
from replay.capture.stage import Captured, Options, capture

__all__ = ["Captured", "Filters", "Options", "capture"]
