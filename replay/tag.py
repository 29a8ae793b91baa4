"""The constant comment by which every replayed statement names its template to the server.

It stands first, so that pg_stat_activity's truncated text still shows it; a comment changes neither
the plan nor the query_id, and costs no round trip.
"""

import re

LOAD_APPLICATION = "staging-replay-load"  # application_name of the sessions that replay
MIGRATION_APPLICATION = "staging-replay-migration"  # of the one that runs a release's migration

_TAG = re.compile(r"/\*replay:([0-9a-f]{16})\*/")


def tagged(sql: str, template: str) -> str:
    """The statement, naming its template (16 hex digits)."""
    return f"/*replay:{template}*/ {sql}"


def template_of(query: str) -> str:
    """The template that a text seen on the server names; empty where it names none."""
    found = _TAG.search(query)
    return found.group(1) if found else ""
