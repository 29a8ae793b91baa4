"""Production's sessions and transactions, each at its time, from a workload of `capture --all`.

locust -f scenarios/as_recorded.py --headless --workload noon.workload --target DSN --speed 2
"""

from replay.load.user import ReplayUser
from scenarios.baking import Baking
from scenarios.looking import Looking
from scenarios.migrating import migrating


class AsRecorded(ReplayUser):
    """A connection for each captured session, from its beginning to its end."""

    bake = Baking("as_recorded")
    look = Looking()
    during = staticmethod(migrating)
