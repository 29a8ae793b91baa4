"""Whether production itself was well: what its clients say, or where they say nothing, its log. Pure."""

from collections import Counter
from collections.abc import Mapping

from replay.workload import Workload

P95_MS = 250.0  # at most: from due where the clients say, of a statement where the log does
FAILED_SHARE = 0.01  # at most, of requests that the incident does not say may fail


def is_healthy(told: Mapping[str, float]) -> bool:
    """Whether what the replay shows is nothing that production suffered already."""
    return told["p95_ms"] <= P95_MS and told["failed"] <= FAILED_SHARE * max(told["requests"], 1.0)


def of_log(workload: Workload) -> dict[str, float]:
    """The same figures as the clients', over the statements of a captured log."""
    calls: Counter[int] = Counter()
    for template in workload.templates:
        calls.update(dict(template.histogram))
    return {
        "requests": float(sum(template.calls for template in workload.templates)),
        "failed": float(sum(template.errors for template in workload.templates)),
        "p95_ms": round(_p95_us(calls) / 1e3, 3),
    }


def _p95_us(calls: Counter[int]) -> float:
    """Upper edge of the bucket (see workload.duration_bucket) that holds the 95th percentile."""
    rank, seen = 0.95 * calls.total(), 0
    for bucket in sorted(calls):
        seen += calls[bucket]
        if seen >= rank:
            whole, step = divmod(bucket + 1, 8)
            return float((1 << whole) * (1 + step / 8))
    return 0.0
