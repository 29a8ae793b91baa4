"""Makes the logs that `capture.py` measures: one run of a real server, in every format.

`python benchmarks/capture_log.py DIRECTORY` writes base.csv, base.json and base.log (the same
records as csvlog, jsonlog and stderr, from `log_min_duration_statement = 0`), and all.csv and
all_duration.csv (`log_statement = all`, without and with `log_duration`). The traffic is drawn from
a seed; times, process ids and the order in which sessions meet are the server's.
"""

import argparse
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import capture_shop as shop
import psycopg

from replay import embedded

PREFIX = "%m [%p] %q%u@%d/%a %c %l %Q "
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "shared_buffers": "'256MB'",
    "log_line_prefix": f"'{PREFIX}'",
    "lc_messages": "'C'",
    "compute_query_id": "on",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_lock_waits": "on",
    "log_filename": "'run.log'",
    "log_checkpoints": "on",
    "deadlock_timeout": "'200ms'",
}
EVERY_FORMAT = {
    "log_destination": "'csvlog,jsonlog,stderr'",
    "log_min_duration_statement": "0",
}
EVERY_STATEMENT = {
    "log_destination": "'csvlog'",
    "log_statement": "'all'",
    "log_min_duration_statement": "-1",
}
# Not server.log, where the loading of the shop stands.
RUNS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    # settings; suffix of the server's file -> ours
    "base": (EVERY_FORMAT, {".csv": "base.csv", ".json": "base.json", ".log": "base.log"}),
    "all": (EVERY_STATEMENT, {".csv": "all.csv"}),
    "all_duration": (EVERY_STATEMENT | {"log_duration": "on"}, {".csv": "all_duration.csv"}),
}
# Who connects, and how it sends a statement.
ROLES = ("web",) * 6 + ("worker",) * 3 + ("legacy",) * 7
PREPARED = {"web": True, "worker": False}  # legacy: literals in the text
TURNS_OF_A_SESSION = 800  # mean, before it reconnects


class Client:
    """One of the application's workers: a connection at a time, statement after statement."""

    def __init__(self, server: embedded.Server, role: str, seed: str) -> None:
        self._dsn = f"{server.dsn('shop')} user={role} application_name={role}-{seed}"
        self._role = role
        self._rng = random.Random(seed)
        self._connection = self._connect()
        self._executions = 0

    def work(self, executions: int, rare: list[shop.Template]) -> int:
        """Run about so many statements, the rare ones spread among them."""
        templates = shop.templates(random.Random("templates"))
        pace = executions // (len(rare) + 1)
        weights = shop.weights(len(templates))
        while self._executions < executions:
            drawn = self._rng.choices(templates, weights, k=self._rng.choice((1, 2, 3, 4, 6, 9)))
            if rare and self._executions > executions - len(rare) * pace:
                drawn[0] = rare.pop()
            self._turn(drawn)
            if self._rng.random() < 1 / TURNS_OF_A_SESSION:
                self._connection.close()
                self._connection = self._connect()
        self._connection.close()
        return self._executions

    def _turn(self, drawn: list[shop.Template]) -> None:
        try:
            if self._rng.random() < 0.004:
                self._simply(self._rng.choice(shop.ODD))
            elif self._rng.random() < 0.8:
                self._run(drawn[0])
            else:
                self._transaction(drawn)
        except psycopg.Error:
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._simply("ROLLBACK")

    def _transaction(self, drawn: list[shop.Template]) -> None:
        self._simply("BEGIN")
        for number, template in enumerate(drawn):
            guarded = number and self._rng.random() < 0.05
            if guarded:
                self._simply(f"SAVEPOINT s{number}")
            self._run(template)
            if guarded:
                end = "ROLLBACK TO SAVEPOINT" if self._rng.random() < 0.3 else "RELEASE SAVEPOINT"
                self._simply(f"{end} s{number}")
        self._simply("COMMIT" if self._rng.random() < 0.97 else "ROLLBACK")

    def _run(self, template: shop.Template) -> None:
        sql, values = template.fill(self._rng)
        self._executions += 1
        if self._role in PREPARED:
            self._connection.execute(sql, values, prepare=PREPARED[self._role])
        else:
            psycopg.ClientCursor(self._connection).execute(sql, values)

    def _simply(self, sql: str) -> None:
        self._executions += 1
        self._connection.execute(sql, prepare=False)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._dsn, autocommit=True)


def make(directory: Path, name: str, executions: int, installation: embedded.Installation) -> None:
    """One run of a server, its logs moved into the directory when whole."""
    settings, files = RUNS[name]
    with embedded.server(SETTINGS, installation=installation) as server:
        prepare(server, settings)
        rare = shop.rare_runs(random.Random("rare"), shop.templates(random.Random("templates")))
        with ThreadPoolExecutor(len(ROLES)) as pool:
            counts = [
                pool.submit(
                    Client(server, role, f"{number}").work,
                    executions // len(ROLES),
                    rare[number :: len(ROLES)],
                )
                for number, role in enumerate(ROLES)
            ]
        print(f"{name}: {sum(count.result() for count in counts)} executions", flush=True)
        embedded.control(server, "stop", "-m", "fast", "-w")
        for suffix, ours in files.items():
            part = directory / f"{ours}.part"
            shutil.copyfile(server.log_directory / f"run{suffix}", part)
            part.replace(directory / ours)


def prepare(server: embedded.Server, settings: dict[str, str]) -> None:
    """The shop's database; only then the run's settings, so that its loading is not logged."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for role in dict.fromkeys(ROLES):
            connection.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
        connection.execute("CREATE DATABASE shop")
    with psycopg.connect(server.dsn("shop"), autocommit=True) as connection:
        for statement in shop.schema():
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")
    with (server.data / "postgresql.auto.conf").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name} = {value}\n" for name, value in settings.items())
    embedded.control(server, "restart", "-m", "fast", "-w")


def installation(version: int | None) -> embedded.Installation:
    """The server of this major version, or the one at hand."""
    if version is None:
        return embedded.default_installation()
    found = [one for one in embedded.installations() if one.version == version]
    if not found:
        raise SystemExit(f"no PostgreSQL {version} at hand")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--executions", type=int, default=180_000)
    parser.add_argument("--version", type=int, help="of PostgreSQL, 15 or later")
    parser.add_argument("--runs", default=",".join(RUNS))
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    for name in options.runs.split(","):
        make(options.directory, name, options.executions, installation(options.version))


if __name__ == "__main__":
    main()
