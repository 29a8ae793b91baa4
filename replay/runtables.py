"""The tables of a run: their columns and types; `rundir` reads and writes them.

All times are µs since the run's origin.
"""

import pyarrow as pa

_NAME = pa.dictionary(pa.int32(), pa.string())

# One row per statement of a started transaction, and one (ordinal 0) per skipped transaction.
ATTEMPTS = pa.schema(
    [
        ("arrival", pa.int64()),  # number of the planned transaction
        ("ordinal", pa.int16()),  # position of the statement in it
        ("template", _NAME),
        ("session", pa.int32()),  # pool slot; -1 where it never had one
        ("worker", pa.int16()),
        ("pid", pa.int32()),  # server process; 0 where unknown
        ("due_us", pa.int64()),  # arrival for the first statement, else end of the one before + gap
        ("began_us", pa.int64()),  # sent; -1 where never
        ("ended_us", pa.int64()),  # answered or given up
        ("lag_us", pa.int64()),  # how late the generator itself was; pool wait is not in it
        ("outcome", _NAME),  # see outcome.py; a SQLSTATE where the server refused
        ("rows", pa.int64()),  # rows returned or changed, of a request its status; -1 unknown
    ]
)
# One row a backend and sample; only backends that are not plainly idle.
SAMPLES = pa.schema(
    [
        ("at_us", pa.int64()),
        ("pid", pa.int32()),
        ("state", _NAME),
        ("wait_type", _NAME),
        ("wait", _NAME),
        ("template", _NAME),  # from the statement's tag; "" for a backend that is not ours
        ("transaction_age_us", pa.int64()),
        ("query_age_us", pa.int64()),
        ("text", _NAME),  # how its statement begins, where the session is none of the replay's
        ("xmin_age", pa.int32()),  # transactions since its oldest snapshot; -1: it holds none
    ]
)
# One row per waiter, blocker and sample.
BLOCKING = pa.schema(
    [
        ("at_us", pa.int64()),
        ("waiter", pa.int32()),
        ("blocker", pa.int32()),
        ("waiter_template", _NAME),
        ("blocker_template", _NAME),
        ("blocker_state", _NAME),
        ("lock_type", _NAME),
        ("mode", _NAME),
        ("relation", _NAME),
        ("wait_us", pa.int64()),
        ("key", _NAME),  # the row's place, the advisory lock's number, the object; else ""
        ("waiter_text", _NAME),  # as SAMPLES' text
        ("blocker_text", _NAME),
    ]
)
# What the server's own log says of locks: a row a line, and of a deadlock a row a process.
LOCKLOG = pa.schema(
    [
        ("at_us", pa.int64()),
        ("event", pa.int32()),  # number of the record; all rows of one deadlock have the same
        ("kind", _NAME),  # waiting, acquired, deadlock, timeout, conflict
        ("pid", pa.int32()),  # who waits
        ("template", _NAME),
        ("text", _NAME),  # of a session that is none of the replay's
        ("mode", _NAME),
        ("lock_type", _NAME),  # transactionid, tuple, relation …, as pg_locks has it
        ("relation", _NAME),  # as the log writes it, without its schema
        ("key", _NAME),  # "(page,line)" of the row
        ("wait_us", pa.int64()),
        ("holders", _NAME),  # pids, in the order of the line, with commas between
        ("queue", _NAME),  # the same
    ]
)
# One row per object and figure.
COUNTERS = pa.schema(
    [
        ("kind", _NAME),  # table, index, statement, database, slru, io
        ("name", _NAME),  # schema.table, schema.index, template id
        ("figure", _NAME),  # seq_tup_read, idx_scan, calls …
        ("before", pa.float64()),
        ("after", pa.float64()),
    ]
)
TABLES = {
    "attempts": ATTEMPTS,
    "samples": SAMPLES,
    "blocking": BLOCKING,
    "counters": COUNTERS,
    "locklog": LOCKLOG,
}
