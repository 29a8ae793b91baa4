"""The installed `replay` command as a process of its own: measured, stopped, killed."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPLAY = str(Path(sys.executable).with_name("replay"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended, and what it took."""

    status: int  # exit code; below 0: the signal that ended it
    said: str  # on stderr
    rss_mb: float  # resident memory at most, of the process itself


class Command:
    """A running command; its stdout goes to nowhere."""

    def __init__(self, *arguments: object, said: Path) -> None:
        self._said = said
        with said.open("wb") as stream:
            self._process = subprocess.Popen(
                [REPLAY, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=stream
            )

    def stop(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def children(self) -> list[int]:
        """Process ids of its direct children that live."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def ended(self) -> Ended:
        """Wait for its end.

        Its memory is looked up while it runs: what the system tells afterwards of a process holds
        that of the one that started it, too.
        """
        rss_mb = 0.0
        while self._process.poll() is None:
            rss_mb = max(rss_mb, self._rss_mb())
            time.sleep(0.02)
        status = self._process.returncode
        return Ended(status=status, said=self._said.read_text(), rss_mb=rss_mb)

    def _rss_mb(self) -> float:
        """Resident memory at most, until now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        told = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(told[0]) / 1024 if told else 0.0


def until(holds, *, within_s: float = 30.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that has ended may still be a name in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
