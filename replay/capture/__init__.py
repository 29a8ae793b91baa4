"""Capture: a server's logs and statistics in, a workload out; values are scrubbed on the way."""

from replay.capture.stage import Captured, capture

__all__ = ["Captured", "capture"]
