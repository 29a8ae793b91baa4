"""What `replay capture` costs, beside pgbadger and pgreplay: megabytes of log per CPU second.

`python benchmarks/capture.py [--sizes 100MB,1GB,10GB] [--formats csv,json,stderr] [--rounds 3] [--peers …]`
makes one run's logs with a private server (`capture_log.py`; or takes them from `--logs`), grows them
to each size (`capture_grow.py`), and runs ours and the peers in turn, as whole processes, sampling,
scrub and start-up included, but not what the first capture after an installation compiles. A peer's
rate does not depend on the size, so it reads the head of the log only. Ratios are taken within a round;
figures are medians of the rounds. CPU is user and system time of a process and its children, RSS that
of its largest process; absolute figures are the machine's. `--jobs 2` is wall clock against one job;
`at most` is what two captures at once, which share nothing, do in that time: as much as the machine
lets two processes do, at this moment. `spread` is how far the rounds of one job lie apart, largest less
smallest, of the median of their CPU time, although their work is the same: on a quiet machine a few per
cent, and beyond that the ratios of wall clocks mean little.
Needs 10 GB beside the logs, for the largest size.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from capture_log import PREFIX

HERE = Path(__file__).parent
REPLAY = (sys.executable, "-c", "from replay.cli import main; main()")
# Compiled modules are kept, as after any installation.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
UNITS = {"GB": 10**9, "MB": 10**6}


@dataclass(frozen=True, slots=True)
class Log:
    """A kind of log, and which peers read it how."""

    title: str
    base: str
    pgbadger: str = ""  # its name of the format
    pgreplay: bool = False
    rewrite: str = "as it is"  # of capture_grow.py


LOGS = {
    "csv": (
        Log("csvlog", "base.csv", "csv"),
        Log("csvlog, no query_id", "base.csv", "csv", rewrite="without query_id"),
        Log("csvlog, all statements", "all.csv", pgreplay=True, rewrite="unnamed"),
    ),
    "json": (Log("jsonlog", "base.json", "jsonlog"),),
    "stderr": (Log("stderr", "base.log", "stderr"),),
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run of a process took."""

    megabytes: float  # read
    cpu_s: float
    wall_s: float
    rss_mb: float

    @property
    def rate(self) -> float:
        """MB per CPU second."""
        return self.megabytes / self.cpu_s


@dataclass(frozen=True, slots=True)
class Peer:
    """Another reader of logs."""

    name: str
    reads: int  # bytes: ten to twenty seconds' work
    command: Callable[[Log, Path], list[str]]

    def knows(self, log: Log) -> bool:
        """Whether it is meant for this log."""
        return bool(getattr(log, self.name))


def pgbadger(log: Log, path: Path) -> list[str]:
    # To a file: as root it would replace /dev/null by one.
    prefix = ["-p", PREFIX] if log.pgbadger == "stderr" else []
    return ["pgbadger", "-q", "-j", "1", "-f", log.pgbadger, *prefix, "-o", "out.html", str(path)]


def pgreplay(_log: Log, path: Path) -> list[str]:
    return ["pgreplay", "-f", "-c", "-o", "out.replay", str(path)]


def capture(log: Log, path: Path, jobs: int) -> list[str]:
    prefix = ["--prefix", PREFIX] if log.pgbadger == "stderr" else []
    return [*REPLAY, "capture", str(path), "-o", "out.workload", "--jobs", str(jobs), *prefix]


PEERS = (
    Peer("pgbadger", 60 * UNITS["MB"], pgbadger),
    Peer("pgreplay", 500 * UNITS["MB"], pgreplay),
)


def spend(command: list[str], read: Path) -> Spent:
    """Run a command to its end in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=scratch,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read()[-2000:].decode(errors='replace')}")
    return Spent(
        read.stat().st_size / UNITS["MB"],
        usage.ru_utime + usage.ru_stime,
        wall_s,
        usage.ru_maxrss / 1024,
    )


def spend_at_once(command: list[str], read: Path) -> Spent:
    """Run it twice at once; the wall clock is that of one of them, as if they came in turn."""
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        one, other = pool.map(spend, [command] * 2, [read] * 2)
        wall_s = (time.monotonic() - began) / 2
    return Spent(one.megabytes, one.cpu_s + other.cpu_s, wall_s, max(one.rss_mb, other.rss_mb))


def grow(log: Log, base: Path, out: Path, size: int) -> Path:
    command = [sys.executable, str(HERE / "capture_grow.py"), str(base), str(out), str(size)]
    subprocess.run([*command, "--rewrite", log.rewrite], check=True)
    return out


@dataclass(frozen=True, slots=True)
class Bench:
    """What is asked for, and what is at hand."""

    logs: Path
    scratch: Path
    rounds: int
    peers: tuple[Peer, ...]

    def measure(self, log: Log, size: int) -> None:
        """All rounds of one log at one size; prints a line each for ours and the peers."""
        base = self.logs / log.base
        sizes = {"ours": size} | {p.name: p.reads for p in self.peers if p.knows(log)}
        grown = {
            name: grow(log, base, self.scratch / f"{name}{base.suffix}", n)
            for name, n in sizes.items()
        }
        runs = {"ours": capture(log, grown["ours"], 1)}
        runs["two jobs"] = capture(log, grown["ours"], 2)
        runs["at once"] = runs["ours"]
        runs |= {p.name: p.command(log, grown[p.name]) for p in self.peers if p.knows(log)}
        found: dict[str, list[Spent]] = {name: [] for name in runs}
        for number in range(self.rounds):
            # Every other round the other way about, so that nobody always has the warm machine.
            for name in list(runs)[:: -1 if number % 2 else 1]:
                run = spend_at_once if name == "at once" else spend
                found[name].append(run(runs[name], grown.get(name, grown["ours"])))
        for path in grown.values():
            path.unlink()
        self._print(log, size, found)

    def _print(self, log: Log, size: int, found: dict[str, list[Spent]]) -> None:
        ours = found["ours"]
        cells = [f"{log.title:24}{written(size):>8}", f"{median(s.rate for s in ours):10.1f}"]
        for peer in PEERS:
            theirs = found.get(peer.name)
            cells.append(f"{median(s.rate for s in theirs):10.2f}" if theirs else f"{'–':>10}")
            cells.append(f"{'–':>7}" if not theirs else f"{ratio(ours, theirs, 'rate'):6.1f}×")
        cells.append(f"{max(s.rss_mb for s in ours):8.0f}")
        cells += [f"{ratio(ours, found[two], 'wall_s'):8.2f}×" for two in ("two jobs", "at once")]
        cells.append(f"{100 * spread(ours):7.0f}%")
        print("".join(cells), flush=True)


def ratio(ours: list[Spent], theirs: list[Spent], field: str) -> float:
    """The median of the rounds' own ratios."""
    pairs = zip(ours, theirs, strict=True)
    return float(median(getattr(mine, field) / getattr(other, field) for mine, other in pairs))


def spread(runs: list[Spent]) -> float:
    """How far apart their CPU times lie, of their median."""
    times = [run.cpu_s for run in runs]
    return (max(times) - min(times)) / float(median(times))


def at_hand(wanted: Sequence[str]) -> tuple[Peer, ...]:
    """Those of the peers that are installed; names the others."""
    peers = [peer for peer in PEERS if peer.name in wanted]
    for peer in peers:
        if not shutil.which(peer.name):
            print(f"{peer.name} is not installed and not measured")
    return tuple(peer for peer in peers if shutil.which(peer.name))


def read(size: str) -> int:
    """10GB as bytes."""
    return int(float(size[:-2]) * UNITS[size[-2:].upper()])


def written(size: int) -> str:
    unit = "GB" if size >= UNITS["GB"] else "MB"
    return f"{size / UNITS[unit]:g} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100MB,1GB,10GB")
    parser.add_argument("--formats", default=",".join(LOGS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    parser.add_argument("--logs", type=Path, help="where capture_log.py has written, or shall")
    options = parser.parse_args()
    logs = [log for name in options.formats.split(",") for log in LOGS[name]]
    with tempfile.TemporaryDirectory() as scratch:
        where = options.logs or Path(scratch)
        if not all((where / log.base).is_file() for log in logs):
            subprocess.run([sys.executable, str(HERE / "capture_log.py"), str(where)], check=True)
        bench = Bench(where, Path(scratch), options.rounds, at_hand(options.peers.split(",")))
        spend(capture(logs[0], where / logs[0].base, 1), where / logs[0].base)
        print(f"{'MB per CPU s':24}{'size':>8}{'replay':>10}", end="")
        print("".join(f"{peer.name:>10}{'ratio':>7}" for peer in PEERS), end="")
        print(f"{'RSS MB':>8}{'--jobs 2':>9}{'at most':>9}{'spread':>8}")
        for log in logs:
            for size in options.sizes.split(","):
                bench.measure(log, read(size))


if __name__ == "__main__":
    main()
