"""The captured requests, sent to the service that stands before the target.

locust -f scenarios/http.py --headless --workload shop.workload --target DSN --service http://127.0.0.1:8080
"""

import sys

if __name__ == "http":
    # Locust loads a file under its own name. The standard library has one of that name, too, which others need.
    sys.modules["http"] = vars(sys.modules["http.client"])["http"]

from replay.load.user import ReplayUser
from scenarios.baking import Baking
from scenarios.looking import Looking
from scenarios.migrating import migrating


class Http(ReplayUser):
    """Requests as `--scenario` says, with a cookie jar and a connection for each captured session."""

    bake = Baking()
    look = Looking()
    during = staticmethod(migrating)
