"""A word that was taken for a name is a route of its own where its request ran other statements."""

import json
import os
import random
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from made_lines import csv_line
from made_requests import BEGIN

from replay import bundle
from replay.cli import status
from replay.requests import Requests

NAMES = 140  # more than may stand at one place
ODD = "reconcile-all"  # no word by which services call what they do


def logs(tmp_path, *, told: str, late: bool) -> list[str]:
    """Each name asks twice; one word of them does something else, once."""
    rng = random.Random(5)
    words = [f"q{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(NAMES)]
    asked = [*words, *words]
    rng.shuffle(asked)
    asked.insert(len(asked) - 3 if late else 3, ODD)
    sql, requests = [], []
    for number, word in enumerate(asked):
        trace = rng.randbytes(16).hex()
        ran = ["SELECT 1 FROM keys WHERE key = 'k'", f"SELECT a FROM users WHERE name = '{word}'"]
        if word == ODD:
            ran[1] = "UPDATE accounts SET total = 0"
        if word == words[0]:  # what one name's page shows beside all else
            ran.append("SELECT b FROM medals WHERE name = 'x'")
        at = BEGIN + timedelta(seconds=number)
        path = "/users/reconcile-all" if word == ODD else "/users/<str:name>"
        comment = (
            f"traceparent='00-{trace}-{'cd' * 8}-01'" if told == "trace" else f"route='{path}'"
        )
        for step, text in enumerate(ran):
            ended = at + timedelta(milliseconds=10 * step + 10)
            line = csv_line(
                timestamp=f"{ended:%Y-%m-%d %H:%M:%S}.{ended.microsecond // 1000:03} UTC",
                session_id="69a42c40.10",
                line_num=str(10 * number + step + 1),
                message=f"duration: 1.000 ms  statement: {text} /*{comment}*/",
            )
            sql.append(line)
        one = {
            "msec": f"{(at + timedelta(milliseconds=80)).timestamp():.3f}",
            "request_method": "GET",
            "request_uri": f"/users/{word}?x=1",
            "status": "200",
            "request_time": "0.080",
        }
        if told == "trace":
            one["http_traceparent"] = f"00-{trace}-{'ab' * 8}-01"
        requests.append(json.dumps(one) + "\n")
    (tmp_path / "a.csv").write_bytes(b"".join(sql))
    (tmp_path / "b.json").write_text("".join(requests))
    return [str(tmp_path / "a.csv"), "--http", str(tmp_path / "b.json")]


def captured(tmp_path, *arguments: str) -> Requests:
    out = tmp_path / "w.workload"
    assert status(["capture", *arguments, "--key-file", str(tmp_path / "key"), "-o", str(out)]) == 0
    found = bundle.read_requests(out)
    assert found is not None
    return found


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("told", ["trace", "route"])
def test_a_path_that_runs_other_statements_is_a_route_whenever_it_comes(tmp_path, told, late):
    found = captured(tmp_path, *logs(tmp_path, told=told, late=late))
    assert {route.route: route.calls for route in found.routes} == {
        "/users/{name}": 2 * NAMES,
        f"/users/{ODD}": 1,
    }
    by_id = {route.id: route for route in found.routes}
    kept = [request for request in found.kept if by_id[request.route].route.endswith(ODD)]
    assert [request.weight for request in kept] == [1.0]
    assert kept[0].target.startswith(f"/users/{ODD}?x=")
    runs = {one.template for one in found.ran if by_id[one.route].route.endswith(ODD)}
    (update,) = (
        template.id
        for template in bundle.read(tmp_path / "w.workload").templates
        if template.sql.startswith("update")
    )
    assert update in runs
    assert len(runs) == (2 if told == "trace" else len(runs))


def test_what_cannot_be_read_again_is_told(tmp_path, caplog):
    sql, _, requests = logs(tmp_path, told="trace", late=True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = Path(requests).read_bytes()
    writer = threading.Thread(target=lambda: pipe.write_bytes(text))
    writer.start()
    found = captured(tmp_path, sql, "--http", str(pipe))
    writer.join()
    assert [route.route for route in found.routes] == ["/users/{name}"]
    assert "--routes FILE" in caplog.text
