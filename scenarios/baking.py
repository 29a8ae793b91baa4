"""From a locustfile's options to shards: what `replay run` does before it starts Locust.

Under our launcher the shards are baked, so what bakes them is imported only when it is asked for.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from replay.errors import InputError
from replay.load import options
from replay.load.hooks import Load
from replay.load.verdict import too_little
from replay.target import connect_target


@dataclass(frozen=True, slots=True)
class Baking:
    """Plans one scenario's load from a workload; of none, that of requests, as the options say."""

    scenario: str = ""  # one of options.SCENARIOS

    def __call__(self, parsed: argparse.Namespace, shards: Path, worker: int, workers: int) -> Load:
        """Write the shard of one worker of so many."""
        from replay import bundle  # noqa: PLC0415 - see the module
        from replay.cli.output import Lines  # noqa: PLC0415 - the same
        from replay.conduct.bake import RunOptions, bake, settled  # noqa: PLC0415 - the same

        if parsed.workload is None:
            raise InputError("no workload: give --workload DIRECTORY; replay capture makes one")
        self._check(parsed)
        workload = Path(parsed.workload)
        scenario = self.scenario or parsed.scenario or options.SCENARIOS[0]
        if parsed.duration is None:
            parsed.duration = options.DURATIONS_S.get(scenario, options.DURATION_S)
        chosen = RunOptions(
            scenario=scenario,
            rate=parsed.rate,
            boosts=options.boosts_of(parsed),
            arrivals=parsed.arrivals,
            burst_s=parsed.burst,
            every_s=parsed.every,
            first=parsed.first,
            factor=parsed.factor,
            step_s=parsed.step,
            speed=parsed.speed,
            think=parsed.think,
            order=parsed.order,
            duration_s=parsed.duration,
            retries=parsed.retry,
            seed=parsed.seed,
            pool=parsed.pool,
            pool_timeout_ms=parsed.pool_timeout_ms,
            workers=workers,
            identity=parsed.bind == "identity",
            service=parsed.service,
            allow_writes=parsed.allow_writes,
            leave_out=tuple(parsed.leave_out),
            openapi=parsed.openapi,
            ca=parsed.ca,
            insecure=parsed.insecure,
            login=parsed.login,
            csrf=options.listed(parsed.csrf),
            fresh=options.listed(parsed.fresh),
            tags=tuple(parsed.tags or ()),
            exclude_tags=tuple(parsed.exclude_tags or ()),
        )
        chosen = settled(chosen, workload)
        chosen.check()
        parsed.duration, parsed.pool = chosen.duration_s, chosen.connections
        source = bundle.read_manifest(workload).source
        with connect_target(options.target_of(parsed), source=source) as connection:
            tell = None if worker else Lines("planning")
            # What runs aside is the first one's, too.
            mine = (worker,) if worker else (worker, workers)
            baked = bake(workload, connection, shards, chosen, only=mine, tell=tell)
        if worker:  # the first one speaks for all
            return Load(boosted=baked.boosted)
        planned, left_out = baked.planned.transactions, baked.planned.left_out
        return Load(
            boosted=baked.boosted,
            told=tuple(_told(baked.requests, left_out)),
            doubts=tuple(too_little(planned, left_out)),
        )

    def _check(self, parsed: argparse.Namespace) -> None:
        if not self.scenario and not parsed.service:
            raise InputError("no service: give --service http://HOST:PORT")
        if self.scenario and (parsed.service or parsed.scenario):
            raise InputError("--service and --scenario go with scenarios/http.py")


def _told(requests: Mapping[str, int], left_out: Mapping[str, int]) -> Iterator[str]:
    """How requests were planned, and what of production's work is not replayed."""
    for how, count in requests.items():
        yield f"requests planned {how}: {count}"
    for reason, count in left_out.items():
        yield f"left out: {reason}: {count}"
