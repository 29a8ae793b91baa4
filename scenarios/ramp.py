"""The captured mix, stepped up until the target no longer bears it: its capacity.

locust -f scenarios/ramp.py --headless --workload shop.workload --target DSN --from 1 --factor 2
"""

from replay.load.user import ReplayUser
from scenarios.baking import Baking
from scenarios.looking import Looking
from scenarios.migrating import migrating


class Ramp(ReplayUser):
    """The mix at ever higher rates; ends by itself where latency climbs without end."""

    bake = Baking("ramp")
    look = Looking()
    during = staticmethod(migrating)
