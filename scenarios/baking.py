"""From a locustfile's options to shards: what `replay run` does before it starts Locust.

Under our launcher the shards are baked, so what bakes them is imported only when it is asked for.
"""

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from replay.errors import InputError
from replay.load import options
from replay.target import connect_target


@dataclass(frozen=True, slots=True)
class Baking:
    """Plans one scenario's load from a workload."""

    scenario: str  # one of replay.conduct.bake.SCENARIOS
    duration_s: float = options.DURATION_S  # where nothing else is said

    def __call__(
        self, parsed: argparse.Namespace, shards: Path, worker: int, workers: int
    ) -> Collection[str]:
        """Write the shard of one worker of so many; returns the templates whose rate is raised."""
        from replay import bundle  # noqa: PLC0415 - see the module
        from replay.conduct.bake import RunOptions, bake, settled  # noqa: PLC0415 - the same

        if parsed.workload is None:
            raise InputError("no workload: give --workload DIRECTORY; replay capture makes one")
        workload = Path(parsed.workload)
        if parsed.duration is None:
            parsed.duration = self.duration_s
        chosen = RunOptions(
            scenario=self.scenario,
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
            workers=workers,
            identity=parsed.bind == "identity",
            service=parsed.service,
            allow_writes=parsed.allow_writes,
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
        parsed.duration = chosen.duration_s
        source = bundle.read_manifest(workload).source
        with connect_target(options.target_of(parsed), source=source) as connection:
            return bake(workload, connection, shards, chosen, only=(worker,)).boosted
