"""A workload's manifest, for tests that make workloads by hand."""

from datetime import datetime, timedelta

from replay.workload import Manifest


def manifest_of(begin: datetime, seconds: float = 0.0, **told: object) -> Manifest:
    """Of a log that was captured whole, of one session; what is `told` besides takes its place."""
    usual = {
        "tool_version": "0",
        "format": "jsonlog",
        "inputs": (),
        "slice_s": 1.0,
        "seed": 0,
        "per_stratum": 64,
        "scrub": {},
        "records": 0,
        "executions": 0,
        "transactions": 0,
        "sessions": 1,
    }
    return Manifest(begin=begin, end=begin + timedelta(seconds=seconds), **(usual | told))
