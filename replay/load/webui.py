"""A tab in Locust's web UI: who is blocked, by whom, and how late the load is, as it happens."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from flask import Response, request

Row = dict[str, object]

_KEY = "contention"
_COLUMNS = {
    "what": "What",
    "who": "Session",
    "statement": "Statement",
    "seconds": "Seconds",
    "told": "Detail",
}
_KEPT_S = 1.0  # a look at the target serves everybody who asks within this time
_SHOWN = 50  # blocked sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A worker at this moment; lag over the last seconds."""

    lag_p50_us: float
    lag_p99_us: float
    per_s: float  # statements
    running: int  # transactions
    waiting: int  # transactions, for a session


class Look(Protocol):
    """Sees what stands in whose way on a target; `names` is template id -> a statement's name."""

    def __call__(self, dsn: str, names: Mapping[str, str]) -> Sequence[Row]:
        """Rows of the tab, the top blocker first."""


class Board:
    """What this process knows of the load as it happens: its own worker's, or its workers'."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # template id -> a statement's name
        self.mine: Callable[[], Live] | None = None  # asks this process's worker, while it drives
        self._theirs: dict[str, Live] = {}

    def report(self, data: dict[str, Any], **_: Any) -> None:
        """Put into a worker's report to Locust's master how it goes."""
        if self.mine is not None:
            data["replay"] = asdict(self.mine())

    def hear(self, client_id: str, data: Mapping[str, Any], **_: Any) -> None:
        """Take it out again, on the master."""
        if live := data.get("replay"):
            self._theirs[client_id] = Live(**live)

    def lags(self) -> list[Row]:
        """How late the load is, a row a worker."""
        if self.mine is not None:
            return [_lag_row("this process", self.mine())]
        return [_lag_row(member, live) for member, live in sorted(self._theirs.items())]


def _lag_row(worker: str, live: Live) -> Row:
    return {
        "what": "Schedule lag",
        "who": worker,
        "statement": "",
        "seconds": f"{live.lag_p99_us / 1e6:.6f}",
        "told": f"p50 {live.lag_p50_us:.0f} µs, p99 {live.lag_p99_us:.0f} µs; "
        f"{live.per_s:.0f} answered/s; {live.running} transactions under way, "
        f"{live.waiting} waiting for a session",
    }


def trouble(reason: str) -> Row:
    """A row in the place of what could not be seen."""
    return {"what": "Target", "who": "", "statement": "", "seconds": "", "told": reason}


def add_tab(
    web_ui: Any, lags: Callable[[], Sequence[Row]], look: Callable[[], Sequence[Row]]
) -> None:
    """Add the tab; its rows travel with Locust's own statistics, every two seconds."""
    web_ui.template_args["extended_tabs"] = [{"title": "Contention", "key": _KEY}]
    web_ui.template_args["extended_tables"] = [
        {"key": _KEY, "structure": [{"key": k, "title": title} for k, title in _COLUMNS.items()]}
    ]
    seen: list[Row] = []
    looked_at = -_KEPT_S

    def with_rows(response: Response) -> Response:
        nonlocal looked_at
        if request.path.endswith("/stats/requests") and response.is_json:
            now = time.monotonic()
            if now - looked_at > _KEPT_S:
                looked_at = now
                seen[:] = look()[: _SHOWN + 2]
            rows = [*lags(), *seen]
            extended = {"extended_stats": [{"key": _KEY, "data": rows}]}
            response.set_data(json.dumps({**response.get_json(), **extended}))
        return response

    web_ui.app.after_request(with_rows)
