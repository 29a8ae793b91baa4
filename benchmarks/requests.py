"""What `replay capture --http` costs, beside GoAccess: lines of access log per CPU second.

`python benchmarks/requests.py [--lines 1000000] [--rounds 3]` writes a day's access log of a service by
chance (forty routes, ids in paths and queries, a hundred thousand clients, some of it what scanners ask),
as nginx's combined and as JSON, and lets ours and the peer read it in turn, as whole processes, sampling,
scrub and start-up included. GoAccess, in C, makes its report (`-o out.json`) and keeps no request. Ratios are
taken within a round, and figures are medians of the rounds. CPU is user and system time of a process and its
children, RSS that of its largest process; absolute figures are the machine's.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import Process
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen

import numpy as np

REPLAY = (sys.executable, "-c", "from replay.cli import main; main()")
GOACCESS = (
    *("goaccess", "--no-global-config", "--no-progress", "-o", "out.json"),
    *("--date-format=%d/%b/%Y", "--time-format=%T"),
)
GOACCESS_JSON = '{"time":"%d:%t %^","client":"%h","request":"%r","status":"%s","bytes":"%b","agent":"%u","took":"%T"}'
AS_JSON = (
    '{"time": "%s", "client": "%s", "request": "%s", "status": "%s", "bytes": "%s", "agent": "%s", '
    '"took": "%.3f"}\n'
)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.12.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.32.3",
)
PATHS = (
    *(
        f"/api/v1/{name}/{{}}"
        for name in ["tasks", "users", "orders", "items", "carts", "teams", "notes", "files"]
    ),
    *(f"/api/v1/{name}?page={{}}" for name in ["tasks", "users", "orders", "items"]),
    *(f"/projects/{{}}/{name}" for name in ["tasks", "counters", "members", "settings"]),
    *(f"/static/{name}.{{}}.js" for name in ["app", "vendor"]),
    *("/", "/health", "/login", "/search?q=word{}", "/.env", "/wp-login.php"),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run of a process took."""

    lines: int
    cpu_s: float
    rss_mb: float

    @property
    def rate(self) -> float:
        """Lines per CPU second."""
        return self.lines / self.cpu_s


def lines(count: int) -> Iterator[tuple[str, str]]:
    """Each request as combined tells it, and as JSON does."""
    rng = np.random.default_rng(5)
    weights = 1.0 / np.arange(1, len(PATHS) + 1)
    which = rng.choice(len(PATHS), count, p=weights / weights.sum()).tolist()
    value = (rng.pareto(1.1, count) * 1000).astype(int).tolist()
    client = (rng.pareto(1.3, count) * 500).astype(int) % 100_000
    agents = rng.integers(0, len(AGENTS), count).tolist()
    codes = rng.choice([200, 201, 304, 404, 500], count, p=[0.85, 0.05, 0.05, 0.04, 0.01]).tolist()
    took = rng.exponential(0.03, count).tolist()
    step = timedelta(days=1) / count
    second, stamp = -1, ""
    for row in range(count):
        at = BEGIN + step * row
        if at.second != second:
            second, stamp = at.second, f"{at:%d/%b/%Y:%H:%M:%S}"
        path = PATHS[which[row]].format(value[row])
        request = f"{'POST' if codes[row] == 201 else 'GET'} {path} HTTP/1.1"
        address = f"10.{client[row] >> 16}.{client[row] >> 8 & 255}.{client[row] & 255}"
        agent, size = AGENTS[agents[row]], 300 + value[row] % 5000
        yield (
            f'{address} - - [{stamp} +0000] "{request}" {codes[row]} {size} "-" "{agent}"\n',
            AS_JSON % (f"{stamp} +0000", address, request, codes[row], size, agent, took[row]),
        )


def write(combined: Path, as_json: Path, count: int) -> None:
    """The same requests in both formats."""
    with combined.open("w") as one, as_json.open("w") as other:
        for line, document in lines(count):
            one.write(line)
            other.write(document)


def spend(command: list[str], count: int) -> Spent:
    """Run a command to its end in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as said:
        process = Popen(command, cwd=scratch, stdin=DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read()[-2000:].decode(errors='replace')}")
    return Spent(count, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(title: str, runs: dict[str, list[str]], count: int, rounds: int) -> None:
    """All rounds of one log; prints a line each for ours and the peer."""
    found: dict[str, list[Spent]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, command in runs.items():
            found[name].append(spend(command, count))
    for name, spent in found.items():
        ratio = median(
            ours.rate / theirs.rate for ours, theirs in zip(found["ours"], spent, strict=True)
        )
        print(
            f"{title:10} {name:9} {median(one.rate for one in spent):>12,.0f} lines/cpu-s "
            f"{median(one.cpu_s for one in spent):6.1f} CPU s {median(one.rss_mb for one in spent):6,.0f} MB"
            f"   ours/this {ratio:.2f}",
            flush=True,
        )


def main() -> None:
    """Write the logs, and let both read them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if shutil.which("goaccess") is None:
        raise SystemExit("goaccess is not installed; Debian has it: apt-get install goaccess")
    with tempfile.TemporaryDirectory() as directory:
        logs = {"combined": Path(directory, "combined.log"), "json": Path(directory, "json.log")}
        began = time.monotonic()
        writer = Process(target=write, args=(*logs.values(), asked.lines))
        writer.start()  # apart: what this process had in memory would count as a peer's
        writer.join()
        print(f"wrote the logs in {time.monotonic() - began:.0f} s", flush=True)
        for name, log in logs.items():
            capture = [*REPLAY, "capture", "--http", str(log), "-o", "out.workload"]
            told = "COMBINED" if name == "combined" else GOACCESS_JSON
            runs = {"ours": capture, "goaccess": [*GOACCESS, f"--log-format={told}", str(log)]}
            measure(name, runs, asked.lines, asked.rounds)


if __name__ == "__main__":
    main()
