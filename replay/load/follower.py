"""The process that `following` starts: what workers record becomes Parquet, some two seconds behind them.

What it needs for that it loads when a load has gone on for as long: most that end before are not worth it.
"""

import contextlib
import os
import select
import sys
from pathlib import Path

from replay.errors import EnvironmentFaultError

_PERIOD_S = 2.0
_ORIGIN_BYTES = 64


def main() -> None:
    """Follow the load until standard input ends."""
    shards, records, run = map(Path, sys.argv[1:4])
    origin = os.read(sys.stdin.fileno(), _ORIGIN_BYTES)
    if not origin:
        return
    over = _ends()
    from replay.load.parts import Parts  # noqa: PLC0415 - see above
    from replay.load.shard import read_index  # noqa: PLC0415 - as above

    templates = read_index(shards).templates
    seen = {
        Parts(
            records=records,
            run=run,
            worker=int(worker),
            templates=templates,
            origin_ns=int(origin),
        ): 0
        for worker in sys.argv[4:]
    }
    while True:
        for parts, known in seen.items():
            # Where there is no room, those who write the records or the end of the run say so.
            with contextlib.suppress(EnvironmentFaultError):
                seen[parts] = parts.catch_up(known)
        if over:
            return
        over = _ends()


def _ends() -> bool:
    """Whether standard input ends within a period."""
    return bool(select.select([sys.stdin], [], [], _PERIOD_S)[0])


if __name__ == "__main__":
    main()
