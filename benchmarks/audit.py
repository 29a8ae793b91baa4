"""What `replay audit` says of known schemas: gaps that are there, and schemas that have none.

`python benchmarks/audit.py [DATA] [--on copy|generated|statistics]`: pgbench's own schema and statements; Sakila and Chinook, where DATA
holds sakila.sql.xz and chinook.sql.xz; and every incident of the gallery, as it was and with its fix.
Each is filled, its statements run and captured from the log, and a copy of the database audited; or data
that was generated from the capture; or production's statistics alone, restored without a row. Exits with 1
where a planted gap is missed, or an index proposed where none is missing.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from fidelity_production import fill

from replay import embedded
from replay.capture import Options
from replay.conduct.audit import audit, audit_statistics
from replay.conduct.capturing import capture_workload
from replay.conduct.prepare import PRIVATE_SETTINGS, copy_staging, new_staging
from replay.conduct.production import run_script
from replay.gallery.draw import draw
from replay.gallery.incident import Incident
from replay.gallery.read import gallery
from replay.gap import Audit

Sent = tuple[str, dict[str, object]]  # SQL with %(name)s, and its values

_PGBENCH = (
    "UPDATE pgbench_accounts SET abalance = abalance + 7 WHERE aid = 7717",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 7717",
    "UPDATE pgbench_tellers SET tbalance = tbalance + 7 WHERE tid = 3",
    "UPDATE pgbench_branches SET bbalance = bbalance + 7 WHERE bid = 1",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, 7717, 7, now())",
)
_SAKILA = (
    "SELECT title FROM film WHERE film_id = 17",
    "SELECT f.title FROM film f JOIN film_actor a USING (film_id) WHERE a.actor_id = 5",
    "SELECT count(*) FROM rental WHERE customer_id = 42",
    "SELECT * FROM payment WHERE customer_id = 42 ORDER BY payment_date DESC LIMIT 5",
    "SELECT first_name FROM customer WHERE last_name = 'SMITH'",
    "UPDATE rental SET return_date = now() WHERE rental_id = 99",
    "SELECT inventory_id FROM inventory WHERE film_id = 3 AND store_id = 1",
)
_CHINOOK = (
    "SELECT name FROM track WHERE album_id = 5",
    "SELECT t.name FROM track t JOIN invoice_line l USING (track_id) WHERE l.invoice_id = 17",
    "SELECT sum(total) FROM invoice WHERE customer_id = 12",
    "SELECT name FROM artist ORDER BY name LIMIT 20",
    "UPDATE invoice SET total = total WHERE invoice_id = 3",
)
# Rules whose cause is an index that is not there.
_INDEX_RULES = frozenset({4, 5, 18, 19})


def main() -> int:
    """Audit all, a line for each; 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--on", choices=("copy", "generated", "statistics"), default="copy")
    asked = parser.parse_args()
    settings = {**PRIVATE_SETTINGS, "log_min_duration_statement": "0", "autovacuum": "off"}
    verdicts: list[tuple[str, bool]] = []

    def told(name: str, ready: Callable[[str], Sequence[Sent]], *, gaps: bool) -> None:
        if asked.only and name.partition(" ")[0] not in asked.only:
            return
        with embedded.server(settings) as server:
            began = time.monotonic()
            found, audit_s = audited(server, ready, asked.on)
        said = [gap.index.sql for gap in found.gaps if gap.index]
        said += [gap.index.sql for gap in found.key_gaps]
        right = bool(said) == gaps
        verdicts.append((name, right))
        print(
            f"{name:<28} {'right' if right else 'WRONG'}  {time.monotonic() - began:>5.1f} s, "
            f"{audit_s:.1f} s of it the audit  "
            f"{len(found.checked)} statements, {found.keys} foreign keys: {'; '.join(said) or 'quiet'}"
            + "".join(f"\n{'':<30}noted: {gap.template.sql[:90]}" for gap in found.noted),
            flush=True,
        )

    told("pgbench", _pgbench, gaps=False)
    for name, statements in (("sakila", _SAKILA), ("chinook", _CHINOOK)):
        if (asked.data / f"{name}.sql.xz").is_file():
            told(name, _dump(name, asked.data, statements), gaps=False)
    for incident in gallery():
        if not (incident.folder / "schema.sql").is_file() or incident.traffic.program:
            continue
        planted = incident.expects.rule in _INDEX_RULES
        told(f"{incident.name} as it was", _incident(incident, mended=False), gaps=planted)
        if (incident.folder / "fix.sql").is_file():
            told(f"{incident.name} mended", _incident(incident, mended=True), gaps=False)
    wrong = [name for name, right in verdicts if not right]
    print(f"on {asked.on}: {len(verdicts) - len(wrong)} of {len(verdicts)} right; wrong: {wrong}")
    return 1 if wrong else 0


def audited(
    server: embedded.Server, ready: Callable[[str], Sequence[Sent]], on: str
) -> tuple[Audit, float]:
    """Fill a database, run its statements, capture them, and audit: what it says, and seconds."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE production")
    dsn = server.dsn("production")
    sent = ready(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        for sql, values in list(sent) * 3:
            try:
                connection.execute(sql, values or None, prepare=bool(values))
            except psycopg.Error as error:
                print(f"  not run: {sql[:80]}: {str(error).splitlines()[0]}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="replay-audit-") as scratch:
        workload = Path(scratch) / "w.workload"
        capture_workload(
            [server.log_directory / "server.json"],
            workload,
            stats_dsn=dsn,
            options=Options(keep_values=on == "copy"),
        )
        if on == "generated":
            new_staging(server, "staging", workload, seed=0, say=lambda _: None)
        elif on == "copy":
            copy_staging(server, "staging", "production")
        began = time.monotonic()
        if on == "statistics":
            found = audit_statistics(workload, say=lambda _: None)
        else:
            staging = server.dsn("staging")
            found = audit(workload, staging, identity=on == "copy", say=lambda _: None)
        return found, time.monotonic() - began


def _pgbench(dsn: str) -> Sequence[Sent]:
    program = embedded.default_installation().program("pgbench")
    arguments = ["-i", "-q", "-s", "2", "--foreign-keys", dsn]
    subprocess.run([program, *arguments], check=True, capture_output=True)
    return [(sql, {}) for sql in _PGBENCH]


def _dump(name: str, data: Path, statements: Sequence[str]) -> Callable[[str], Sequence[Sent]]:
    def ready(dsn: str) -> Sequence[Sent]:
        fill(name, dsn, data)
        return [(sql, {}) for sql in statements]

    return ready


def _incident(incident: Incident, *, mended: bool) -> Callable[[str], Sequence[Sent]]:
    def ready(dsn: str) -> Sequence[Sent]:
        scripts = ["schema.sql", "fill.sql", "keys.sql", *(["fix.sql"] if mended else [])]
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name in scripts:
                run_script(connection, incident.script(name))
        rng = random.Random(1)
        traffic = (incident.fixed_traffic if mended else None) or incident.traffic
        return [
            (step.sql, draw(traffic.values, rng) if "%(" in step.sql else {})
            for request in traffic.requests
            for step in request.steps
        ]

    return ready


if __name__ == "__main__":
    sys.exit(main())
