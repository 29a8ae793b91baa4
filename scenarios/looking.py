"""What Locust's web UI shows of the target: the sessions that block, and those that are blocked."""

from collections.abc import Mapping

import psycopg

from replay.errors import ReplayError
from replay.load.webui import Row, trouble
from replay.target import connector
from replay.watch.looking import Looker
from replay.watch.now import Blocked, Blocker, look

_TIMEOUT_MS = 1000


class Looking:
    """Keeps one connection to the target for as long as somebody looks."""

    def __init__(self) -> None:
        self._looker: Looker | None = None

    def __call__(self, dsn: str, names: Mapping[str, str]) -> list[Row]:
        """Rows of the tab, the top blocker first."""
        try:
            looker = self._looker
            if looker is None or looker.connection.closed:
                connection = connector(dsn)()
                connection.execute(f"SET statement_timeout = {_TIMEOUT_MS}".encode())
                looker = self._looker = Looker(connection)
            blockers, blocked = look(looker)
        except (psycopg.Error, ReplayError) as error:
            return [trouble(str(error).strip())]
        if not blocked:
            return [_row("Blocked sessions", "", "", "", "none")]
        return [
            _row("Blocked sessions", "", "", "", f"{len({b.pid for b in blocked})}"),
            *(_blocker(blocker, names) for blocker in blockers[:1]),
            *(_blocked(waiter, names) for waiter in blocked),
        ]


def _blocker(blocker: Blocker, names: Mapping[str, str]) -> Row:
    return _row(
        "Top blocker",
        str(blocker.pid),
        names.get(blocker.template, blocker.text or blocker.template),
        f"{blocker.transaction_s:.1f}",
        f"{blocker.state}; blocks {blocker.blocks} sessions",
    )


def _blocked(waiter: Blocked, names: Mapping[str, str]) -> Row:
    return _row(
        "Blocked",
        str(waiter.pid),
        names.get(waiter.template, waiter.text or waiter.template),
        f"{waiter.wait_s:.1f}",
        f"{waiter.lock}, by {waiter.blocker}",
    )


def _row(what: str, who: str, statement: str, seconds: str, told: str) -> Row:
    return {"what": what, "who": who, "statement": statement, "seconds": seconds, "told": told}
