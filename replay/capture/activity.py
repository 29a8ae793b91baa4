"""What production's sessions were at while a capture follows it: a look a second, and nothing raw kept.

Texts become template ids at once; one that may be cut off is none. What was seen is told as sessions
on average, so that it can be set beside any other server's.
"""

import logging
import time
from collections import Counter

import psycopg

from replay.errors import ReplayError
from replay.sql.fingerprint import fingerprint
from replay.target import connect_source
from replay.waitnames import normal
from replay.workload import Activity

log = logging.getLogger(__name__)

_PACE_S = 1.0
_LOOK = """
SELECT state, coalesce(wait_event_type, ''), coalesce(wait_event, ''), query,
       octet_length(query) >= pg_size_bytes(current_setting('track_activity_query_size')) - 1
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND state <> 'idle'
  AND pid <> pg_backend_pid()
"""
_Kind = tuple[str, str, str, str]  # state, wait type, wait, template


class Watched:
    """What was seen so far; Ctrl-C leaves it whole."""

    def __init__(self) -> None:
        self.looks = 0
        self._seen: Counter[_Kind] = Counter()

    def until(self, dsn: str, end: float) -> None:
        """A look a second until that moment of the monotonic clock; a server that is lost is waited for."""
        while (left_s := end - time.monotonic()) > 0:
            try:
                with connect_source(dsn) as connection:
                    self._look_until(connection, end)
            except (psycopg.Error, ReplayError) as error:
                log.warning("production's activity is not seen: %s", str(error).strip())
                time.sleep(min(_PACE_S, left_s))

    def told(self) -> tuple[Activity, ...]:
        """Sessions on average by what they were at, most first."""
        return tuple(
            Activity(
                state=state,
                wait_type=wait_type,
                wait=normal(wait_type, wait),
                template=template,
                sessions=round(seen / self.looks, 6),
            )
            for (state, wait_type, wait, template), seen in self._seen.most_common()
        )

    def _look_until(self, connection: psycopg.Connection, end: float) -> None:
        due = time.monotonic()
        while due < end:
            time.sleep(max(due - time.monotonic(), 0))
            with connection.transaction():
                rows = connection.execute(_LOOK).fetchall()
            self.looks += 1
            self._seen.update(
                (state, wait_type, wait, "" if is_cut or not query else fingerprint(query).id)
                for state, wait_type, wait, query, is_cut in rows
            )
            due += _PACE_S
        time.sleep(max(end - time.monotonic(), 0))
