"""The rules: each looks at the evidence and gives the findings that it can stand for.

Numbers are those of the manual's list of causes. A new rule is a file here and a line in RULES.
"""

from collections.abc import Callable, Iterable

from replay.diagnose.evidence import Evidence
from replay.diagnose.rules.demand_saturation import demand_saturation
from replay.diagnose.rules.failing_here import comes_first, explains, failing_here
from replay.diagnose.rules.hot_row import hot_row
from replay.diagnose.rules.missing_index_hold import missing_index_hold
from replay.diagnose.rules.unexplained import unexplained
from replay.finding import Finding

Rule = Callable[[Evidence], Iterable[Finding]]

RULES: tuple[Rule, ...] = (missing_index_hold, hot_row, demand_saturation)

__all__ = ["RULES", "Rule", "comes_first", "explains", "failing_here", "unexplained"]
