"""The tables of a workload: their columns and types.

What stands here is the format of the files; `columnar` makes rows of it and values of rows.
"""

from dataclasses import fields

import pyarrow as pa

from replay.workload import Counters

_PAIRS = pa.list_(pa.struct([("key", pa.int64()), ("calls", pa.int64())]))
_UTC = pa.timestamp("us", tz="UTC")
_COUNTERS = pa.struct(
    [(f.name, pa.float64() if f.name.endswith("_ms") else pa.int64()) for f in fields(Counters)]
)
TEMPLATE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("sql", pa.string()),
        ("kind", pa.string()),
        ("tables", pa.list_(pa.string())),
        ("calls", pa.int64()),
        ("errors", pa.int64()),
        ("total_ms", pa.float64()),
        ("histogram", _PAIRS),
        ("calls_per_slice", _PAIRS),
        ("first_seen", _UTC),
        ("last_seen", _UTC),
        ("kept", pa.int64()),
        ("rare", pa.bool_()),
        ("source", pa.string()),
        ("query_ids", _PAIRS),
        ("counted", _COUNTERS),
        ("error_states", pa.list_(pa.struct([("key", pa.string()), ("calls", pa.int64())]))),
        ("routes", pa.list_(pa.struct([("route", pa.string()), ("share", pa.float64())]))),
        ("routes_by", pa.string()),
        ("routes_sure", pa.float64()),
    ]
)
TRANSACTION_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("session", pa.string()),
        ("start_us", pa.int64()),
        ("weight", pa.float64()),
        ("shape", pa.string()),
        ("untold", pa.list_(pa.string())),
        ("priority", pa.uint64()),
        ("logged", pa.float64()),
        ("early_us", pa.int64()),
        ("session_us", pa.int64()),
    ]
)
PLACE_SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("stratum", pa.string()),
        ("rank", pa.uint64()),
        ("transaction", pa.int64()),
    ]
)
STATEMENT_SCHEMA = pa.schema(
    [
        ("transaction", pa.int64()),
        ("template", pa.string()),
        ("sql", pa.string()),
        ("slots", pa.string()),
        ("values", pa.list_(pa.string())),
        ("prepared", pa.string()),
        ("offset_us", pa.int64()),
        ("duration_us", pa.int64()),
        ("error", pa.string()),
    ]
)
STANDING_SCHEMA = pa.schema([("session", pa.string()), ("statements", pa.list_(pa.string()))])
CONFLICT_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("template", pa.string()),
        ("peers", pa.list_(pa.string())),
        ("lock", pa.string()),
        ("on", pa.string()),
        ("relation", pa.string()),
        ("count", pa.int64()),
        ("total_ms", pa.float64()),
        ("longest_ms", pa.float64()),
        ("most_queued", pa.int64()),
        ("first_seen", _UTC),
        ("last_seen", _UTC),
        ("told", pa.list_(pa.string())),
        ("told_sql", pa.list_(pa.string())),
    ]
)
ACTIVITY_SCHEMA = pa.schema(
    [
        ("state", pa.string()),
        ("wait_type", pa.string()),
        ("wait", pa.string()),
        ("template", pa.string()),
        ("sessions", pa.float64()),
    ]
)
ROUTE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("method", pa.string()),
        ("route", pa.string()),
        ("given", pa.bool_()),
        ("calls", pa.int64()),
        ("statuses", _PAIRS),
        ("total_ms", pa.float64()),
        ("timed", pa.int64()),
        ("size", pa.int64()),
        ("histogram", _PAIRS),
        ("calls_per_slice", _PAIRS),
        ("first_seen", _UTC),
        ("last_seen", _UTC),
        ("kept", pa.int64()),
        ("rare", pa.bool_()),
    ]
)
REQUEST_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("route", pa.string()),
        ("session", pa.string()),
        ("start_us", pa.int64()),
        ("duration_us", pa.int64()),
        ("method", pa.string()),
        ("target", pa.string()),
        ("status", pa.int64()),
        ("size", pa.int64()),
        ("agent", pa.string()),
        ("trace", pa.string()),
        ("request_id", pa.string()),
        ("weight", pa.float64()),
        ("priority", pa.uint64()),
        ("content_type", pa.string()),
        ("body", pa.string()),
        ("headers", pa.string()),
    ]
)
LINK_SCHEMA = pa.schema(
    [
        ("request", pa.int64()),
        ("transaction", pa.int64()),
        ("how", pa.string()),
        ("sure", pa.float64()),
    ]
)
RAN_SCHEMA = pa.schema(
    [
        ("route", pa.string()),
        ("template", pa.string()),
        ("how", pa.string()),
        ("sure", pa.float64()),
        ("calls", pa.float64()),
        ("requests", pa.int64()),
        ("share", pa.float64()),
    ]
)
REPEATED = frozenset(
    (  # noqa: SIM905 - words are read, and kept in order, more easily as a text
        "kind source template sql slots prepared error session shape route method agent group stratum lock on relation "
        "content_type how headers"
    ).split()
)
"""Columns of texts that repeat: a dictionary makes these smaller, and others larger."""
