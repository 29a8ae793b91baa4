"""The captured mix with chosen templates, or all rare ones, at `--boost` times their rate.

locust -f scenarios/storm.py --headless --workload shop.workload --target DSN --boost rare=50
"""

from replay.load.user import ReplayUser
from scenarios.baking import Baking
from scenarios.looking import Looking
from scenarios.migrating import migrating


class Storm(ReplayUser):
    """The mix as its background, and in it what was rare until today."""

    bake = Baking("storm")
    look = Looking()
    during = staticmethod(migrating)
