"""Whatever carries statements, the server's answers mean the same: straight, in pieces, through TLS."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from made_service import new_certificate

from replay import embedded

# Each statement in turn over one session; its outcome, rows, and whether a transaction is open.
PROGRAM = """
import json, sys
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import psycopg
from gevent.event import AsyncResult
from replay.load import direct
from replay.load.carrier import Heard
from replay.load.protocol import Usual, execute
from replay.load.session import Session, attach
from replay.load.shard import Call, Line

dsn, chunk = sys.argv[1:]
direct._CHUNK = int(chunk)
told = AsyncResult()
heard = Heard(
    answered=lambda _, code, rows: told.set((code.decode(), rows)),
    broken=lambda _: told.set(("broken", -1)),
    trap=told.set_exception,
)
usual, calls = Usual(), {}

def run(session, sql, values, named):
    global told
    if sql == "anew":
        session.carrier.prepare_anew(calls[values[0], True].name)
        return None
    call = calls.setdefault((sql, named), Call(
        template=0, text=sql.encode(), name=b"s%d" % len(calls) if named else b"",
        simple=values is None, number=len(calls)))
    bound = tuple(None if v is None else v.encode() for v in values or ())
    line = Line(0, execute(call.name, bound)) if named else Line(0, values=bound)
    told = AsyncResult()
    session.carrier.send(call, line)
    return (*told.get(timeout=20), session.in_transaction)

def fresh():
    session = Session(0, gevent.get_hub().loop, heard)
    attach(session, psycopg.connect(dsn, autocommit=True), usual)
    return session

session = fresh()
print(type(session.carrier).__name__)
for sql, values, named in json.loads(sys.stdin.read()):
    found = run(session, sql, values, named)
    print(json.dumps(found))
    if found and found[0] == "broken":
        connection = session.detach()
        connection.close()
        session = fresh()
connection = session.detach()
print(connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0])
"""

READ = "SELECT n FROM t WHERE id = $1"
TEXT = "SELECT repeat('x', $1::int)"
STEPS: list[tuple[str, list[str | None] | None, bool, object]] = [
    ("CREATE TEMP TABLE t (id int PRIMARY KEY, n int)", None, False, ["ok", -1, False]),
    ("INSERT INTO t SELECT g, g FROM generate_series(1, 9) g", None, False, ["ok", 9, False]),
    *[(READ, ["3"], True, ["ok", 1, False])] * 3,
    (READ, ["77"], True, ["ok", 0, False]),
    (READ, [None], True, ["ok", 0, False]),
    *[("SELECT * FROM t", None, False, ["ok", 9, False])] * 2,
    ("BEGIN", None, False, ["ok", -1, True]),
    *[("UPDATE t SET n = n + $1 WHERE id < $2", ["1", "4"], False, ["ok", 3, True])] * 2,
    ("INSERT INTO t VALUES (20, 1), (21, 1) RETURNING id", None, False, ["ok", 2, True]),
    ("SELECT 1 / (n - n) FROM t", None, False, ["22012", -1, True]),
    (READ, ["3"], True, ["25P02", -1, True]),
    ("ROLLBACK", None, False, ["ok", -1, False]),
    ("SHOW work_mem", None, False, ["ok", 1, False]),
    ("SET work_mem = '5MB'; SELECT 1; UPDATE t SET n = 0", None, False, ["ok", 10, False]),
    ("", None, False, ["ok", -1, False]),
    ("DO $$ BEGIN RAISE NOTICE 'hello'; END $$", None, False, ["ok", -1, False]),
    *[(TEXT, [size], True, ["ok", 1, False]) for size in ("10", "100000", "10")],
    ("SELECT * FROM missing", [], True, ["42P01", -1, False]),
    ("SELECT * FROM t WHERE n = 0", [], True, ["ok", 9, False]),
    ("ALTER TABLE t ADD m int", None, False, ["ok", -1, False]),
    ("SELECT * FROM t WHERE n = 0", [], True, ["0A000", -1, False]),
    ("anew", ["SELECT * FROM t WHERE n = 0"], False, None),
    *[("SELECT * FROM t WHERE n = 0", [], True, ["ok", 9, False])] * 2,
    ("COPY t TO STDOUT", None, False, ["broken", -1, False]),
    ("SELECT pg_terminate_backend(pg_backend_pid())", None, False, ["broken", -1, False]),
    ("SELECT $1::int", ["5"], True, ["ok", 1, False]),
]


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """DSNs of one server: by its Unix socket, and by TLS where it was built with that."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    settings = {"fsync": "off", "listen_addresses": "'127.0.0.1'", "port": str(port)}
    # The wheel's has no TLS.
    with embedded.server(settings, installation=embedded.installations()[-1]) as running:
        rest = f"port={port} user=postgres dbname=postgres"
        ways = {"unix": f"host={running.home} {rest}"}
        with psycopg.connect(ways["unix"], autocommit=True) as connection:
            try:
                connection.execute("ALTER SYSTEM SET ssl = on")
            except psycopg.errors.InvalidParameterValue:
                yield ways
                return
        if shutil.which("openssl"):
            made = tmp_path_factory.mktemp("tls")
            new_certificate(made)
            for name, kept in (("key.pem", "server.key"), ("cert.pem", "server.crt")):
                file = Path(shutil.copy(made / name, running.data / kept))
                file.chmod(0o600)
                if running.user is not None:
                    os.chown(file, *running.user)
            embedded.control(running, "reload")
            ways["tls"] = f"host=127.0.0.1 sslmode=require {rest}"
        yield ways


@pytest.mark.parametrize(
    ("way", "carrier", "chunk"),
    [("unix", "Direct", 1 << 14), ("unix", "Direct", 7), ("tls", "Libpq", 1 << 14)],
)
def test_answers_mean_the_same(
    encrypting: dict[str, str], way: str, carrier: str, chunk: int
) -> None:
    if way not in encrypting:
        pytest.skip("no server with TLS, or no openssl to make a certificate with")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, encrypting[way], str(chunk)],
        input=json.dumps([step[:3] for step in STEPS]),
        capture_output=True,
        check=True,
        text=True,
    )
    first, *told, prepared = done.stdout.splitlines()
    assert first == carrier
    for (sql, values, _, expected), found in zip(STEPS, told, strict=True):
        assert json.loads(found) == expected, (sql, values)
    assert prepared == "1"
