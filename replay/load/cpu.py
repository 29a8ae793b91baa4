"""How much of a core the generator itself takes: near a whole one, its own queue is in the latencies."""

import time


class CpuShare:
    """CPU seconds of this process per second, between the first and the last sample."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def sample(self) -> None:
        """Look at the clocks; only the first look and the last are kept."""
        self._samples[1:] = [(time.process_time(), time.monotonic())]

    @property
    def share(self) -> float:
        """0 where there were fewer than two samples."""
        if len(self._samples) < 2:
            return 0.0
        (cpu_before, before), (cpu_after, after) = self._samples
        return (cpu_after - cpu_before) / (after - before)
