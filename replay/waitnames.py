"""One name for a wait event over PostgreSQL 14 to 18.

From 17 on the names of all but the lightweight locks are made from one list, in which an acronym
counts as a word (WALSync became WalSync), and the locks of SLRU buffers say so (manual, 27.2.3).
"""

import re
from functools import lru_cache

# Capitals before a capitalised word, or at the end.
_ACRONYM = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z]|$)")
_AS_WRITTEN = frozenset({"LWLock", "Lock", "Extension", "InjectionPoint"})
_RENAMED = re.compile(
    r"BufFile|BaseBackup(?=Read|Sync|Write)|LibPQWalReceiver|WALSender(?=Timeline)|SysLogger"
    r"|AutoVacuum|BgWriter|BgWorker|ProcArray"
)


@lru_cache(maxsize=1024)
def normal(wait_type: str, event: str) -> str:
    """The event's name as PostgreSQL 18 has it."""
    if wait_type in _AS_WRITTEN:
        return event
    renamed = _RENAMED.sub(lambda found: found[0].capitalize(), event)
    return _ACRONYM.sub(lambda found: found[0].capitalize(), renamed)
