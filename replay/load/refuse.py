"""What is never replayed, and why: statements that reach outside the database, or cannot work.

A transaction that holds one such statement is left out whole, and counted by its reason. The text
that is looked at has its literals taken out, so a word inside a string refuses nothing.
"""

import re
from collections.abc import Iterable

from replay.workload import Statement

SESSION_RESET = "session_reset"

# By reason, in the order in which they are looked for. `^` is the beginning of any statement of
# the text, and a function's name is followed by its parenthesis.
_RULES: dict[str, str] = {
    # the data that it carries is in no log
    "copy": r"^copy\b",
    # waits for others on a session of its own
    "listen": r"^(un)?listen\b",
    # its body is one literal, which scrubbing has made unreadable
    "code": r"^do\b|^create\s+(or\s+replace\s+)?(function|procedure)\b",
    # outlives its session, holding locks
    "two_phase": r"^(prepare\s+transaction|(commit|rollback)\s+prepared)\b",
    # belongs to one captured session, and a pool's session is another
    "session_prepare": r"^(prepare|execute)\b",
    # a pool or a driver tidies its session; the names that ours have are the replay's
    SESSION_RESET: r"^(deallocate|discard)\b",
    "server_administration": (
        r"^(alter\s+system|checkpoint|load|import\s+foreign\s+schema|reassign\s+owned)\b"
        r"|^(create|alter|drop)\s+(role|user|group|database|tablespace|server|subscription"
        r"|extension|foreign\s+data\s+wrapper|event\s+trigger)\b"
    ),
    "server_function": (
        r"\bpg_(terminate_backend|cancel_backend|reload_conf|rotate_logfile|promote|switch_wal"
        r"|wal_replay_\w+|create_restore_point|backup_\w+|start_backup|stop_backup|log_backend_\w+"
        r"|(create|drop|copy)_\w*replication_slot|logical_emit_message)\"?\s*\("
    ),
    # files, other servers, programs
    "outside": (
        r"\b(dblink\w*|pg_(read|stat|write)_(binary_)?file|pg_file_\w+|pg_ls_\w*dir\w*"
        r"|lo_(import|export)|https?_(get|post|put|patch|delete|head)|net\.http_\w+"
        r"|aws_(s3|lambda)\.\w+)\"?\s*\("
    ),
}
_COMPILED = {
    name: re.compile(pattern.replace("^", r"(?:^|;)[\s(]*"), re.IGNORECASE)
    for name, pattern in _RULES.items()
}


def reason(sql: str) -> str:
    """Why this statement, its literals taken out, is not replayed; "" where it may be."""
    return next((name for name, pattern in _COMPILED.items() if pattern.search(sql)), "")


def first_reason(statements: Iterable[Statement]) -> str:
    """The reason of the first statement that may not be replayed; "" where all may."""
    return next((why for why in (reason(s.sql) for s in statements) if why), "")
