"""A hunt through 200 templates: how long it takes, what it finds, and that stopping it loses nothing.

`python benchmarks/hunt.py [--budget 25m] [--keep DIR]`: the shop of capture_shop.py as a production of
210 templates, captured from its log. One of its rare paths looks by a column that has no index, in the one table that
is large. `replay hunt` is stopped once in the middle of its trials, and goes on. Exits with 1 where it took
longer than its budget allows, where something was tried twice, or where the planted path did not break.
"""

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import capture_shop as shop
import psycopg

from replay import embedded
from replay.conduct.prepare import PRIVATE_SETTINGS
from replay.conduct.production import capture, fill
from replay.sql.fingerprint import fingerprint

_PER_S = 150.0
_SECONDS = 60
_LARGE = 1_500_000  # rows
_PLANTED = "SELECT id, took_ms FROM audit_log WHERE ticket = %s"
_PLANT = (
    "ALTER TABLE audit_log ADD COLUMN ticket text",
    """INSERT INTO audit_log (customer_id, action, took_ms, ticket)
        SELECT g / 30, 'x' || g, g % 500, 't' || g FROM generate_series(5001, 1500000) g""",
    "VACUUM ANALYZE",
)
_REPLAY = "import sys; from replay.cli import main; sys.exit(main())"
_STOP_AFTER = 6  # trials
_LATE_S = 60.0  # a trial that is under way at the budget's end goes to its end


def main() -> int:
    """Make the workload, hunt, stop, hunt on, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", default="25m")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="replay-hunt-") as scratch:
        directory = asked.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        workload = directory / "shop.workload"
        if not workload.exists():
            produce(workload)
        command = [sys.executable, "-c", _REPLAY, "hunt", str(workload), "--json"]
        command += ["-o", str(directory / "h.run"), "--budget", asked.budget]
        began = time.monotonic()
        first, _ = watched(command, stop_after=_STOP_AFTER)
        between = time.monotonic()
        second, document = watched(command, stop_after=None)
        stopped_s, went_on_s = between - began, time.monotonic() - between
    return report(first, second, document, stopped_s, went_on_s)


def produce(workload: Path) -> None:
    """A minute of the shop, by one client, every template at least once."""
    settings = {**PRIVATE_SETTINGS, "max_connections": "50"}
    with embedded.server(settings) as server:
        fill(server, [";\n".join((*shop.schema(), *_PLANT))], say)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            drive(connection)
        capture(server, workload, seed=0, say=lambda _: None)


def drive(connection: psycopg.Connection) -> None:
    """Few templates often, twenty seldom, a fifth of all in transactions of several statements."""
    rng = random.Random("hunt")
    templates = shop.templates(random.Random("templates"))
    planted = shop.Template(_PLANTED, ("ticket",))
    usual = rng.choices(templates, shop.weights(len(templates)), k=round(_PER_S * _SECONDS))
    usual += [*templates[: -shop.RARE], *shop.rare_runs(rng, templates), planted, planted]
    rng.shuffle(usual)
    origin, at = time.monotonic(), 0
    while at < len(usual):
        together = rng.randint(2, 4) if rng.random() < 0.1 else 1
        time.sleep(max(origin + at / _PER_S - time.monotonic(), 0))
        try:
            if together == 1:
                perform(connection, usual[at], rng)
            else:
                with connection.transaction():
                    for one in usual[at : at + together]:
                        perform(connection, one, rng)
        except psycopg.Error as error:  # as the shop's own rules will have it
            say(f"refused: {str(error).splitlines()[0]}")
        at += together


def perform(connection: psycopg.Connection, template: shop.Template, rng: random.Random) -> None:
    """One execution."""
    if template.sql == _PLANTED:
        connection.execute(_PLANTED, (f"t{rng.randint(1, _LARGE)}",))
    else:
        connection.execute(*template.fill(rng))


def watched(command: list[str], *, stop_after: int | None) -> tuple[list[str], dict[str, object]]:
    """What a hunt said, and its document; stopped where so many trials were begun."""
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as run,
    ):
        assert run.stderr is not None
        said, tried = [], 0
        for line in run.stderr:
            said.append(line.rstrip())
            say(said[-1])
            tried += line.startswith("try ")
            if tried == stop_after:
                run.send_signal(signal.SIGTERM)
                stop_after = None
        run.wait()
        out.seek(0)
        text = out.read()
    return said, json.loads(text) if text.strip() else {}


def report(
    first: list[str],
    second: list[str],
    document: dict[str, object],
    stopped_s: float,
    went_on_s: float,
) -> int:
    """What came of it, in lines; 1 where something is not as it should be."""
    tries = [line for line in (*first, *second) if line.startswith("try ")]
    # The one that was under way when the hunt was stopped is tried again, and no other.
    again = [name for name, times in Counter(tries).items() if times > 1]
    profiled = next((line for line in first if line.startswith("profile ")), "")
    paths = int((re.findall(r"(\d+) paths", profiled) or ["0"])[0])
    planted = fingerprint(_PLANTED.replace("%s", "$1")).id
    found = [
        one
        for one in document.get("confirmed", [])  # type: ignore[attr-defined]
        if one["breaks_x"] and planted in [template["id"] for template in one["templates"]]
    ]
    print(f"{profiled}; {document['trials']} trials, {len(tries)} begun, again: {again}")
    print(
        f"{document['elapsed_s']} s of hunting; {stopped_s:.0f} s until it was stopped, "
        f"{went_on_s:.0f} s from there on, the two servers' filling included; "
        f"{'complete' if document['complete'] else 'budget used up'}, {len(found)} findings of the plant"
    )
    for one in document["confirmed"]:  # type: ignore[attr-defined]
        names = ", ".join(template["id"] for template in one["templates"][:3])
        print(f"  {names}  {one['dial']}: safe {one['safe_x']}, breaks {one['breaks_x']}")
    right = paths >= 200 and len(again) <= 1 and bool(found)
    return 0 if right and float(str(document["elapsed_s"])) <= 1500 + _LATE_S else 1


def say(told: str) -> None:
    print(told, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
