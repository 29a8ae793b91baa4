"""The least that CPython does for a statement: send what is ready, read the answer, count it.

No schedule, no records, no event loop but epoll: what is above this is the engine's, what is below
is pgbench's being C. Settings come by the environment: PEER_DSN, PEER_SQL, PEER_USERS (connections),
PEER_SECONDS, PEER_WAY (`socket`: the protocol's bytes; `libpq`: through psycopg's PGconn) and
PEER_OUT, where CPU and statements are written.
"""

import json
import os
import random
import select
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from replay.load.protocol import execute

SECONDS = float(os.environ["PEER_SECONDS"])
KEYS = [str(random.randint(1, 100_000)).encode() for _ in range(100_000)]
NAME = b"by_id"
READY = b"Z\0\0\0\x05I"
CHUNK = 1 << 14


def by_socket(connection: psycopg.Connection) -> tuple[Callable[[], None], Callable[[], bool]]:
    fd = connection.pgconn.socket
    messages = iter([execute(NAME, (key,)) for key in KEYS] * 100)

    def send() -> None:
        os.write(fd, next(messages))

    def answered() -> bool:
        return os.read(fd, CHUNK)[-6:] == READY

    return send, answered


def by_libpq(connection: psycopg.Connection) -> tuple[Callable[[], None], Callable[[], bool]]:
    pgconn = connection.pgconn
    pgconn.nonblocking = 1
    keys = iter(KEYS * 100)

    def send() -> None:
        pgconn.send_query_prepared(NAME, (next(keys),))
        pgconn.flush()

    def answered() -> bool:
        pgconn.consume_input()
        while not pgconn.is_busy():
            if pgconn.get_result() is None:
                return True
        return False

    return send, answered


def main() -> None:
    way = {"socket": by_socket, "libpq": by_libpq}[os.environ["PEER_WAY"]]
    waiting = select.epoll()
    carried = {}
    for _ in range(int(os.environ["PEER_USERS"])):
        connection = psycopg.connect(os.environ["PEER_DSN"], autocommit=True)
        connection.pgconn.prepare(NAME, os.environ["PEER_SQL"].encode())
        waiting.register(connection.pgconn.socket, select.EPOLLIN)
        carried[connection.pgconn.socket] = (connection, *way(connection))
    for _, send, _ in carried.values():
        send()
    statements = 0
    cpu_s, began = time.process_time(), time.monotonic()
    end = began + SECONDS
    while time.monotonic() < end:
        for fd, _ in waiting.poll():
            _, send, answered = carried[fd]
            if answered():
                statements += 1
                send()
    found = {
        "statements": statements,
        "cpu_s": time.process_time() - cpu_s,
        "since": began,
        "until": time.monotonic(),
        "late_us": [],
    }
    Path(os.environ["PEER_OUT"]).write_text(json.dumps(found))


main()
