"""The captured mix, open loop: transactions arrive at production's rates times `--rate`.

locust -f scenarios/mix.py --headless --workload shop.workload --target DSN --rate 2
"""

from replay.load.user import ReplayUser
from scenarios.baking import Baking
from scenarios.looking import Looking
from scenarios.migrating import migrating


class Mix(ReplayUser):
    """Poisson arrivals of the kept transactions, drawn by weight, through a pool of sessions."""

    bake = Baking("mix")
    look = Looking()
    during = staticmethod(migrating)
