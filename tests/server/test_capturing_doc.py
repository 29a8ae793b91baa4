"""docs/capturing.md: every line of SQL that it tells people to run is one that a server takes."""

import json
import re
from pathlib import Path

import psycopg

from replay import embedded

TEXT = (Path(__file__).parents[2] / "docs/capturing.md").read_text(encoding="utf-8")
SQL = [
    statement.strip()
    for block in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    for statement in re.sub(r"--.*", "", block).split(";")
    if statement.strip()
]


def test_the_settings_are_taken_and_log_what_capture_reads():
    assert any("log_transaction_sample_rate" in statement for statement in SQL)
    settings = {"shared_preload_libraries": "'pg_stat_statements'"}
    with embedded.server(settings) as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            for statement in SQL:
                connection.execute(statement.replace("'…'", "'secret'"))
            connection.execute("ALTER SYSTEM SET log_transaction_sample_rate = 1")
        embedded.control(running, "restart", "-w", "-l", str(running.home / "start.log"))
        with psycopg.connect(running.dsn(), user="replay_reader") as connection:
            connection.execute("SELECT 41 + 1 AS answer")
            connection.execute("SELECT * FROM pg_stats, pg_stat_statements LIMIT 1")
        lines = (running.log_directory / "server.json").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert any("duration:" in message and "41 + 1 AS answer" in message for message in messages)
