"""What the sampler costs at 10 Hz with 100 clients, in % of a core: ours, and its server process's.

`python benchmarks/sampler.py`: a private server and pgbench, once with 100 clients that read by
key, once with 100 that queue for one row.
"""

import subprocess
import tempfile
import time
from os import sysconf
from pathlib import Path

import psycopg

from replay import embedded, target
from replay.watch import Watch

_SECONDS = 20
_SCRIPTS = {
    "100 clients read": "SELECT n FROM bench WHERE id = 1;",
    "100 clients queue for a row": (
        "BEGIN;\nUPDATE bench SET n = n + 1 WHERE id = 1;\nSELECT pg_sleep(0.02);\nCOMMIT;"
    ),
}


def main() -> None:
    """Measure both cases and print a line for each."""
    with embedded.server({"max_connections": "200", "fsync": "off"}) as server:
        target.mark_staging(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE bench (id int PRIMARY KEY, n int)")
            connection.execute("INSERT INTO bench VALUES (1, 0)")
        for name, script in _SCRIPTS.items():
            print(f"{name}: {measure(server, script)}")


def measure(server: embedded.Server, script: str) -> str:
    """Run one case and say what sampling it cost."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        arguments = f"-n -c 100 -j 1 -T {_SECONDS + 3} -h {server.home} -U postgres -f {file.name}"
        load = subprocess.Popen(
            [server.installation.program("pgbench"), *arguments.split(), "postgres"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(2)
        with Watch(server.dsn()) as watch:
            clock = time.pthread_getcpuclockid(watch._thread.ident)  # noqa: SLF001 - measured here
            pid = watch._connection.info.backend_pid  # noqa: SLF001 - the same
            began, client, backend = time.monotonic(), time.clock_gettime(clock), cpu_s(pid)
            time.sleep(_SECONDS)
            elapsed = time.monotonic() - began
            client, backend = time.clock_gettime(clock) - client, cpu_s(pid) - backend
            watched = watch.stop(0)
        load.wait()
    return (
        f"client {client / elapsed:.2%}, server {backend / elapsed:.2%} of a core; "
        f"{watched.samples.num_rows} sessions and {watched.blocking.num_rows} edges seen, "
        f"{watched.missed} samples missed"
    )


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
