"""One run of real servers, which log it in three formats at once: each gives the same workload."""

import gzip
import io
import lzma
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from made_client import Client, wait_for

from replay import embedded
from replay.capture import Filters, Options, capture
from replay.capture.source import ask
from replay.sql.fingerprint import fingerprint
from replay.workload import Template, Workload

SETTINGS = {
    "log_destination": "'csvlog,jsonlog,stderr'",
    "log_min_duration_statement": "0",
    "log_parameter_max_length_on_error": "-1",
    "compute_query_id": "on",
    "fsync": "off",
}
FULL = "%m [%p] %q%u@%d %c %l %Q "
DEFAULT = "%m [%p] "
BEST = ("json", "csv")
FORMATS = (*BEST, "log")
LAST = "SELECT 'the last one'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a server wrote of one run, by part and by format, and what its clients did."""

    dsn: str
    prefix: str
    parts: tuple[Mapping[str, bytes], ...]  # the server was told to rotate between them
    clients: Mapping[str, Client]
    middle: datetime  # no statement of the shop's clients ran then
    before: Mapping[str, Mapping[str, int]]  # calls until then, by client

    def whole(self, name: str) -> bytes:
        return b"".join(part[name] for part in self.parts)

    def calls(self, *names: str) -> dict[str, int]:
        return dict(sum((self.clients[name].calls for name in names), Counter()))


@pytest.fixture(scope="module", params=embedded.installations(), ids=lambda i: f"pg{i.version}")
def runs(request) -> Iterator[dict[str, Run]]:
    with embedded.server(SETTINGS, installation=request.param) as running:
        with psycopg.connect(running.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE other")
            connection.execute("CREATE ROLE alice LOGIN SUPERUSER")
            connection.execute("CREATE TABLE t (n int PRIMARY KEY, s text)")
        found = {prefix: made(running, prefix, str(n)) for n, prefix in enumerate((FULL, DEFAULT))}
        yield found


@pytest.fixture
def run(runs) -> Run:
    return runs[FULL]


def made(running: embedded.Server, prefix: str, name: str) -> Run:
    """Two parts of traffic; between them the log is rotated, while a transaction is open."""
    first, second = f"first{name}", f"second{name}"
    rotate(running, prefix, first)
    dsn = running.dsn()
    clients = {
        "api": Client(dsn),
        "batch": Client(dsn, application="batch"),
        "alice": Client(f"{dsn} user=alice"),
        "other": Client(running.dsn("other")),
    }
    for client in clients.values():
        drive(client)
    clients["api"].begin()
    clients["api"].run("INSERT INTO t VALUES (1000, 'before the\n\tlog is \"rotated\"')")
    before = {one: dict(client.calls) for one, client in clients.items()}
    middle = apart()
    rotate(running, prefix, second)
    clients["api"].run("DELETE FROM t WHERE n = 1000")
    clients["api"].end()
    for client in clients.values():
        drive(client)
    clients["api"].run(LAST)
    for client in clients.values():
        client.connection.close()
    files = [
        {end: running.log_directory / f"{part}.{end}" for end in FORMATS}
        for part in (first, second)
    ]
    wait_for(LAST, *files[1].values())
    parts = tuple({end: file.read_bytes() for end, file in part.items()} for part in files)
    return Run(dsn=dsn, prefix=prefix, parts=parts, clients=clients, middle=middle, before=before)


def drive(client: Client) -> None:
    for n in range(5):
        client.run(f"SELECT 1,\n\t'two; \"lines\"\n\n\tünd {n}'")
        client.run("SELECT %s::int", n, seen="SELECT $1::int", prepare=True)
        client.run("SELECT * FROM nowhere")
    client.run("CREATE TEMPORARY TABLE IF NOT EXISTS mine (n int PRIMARY KEY, s text)")
    client.run("DELETE FROM mine")
    client.begin()
    client.run(
        "INSERT INTO mine VALUES (%s, %s)",
        1,
        "a\nb\\\tc'd",
        seen="INSERT INTO mine VALUES ($1, $2)",
    )
    client.run("SAVEPOINT one")
    client.run(
        "INSERT INTO mine VALUES (%s, %s)", 1, 'again,\n"', seen="INSERT INTO mine VALUES ($1, $2)"
    )
    client.run("ROLLBACK TO one")
    client.calls[fingerprint("DEALLOCATE ALL").id] += 1  # psycopg's own, before what comes next
    client.end()
    client.copy_in("COPY mine FROM STDIN", b"2\tb\n3\tc\n")
    client.copy_in("COPY mine FROM STDIN", b"2\tb\n")
    assert client.copy_out("COPY (SELECT n FROM mine ORDER BY n) TO STDOUT") == b"1\n2\n3\n"


def apart() -> datetime:
    """A moment that a log in milliseconds tells from what was before and comes after."""
    time.sleep(0.005)
    found = datetime.now(UTC)
    time.sleep(0.005)
    return found


def rotate(running: embedded.Server, prefix: str, name: str) -> None:
    """Let the server write files of that name, by a session that nothing is logged of."""
    options = "-c log_min_duration_statement=-1"
    with psycopg.connect(running.dsn(), autocommit=True, options=options) as connection:
        connection.execute(f"ALTER SYSTEM SET log_line_prefix = '{prefix}'".encode())
        connection.execute(f"ALTER SYSTEM SET log_filename = '{name}.log'".encode())
        connection.execute("SELECT pg_reload_conf()")
    files = [running.log_directory / f"{name}.{end}" for end in FORMATS]
    deadline = time.monotonic() + 20
    while not all(file.is_file() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read(*paths: Path, dsn: str = "", **options) -> Workload:
    asked = ask(dsn) if dsn else None
    return capture(paths, asked=asked, key=b"key", options=Options(**options)).workload


def logged(workload: Workload) -> dict[str, Template]:
    return {t.id: t for t in workload.templates if t.source != "statements"}


def figures(workload: Workload, *, with_ids: bool = True) -> dict[str, tuple]:
    return {
        name: (t.sql, t.calls, t.errors, t.total_ms, t.kept, t.query_ids if with_ids else ())
        for name, t in logged(workload).items()
    }


def calls(workload: Workload) -> dict[str, int]:
    return {name: t.calls for name, t in logged(workload).items()}


def same(workload: Workload, other: Workload) -> bool:
    """Whether all but the names of the inputs is."""
    named = [
        replace(one, manifest=replace(one.manifest, inputs=(), format="", notes=()))
        for one in (workload, other)
    ]
    return named[0] == named[1]


@pytest.fixture
def expected(run, tmp_path) -> Workload:
    return read(put(tmp_path / "all.json", run.whole("json")))


def test_counts_are_the_clients_own(run, expected):
    assert calls(expected) == run.calls(*run.clients)
    errors = sum((client.errors for client in run.clients.values()), Counter())
    assert {name: t.errors for name, t in logged(expected).items() if t.errors} == dict(errors)
    assert expected.manifest.transactions == sum(len(c.units) for c in run.clients.values())
    assert expected.manifest.sessions == len(run.clients)
    assert expected.manifest.complete
    assert [skip.count for skip in expected.manifest.skipped] == []


def test_csvlog_and_jsonlog_give_one_workload(run, expected, tmp_path):
    from_csv = read(put(tmp_path / "all.csv", run.whole("csv")))
    assert (expected.manifest.format, from_csv.manifest.format) == ("jsonlog", "csvlog")
    assert same(from_csv, expected)


@pytest.mark.parametrize("known", ["found", "given", "asked"])
@pytest.mark.parametrize("prefix", [FULL, DEFAULT], ids=["full", "default"])
def test_stderr_gives_the_same_templates(runs, prefix, known, tmp_path):
    run = runs[prefix]
    expected = read(put(tmp_path / "all.json", run.whole("json")))
    file = put(tmp_path / "all.log", run.whole("log"))
    with psycopg.connect(run.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET log_line_prefix = '{prefix}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    told = {"log_line_prefix": prefix} if known == "given" else {}
    databases = Filters(databases=("postgres", "other")) if prefix == FULL else Filters()
    dsn = run.dsn if known == "asked" else ""
    workload = read(file, dsn=dsn, settings=told, filters=databases)
    assert workload.manifest.format.startswith("stderr")
    with_ids = prefix == FULL
    assert ("those of all databases are taken" in repr(workload.manifest.notes)) == (
        known == "asked" and prefix == DEFAULT
    )
    assert figures(workload, with_ids=with_ids) == figures(expected, with_ids=with_ids)
    assert workload.manifest.transactions == expected.manifest.transactions
    assert workload.manifest.sessions == expected.manifest.sessions


@pytest.mark.parametrize("end", FORMATS)
def test_rotated_files_are_joined(run, end, tmp_path):
    whole = read(put(tmp_path / f"whole.{end}", run.whole(end)))
    names = ("z", "a")  # their order is that of their time
    parts = [
        put(tmp_path / f"{name}.{end}", part[end])
        for name, part in zip(names, run.parts, strict=True)
    ]
    assert same(read(*reversed(parts)), whole)
    assert whole.manifest.complete


@pytest.mark.parametrize("end", FORMATS)
@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", lambda content: pa.compress(content, "zstd", asbytes=True)),
    ],
)
def test_packed_files_give_the_same(run, end, suffix, pack, tmp_path):
    whole = read(put(tmp_path / f"whole.{end}", run.whole(end)))
    parts = [
        put(tmp_path / f"{n}.{end}{suffix}", pack(part[end])) for n, part in enumerate(run.parts)
    ]
    assert same(read(*parts), whole)


@pytest.mark.parametrize("end", FORMATS)
def test_standard_input_directories_and_patterns_give_the_same(run, end, tmp_path, monkeypatch):
    directory = tmp_path / "log"
    directory.mkdir()
    for n, part in enumerate(run.parts):
        put(directory / f"{n}.{end}", part[end])
    whole = read(put(tmp_path / f"whole.{end}", run.whole(end)))
    assert same(read(directory), whole)
    assert same(read(directory / f"*.{end}"), whole)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(run.whole(end))))
    assert same(read(Path("-")), whole)


def test_of_a_servers_directory_the_best_format_is_read(run, expected, tmp_path):
    for n, part in enumerate(run.parts):
        for end, content in part.items():
            put(tmp_path / f"{n}.{end}", content)
    (tmp_path / "all.json").unlink()
    workload = read(tmp_path)
    assert same(workload, expected)
    assert any("would be counted twice" in note for note in workload.manifest.notes)


@pytest.mark.parametrize("end", FORMATS)
def test_files_cut_in_the_middle_of_a_record_lose_it_and_say_so(run, end, tmp_path):
    content = run.whole(end)
    cut = content.index(b"before the") + 5
    whole = read(put(tmp_path / f"whole.{end}", content))
    files = put(tmp_path / f"0.{end}", content[:cut]), put(tmp_path / f"1.{end}", content[cut:])
    parted = read(*files)
    insert = fingerprint("INSERT INTO t VALUES (1, '')").id
    lost = {name: n for name, n in calls(whole).items() if calls(parted).get(name) != n}
    assert lost in ({insert: 1}, {})
    assert not parted.manifest.complete
    assert any("breaks off" in note for note in parted.manifest.notes)
    if end != "log":
        assert sum(skip.count for skip in parted.manifest.skipped) >= 1


def test_filters_take_what_they_name(run, tmp_path):
    for end in FORMATS:
        file = put(tmp_path / f"all.{end}", run.whole(end))
        of_databases = read(file, filters=Filters(databases=("other",)))
        assert calls(of_databases) == run.calls("other")
        of_users = read(file, filters=Filters(users=("alice",)))
        assert calls(of_users) == run.calls("alice")
        assert calls(read(file, dsn=run.dsn)) == run.calls("api", "batch", "alice")
    for end in BEST:
        file = tmp_path / f"all.{end}"
        filters = Filters(applications=("batch", "people-api"), users=("postgres",))
        workload = read(file, filters=filters)
        assert calls(workload) == run.calls("api", "batch", "other")
        left_out = {skip.reason: skip.count for skip in workload.manifest.skipped}
        assert left_out["a line of another user"] >= sum(run.calls("alice").values())


@pytest.mark.parametrize("end", FORMATS)
def test_a_window_takes_units_that_began_in_it(run, end, tmp_path):
    file = put(tmp_path / f"all.{end}", run.whole(end))
    before = sum((Counter(c) for c in run.before.values()), Counter())
    # A transaction that was open belongs to where it began, whole.
    before.update(fingerprint(sql).id for sql in ("DELETE FROM t WHERE n = 1", "COMMIT"))
    assert calls(read(file, end=run.middle)) == dict(before)
    after = Counter(run.calls(*run.clients))
    after.subtract(before)
    assert calls(read(file, begin=run.middle)) == dict(+after)
