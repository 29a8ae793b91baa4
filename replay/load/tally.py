"""Figures by template: HDR histograms of a load's times, and what is new for Locust's own tables.

Counted in numpy over whole blocks of records: a histogram's own `record` costs more than the
statement it counts. The buckets are HdrHistogram's (three significant digits).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram

from replay.load.record import CODE_OK, outcome_name

_BITS = 11  # 2048 sub-buckets: three significant digits
_HALF = 1 << (_BITS - 1)
_HIGHEST_US = (1 << 32) - 1  # over an hour
_BUCKETS = (32 - _BITS + 2) * _HALF
# The parts of a statement's time: latency is from due to the end, and holds the others.
FIGURES = ("lag", "wait", "service", "latency")


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a block of records says of one template."""

    template: int
    latencies_ms: np.ndarray  # from due, one a record
    failures: dict[str, int]  # outcome -> records


def news(records: np.ndarray) -> Iterator[News]:
    """What a block says of each template that is in it."""
    order = np.argsort(records["template"], kind="stable")
    templates, begins = np.unique(records["template"][order], return_index=True)
    latencies_ms = ((records["ended"] - records["due"]) / 1e6)[order]
    outcomes = records["outcome"][order]
    ends = [*begins[1:].tolist(), len(order)]
    for template, begin, end in zip(templates.tolist(), begins.tolist(), ends, strict=True):
        of_it = outcomes[begin:end]
        failed, counted = np.unique(of_it[of_it != CODE_OK], return_counts=True)
        yield News(
            template=template,
            latencies_ms=latencies_ms[begin:end],
            failures={
                outcome_name(code): count
                for code, count in zip(failed.tolist(), counted.tolist(), strict=True)
            },
        )


class Tally:
    """The times of FIGURES by template, of the statements that were sent."""

    def __init__(self, templates: int) -> None:
        # Untouched pages of these cost no memory.
        self._counts = {name: np.zeros(templates * _BUCKETS, dtype=np.int64) for name in FIGURES}

    def add(self, records: np.ndarray) -> None:
        """Count a block of records."""
        sent = records[records["began"] >= 0]
        due, began, ended, lag = (sent[name] for name in ("due", "began", "ended", "lag"))
        row = sent["template"].astype(np.int64) * _BUCKETS
        for name, took_ns in (
            ("lag", lag),
            ("wait", began - due - lag),
            ("service", ended - began),
            ("latency", ended - due),
        ):
            np.add.at(self._counts[name], row + _bucket(took_ns // 1000), 1)

    def histograms(self, templates: Sequence[str]) -> dict[str, dict[str, str]]:
        """By figure and template's id, µs, in HdrHistogram's base64 encoding."""
        return {
            figure: {
                name: _encoded(counts[number * _BUCKETS : (number + 1) * _BUCKETS])
                for number, name in enumerate(templates)
            }
            for figure, counts in self._counts.items()
        }


class Histogram:
    """Times of one kind, µs."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.int64)
        self.highest_us = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._counts.sum())

    def add(self, values_us: np.ndarray) -> None:
        """Count some."""
        self._counts += np.bincount(_bucket(values_us), minlength=_BUCKETS)
        self.highest_us = max(self.highest_us, int(values_us.max(initial=0)))

    def percentile_us(self, percent: float) -> float:
        """To three significant digits; 0 where there are none."""
        return float(_histogram(self._counts).get_value_at_percentile(percent))

    def share_over(self, value_us: int) -> float:
        """The share of those that are longer, to three significant digits."""
        over = self._counts[int(_bucket(np.array([value_us]))[0]) + 1 :]
        return int(over.sum()) / max(self.count, 1)

    def encoded(self) -> str:
        """In HdrHistogram's base64 encoding."""
        return _encoded(self._counts)


def merged(histograms: Iterable[str]) -> HdrHistogram:
    """The sum of encoded histograms: exact, as counts are added bucket by bucket."""
    whole = HdrHistogram(1, _HIGHEST_US, 3)
    for encoded in histograms:
        whole.decode_and_add(encoded)
    return whole


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
    text: bytes = _histogram(counts).encode()
    return text.decode()


def _histogram(counts: np.ndarray) -> HdrHistogram:
    histogram = HdrHistogram(1, _HIGHEST_US, 3)
    for bucket in np.flatnonzero(counts).tolist():
        histogram.record_value(_lowest(bucket), int(counts[bucket]))
    return histogram
