"""How a server's views tell this program's sessions, and the template of a replayed statement.

The template stands in a constant comment, which comes first, so that pg_stat_activity's truncated
text still shows it; a comment changes neither the plan nor the query_id, and costs no round trip.
"""

import re

# application_name of this program's sessions: by itself, to replay, to run a release's migration.
APPLICATION_NAME = "staging-replay"
LOAD_APPLICATION = "staging-replay-load"
MIGRATION_APPLICATION = "staging-replay-migration"

_TAG = re.compile(r"/\*replay:([0-9a-f]{16})\*/")


def tagged(sql: str, template: str) -> str:
    """The statement, naming its template (16 hex digits)."""
    return f"/*replay:{template}*/ {sql}"


def template_of(query: str) -> str:
    """The template that a text seen on the server names; empty where it names none."""
    found = _TAG.search(query)
    return found.group(1) if found else ""
