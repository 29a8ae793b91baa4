"""Figures by template while the load runs: HDR histograms, and what is new for Locust's tables.

Counted in numpy over whole blocks of records, a few times a second: a histogram's own `record`
costs more than the statement it counts. The buckets are HdrHistogram's (three significant digits).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram

from replay.load.record import CODE_OK, DTYPE, outcome_name

_BITS = 11  # 2048 sub-buckets: three significant digits
_HALF = 1 << (_BITS - 1)
_HIGHEST_US = (1 << 32) - 1  # over an hour
_BUCKETS = (32 - _BITS + 2) * _HALF


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a block of records says of one template."""

    template: int
    latencies_ms: np.ndarray  # from due, one a record
    failures: dict[str, int]  # outcome -> records


class Tally:
    """Latency from due, and from the moment of sending, by template."""

    def __init__(self, templates: int) -> None:
        # Untouched pages of these cost no memory.
        self._latency = np.zeros((templates, _BUCKETS), dtype=np.int64)
        self._service = np.zeros((templates, _BUCKETS), dtype=np.int64)

    def add(self, block: bytes | bytearray) -> Iterator[News]:
        """Count a block of packed records; yields what it says of each template in it."""
        records = np.frombuffer(block, dtype=DTYPE)
        sent = records[records["began"] >= 0]
        for counts, since in ((self._latency, "due"), (self._service, "began")):
            took_us = (sent["ended"] - sent[since]) // 1000
            np.add.at(counts, (sent["template"], _bucket(took_us)), 1)
        for template in np.unique(records["template"]).tolist():
            of_it = records[records["template"] == template]
            failed, counted = np.unique(
                of_it["outcome"][of_it["outcome"] != CODE_OK], return_counts=True
            )
            yield News(
                template=template,
                latencies_ms=(of_it["ended"] - of_it["due"]) / 1e6,
                failures={
                    outcome_name(code): count
                    for code, count in zip(failed.tolist(), counted.tolist(), strict=True)
                },
            )

    def latency(self, template: int) -> str:
        """The histogram of the time since due, µs, in HdrHistogram's base64 encoding."""
        return _encoded(self._latency[template])

    def service(self, template: int) -> str:
        """The histogram of the time since sending, µs, in HdrHistogram's base64 encoding."""
        return _encoded(self._service[template])


def _bucket(value_us: np.ndarray) -> np.ndarray:
    """Index of a value's bucket, as HdrHistogram numbers them."""
    value = np.clip(value_us, 0, _HIGHEST_US)
    bits = np.frexp(value.astype(np.float64))[1]
    shift = np.maximum(bits - _BITS, 0)
    bucket: np.ndarray = shift * _HALF + (value >> shift)
    return bucket


def _lowest(bucket: int) -> int:
    """The least value of a bucket."""
    if bucket < 2 * _HALF:
        return bucket
    return (bucket % _HALF + _HALF) << (bucket // _HALF - 1)


def _encoded(counts: np.ndarray) -> str:
    histogram = HdrHistogram(1, _HIGHEST_US, 3)
    for bucket in np.flatnonzero(counts).tolist():
        histogram.record_value(_lowest(bucket), int(counts[bucket]))
    text: bytes = histogram.encode()
    return text.decode()
