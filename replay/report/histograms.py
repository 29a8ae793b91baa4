"""Quantiles of production's durations, from the histograms that a workload has of them."""

from collections.abc import Sequence


def captured_quantile(histogram: Sequence[tuple[int, int]], quantile: float = 0.95) -> float | None:
    """A quantile of production's durations in ms, from a template's or a route's histogram."""
    total = sum(calls for _, calls in histogram)
    reached = 0
    for bucket, calls in sorted(histogram):
        reached += calls
        if reached >= quantile * total:
            # The bucket after it begins where this one ends: see workload.duration_bucket.
            whole_power, eighth = divmod(bucket + 1, 8)
            return round(float(2**whole_power * (1 + eighth / 8)) / 1e3, 3)
    return None
