"""The rules: each looks at the evidence and gives the findings that it can stand for.

Numbers are those of the manual's list of causes. A new rule is a file here and a line in RULES.
"""

from collections.abc import Callable, Iterable

from replay.diagnose.evidence import Evidence
from replay.diagnose.rules.blocking_maintenance import blocking_maintenance
from replay.diagnose.rules.bulk_writes import bulk_writes
from replay.diagnose.rules.ddl_queue import ddl_queue
from replay.diagnose.rules.deadlock import deadlock
from replay.diagnose.rules.demand_saturation import demand_saturation
from replay.diagnose.rules.duplicate_key_race import duplicate_key_race
from replay.diagnose.rules.failing_here import comes_first, explains, failing_here
from replay.diagnose.rules.foreign_key_scan import foreign_key_scan
from replay.diagnose.rules.hot_row import hot_row
from replay.diagnose.rules.idle_hold import idle_hold
from replay.diagnose.rules.leaked_lock import leaked_lock
from replay.diagnose.rules.lock_manager import lock_manager
from replay.diagnose.rules.missing_index_hold import missing_index_hold
from replay.diagnose.rules.multixact import multixact
from replay.diagnose.rules.notify_commit import notify_commit
from replay.diagnose.rules.old_snapshot_wait import old_snapshot_wait
from replay.diagnose.rules.plan_flip import plan_flip
from replay.diagnose.rules.recovery_conflict import recovery_conflict
from replay.diagnose.rules.snapshot_bloat import snapshot_bloat
from replay.diagnose.rules.subtransactions import subtransactions
from replay.diagnose.rules.unexplained import bad_seconds, unexplained
from replay.diagnose.rules.wraparound import wraparound
from replay.finding import Finding

Rule = Callable[[Evidence], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    ddl_queue,  # 1
    blocking_maintenance,  # 2
    wraparound,  # 3
    foreign_key_scan,  # 4
    missing_index_hold,  # 5
    idle_hold,  # 6
    hot_row,  # 7
    duplicate_key_race,  # 8
    deadlock,  # 9
    leaked_lock,  # 10
    notify_commit,  # 11
    old_snapshot_wait,  # 12
    bulk_writes,  # 13
    lock_manager,  # 14
    subtransactions,  # 15
    multixact,  # 16
    snapshot_bloat,  # 17
    plan_flip,  # 18
    demand_saturation,  # 19
    recovery_conflict,  # 20
)

__all__ = ["RULES", "Rule", "bad_seconds", "comes_first", "explains", "failing_here", "unexplained"]
