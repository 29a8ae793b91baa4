"""The command line of a scenario under Locust, beside Locust's own options.

All values are plain text and numbers: a Locust master sends them to its workers.
"""

import argparse
import os
from math import inf

from replay.errors import InputError

TARGET = "REPLAY_TARGET"
SCENARIOS = ("mix", "storm", "ramp", "as_recorded")
DURATION_S = 20.0  # of arrivals, where nothing else is said …
DURATIONS_S = {"ramp": 120.0, "as_recorded": inf}  # … but of these
POOL = 20  # connections to a database, as a service has, where nothing else is said …
ASIDE_POOL = 10  # at most, for statements in the stead of requests
CLIENTS = 200  # … and to a service, whose clients wait for nobody's pool but its own


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add our options to Locust's parser."""
    group = parser.add_argument_group("Replay")
    group.add_argument("--workload", help="Workload directory to replay")
    group.add_argument("--target", help=f"DSN of a marked database; or {TARGET} in the environment")
    group.add_argument(
        "--service", default="", help="Of http.py: URL that captured requests are sent to"
    )
    group.add_argument("--scenario", choices=SCENARIOS, help="Of http.py: how requests come; mix")
    group.add_argument("--ca", default="", help="Certificates that sign the service's")
    group.add_argument("--insecure", action="store_true", help="Take any certificate")
    group.add_argument("--login", default="", help="module:function that logs a session in")
    group.add_argument("--csrf", default="", help="Names of tokens against forgery, with commas")
    group.add_argument("--fresh", default="", help="Names of keys that are never used twice")
    group.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="ROUTE",
        help="A route that is not sent, or writes: all but GET and HEAD; may be repeated",
    )
    group.add_argument("--allow-writes", action="store_true", help="Requests that write, too")
    group.add_argument("--openapi", default="", help="OpenAPI document that tells their bodies")
    group.add_argument("--shards", help="Load that is baked already, instead of a workload")
    group.add_argument("--run-directory", help="Leave the attempts here, as Parquet")
    group.add_argument("--worker-index", type=int, default=0, help="Which shard to drive")
    rate = group.add_argument(
        "--rate", type=float, default=1.0, help="Multiple of production's rate"
    )
    group.add_argument(
        "--boost",
        action="append",
        default=[],
        metavar="TEMPLATE=FACTOR",
        help="Raise a template's rate (id, its beginning, or rare); may be repeated",
    )
    group.add_argument("--arrivals", choices=("poisson", "curve"), default="poisson")
    group.add_argument("--burst", type=float, help="Seconds in which boosts are in force")
    group.add_argument("--every", type=float, help="Seconds from one burst to the next")
    group.add_argument("--from", dest="first", type=float, default=0.5, help="A ramp's first rate")
    group.add_argument("--factor", type=float, default=1.5, help="From step to step of a ramp")
    group.add_argument("--step", type=float, default=10.0, help="Seconds of a ramp's step")
    group.add_argument("--speed", type=float, default=1.0, help="How fast a recording runs")
    group.add_argument(
        "--think", choices=("scale", "keep", "none"), default="scale", help="A recording's own time"
    )
    group.add_argument("--order", choices=("commit",), help="As production's commits")
    group.add_argument("--during", default="", help="Migration to run in the middle of the load")
    group.add_argument("--at", type=float, help="Seconds until it begins; a third of the load")
    group.add_argument("--repeat", type=int, default=1, help="So many times")
    duration = group.add_argument(
        "--duration", type=float, help="Seconds of arrivals; 20, or the ramp"
    )
    group.add_argument("--drain", type=float, default=5.0, help="Seconds to end what is under way")
    pool = group.add_argument(
        "--pool", type=int, help="Connections, as the service has; 20, of http.py 200"
    )
    group.add_argument("--pool-timeout-ms", type=int, default=5000, help="Longest wait for one")
    group.add_argument("--statement-timeout-ms", type=int, default=30_000)
    group.add_argument("--retry", type=int, default=0, help="After 40001 and 40P01, so many times")
    group.add_argument("--objective-ms", type=float, default=250.0, help="p95 that is promised")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--bind", choices=("generated", "identity"), default="generated")
    for shown in (rate, duration, pool):  # Locust's form asks for these, too; never for the DSN
        vars(shown).update(include_in_web_ui=True, is_secret=False, is_required=False)


def listed(text: str) -> tuple[str, ...]:
    """Names that stand with commas between them."""
    return tuple(filter(None, text.split(",")))


def settled(parsed: argparse.Namespace) -> argparse.Namespace:
    """The options as they are for one start; Locust's form gives text where nothing stood before.

    They are a copy: what stands in Locust's own decides how it reads the form the next time.
    """
    given = vars(parsed)
    duration, pool = given["duration"], given["pool"]
    return argparse.Namespace(
        **{
            **given,
            "duration": float(duration) if duration else None,
            "pool": int(pool) if pool else None,
        }
    )


def target_of(parsed: argparse.Namespace) -> str:
    """The target's DSN; raises InputError where none is given."""
    dsn = parsed.target or os.environ.get(TARGET)
    if not dsn:
        raise InputError(f"no target: give --target DSN, or {TARGET} in the environment")
    return str(dsn)


def boosts_of(parsed: argparse.Namespace) -> dict[str, float]:
    """`--boost` as template (id, its beginning, or "rare") to factor."""
    boosts = {}
    for given in parsed.boost:
        name, _, factor = given.rpartition("=")
        try:
            boosts[name] = float(factor)
        except ValueError:
            raise InputError(
                f"--boost {given}: write TEMPLATE=FACTOR, for example rare=50"
            ) from None
    return boosts
