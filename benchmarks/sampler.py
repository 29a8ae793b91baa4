"""What the sampler costs at 10 Hz with 100 clients, in % of a core: ours, and its server process's.

`python benchmarks/sampler.py`: a private server and pgbench, with 100 clients that read by key, 100
that queue for one row, 100 that hold 193 locks each and sit idle in transaction, and 100 of those of
whom half wait. Exits with 1 where a case costs more than its share of a core: while nobody waits for a
lock, none is looked at.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from replay import embedded, target
from replay.watch import Watch

_SECONDS = 30
_PARTITIONS = 191  # and the parent, and a row lock's table: 193 locks a session
_HOLD = "SELECT count(*) FROM parts WHERE id = 1;\nSELECT pg_sleep(0.5);\n"
_SHARES = {"100 clients queue for a row": 0.05, "100 hold 193 locks each, half wait": 0.05}
_SHARE = 0.01  # of a core, client and server together, where nobody waits
_SCRIPTS = {
    "100 clients read": "SELECT n FROM bench WHERE id = 1;",
    "100 clients queue for a row": (
        "BEGIN;\nUPDATE bench SET n = n + 1 WHERE id = 1;\nSELECT pg_sleep(0.02);\nCOMMIT;"
    ),
    "100 hold 193 locks each": "BEGIN;\n" + _HOLD + "COMMIT;",
    "100 hold 193 locks each, half wait": (
        "BEGIN;\nUPDATE bench SET n = n + 1 WHERE id = 1 + :client_id / 2;\n" + _HOLD + "COMMIT;"
    ),
}


def main() -> None:
    """Measure both cases and print a line for each."""
    settings = {"max_connections": "200", "max_locks_per_transaction": "256", "fsync": "off"}
    over = []
    with embedded.server(settings) as server:
        target.mark_staging(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE bench (id int PRIMARY KEY, n int)")
            connection.execute("INSERT INTO bench SELECT i, 0 FROM generate_series(1, 100) i")
            connection.execute("CREATE TABLE parts (id int, day int) PARTITION BY LIST (day)")
            for day in range(_PARTITIONS):
                connection.execute(
                    f"CREATE TABLE parts_{day} PARTITION OF parts FOR VALUES IN ({day})"
                )
        for name, script in _SCRIPTS.items():
            share, told = measure(server, script)
            print(f"{name}: {told}", flush=True)
            if share > _SHARES.get(name, _SHARE):
                over.append(name)
    if over:
        sys.exit(f"over its share of a core: {', '.join(over)}")


def measure(server: embedded.Server, script: str) -> tuple[float, str]:
    """Run one case; the share of a core, and what sampling it cost in words."""
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
            pid = watch._looker.connection.info.backend_pid  # noqa: SLF001 - the same
            began, client, backend = time.monotonic(), time.clock_gettime(clock), cpu_s(pid)
            time.sleep(_SECONDS)
            elapsed = time.monotonic() - began
            client, backend = time.clock_gettime(clock) - client, cpu_s(pid) - backend
            watched = watch.stop(0)
        load.wait()
    return (client + backend) / elapsed, (
        f"client {client / elapsed:.2%}, server {backend / elapsed:.2%} of a core; "
        f"{watched.samples.num_rows} sessions and {watched.blocking.num_rows} edges seen, "
        f"{watched.missed} samples missed"
    )


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; the kernel counts them in ns here, elsewhere in ticks."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9


if __name__ == "__main__":
    main()
