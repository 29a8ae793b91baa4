"""A hundred thousand templates: none is lost, whatever --jobs, and memory stays bounded."""

import random
from collections import Counter
from pathlib import Path

import pytest
from made_command import Command, Ended

from replay import bundle
from replay.sql.fingerprint import fingerprint
from replay.workload import Workload

RARE, FEWER, HEAVY = 100_000, 5_000, 10
CALLS = 5_000  # of each heavy one
K = 64
MEGABYTES = 512
SESSIONS = 50
FILES = ("templates.parquet", "transactions.parquet", "statements.parquet", "places.parquet")
LINE = (
    '2026-03-01 12:{:02}:{:02}.{:03} UTC,"alice","shop",{},"10.0.0.7:55000",{},{},"SELECT",'
    '2026-03-01 11:59:00 UTC,3/7,0,LOG,00000,"duration: 0.100 ms  statement: {}",,,,,,,,,"api",'
    '"client backend",,{}\n'
)


def rare(number: int) -> str:
    return f"UPDATE t_{number} SET a = 17 WHERE id = 4711"


def heavy(number: int) -> str:
    return f"SELECT a FROM hot_{number} WHERE id = 4711"


def calls(number: int) -> int:
    return 1 + number % 3


def written(path: Path, many: int) -> None:
    plan = [-1 - number for number in range(HEAVY) for _ in range(CALLS)]
    plan += [number for number in range(many) for _ in range(calls(number))]
    random.Random(1).shuffle(plan)
    with path.open("w", encoding="ascii") as stream:
        for place, number in enumerate(plan):
            seconds, ms = divmod(place * 3, 1000)
            minute, second = divmod(seconds, 60)
            pid = 4096 + place % SESSIONS
            stream.write(
                LINE.format(
                    *(minute, second, ms, pid, f"69a42bd4.{pid:x}", 1 + place // SESSIONS),
                    rare(number) if number >= 0 else heavy(-1 - number),
                    number + HEAVY + 1,
                )
            )


def captured(directory: Path, jobs: int) -> tuple[Path, Ended]:
    """A capture of the log with one key: the workload, and how the command ended."""
    out = directory / f"{jobs}.workload"
    (directory / "key").write_text("0" * 64 + "\n")
    options = ("-o", out, "--key-file", directory / "key", "--jobs", jobs)
    command = Command("capture", directory / "server.csv", *options, said=directory / "said")
    return out, command.ended()


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> tuple[Path, Ended]:
    """All templates, by one process."""
    directory = tmp_path_factory.mktemp("many")
    written(directory / "server.csv", RARE)
    return captured(directory, 1)


@pytest.fixture(scope="module")
def workload(capture) -> Workload:
    return bundle.read(capture[0])


def test_none_is_lost(workload):
    found = {t.id: t.calls for t in workload.templates}
    assert len(found) == RARE + HEAVY
    sample = range(0, RARE, 97)
    assert [found[fingerprint(rare(n)).id] for n in sample] == [calls(n) for n in sample]
    assert [found[fingerprint(heavy(n)).id] for n in range(HEAVY)] == [CALLS] * HEAVY
    executions = HEAVY * CALLS + sum(map(calls, range(RARE)))
    assert workload.manifest.executions == sum(found.values()) == executions


def test_each_keeps_as_many_as_it_has_or_k(workload):
    kept = Counter(s.template for t in workload.transactions for s in t.statements)
    assert all(kept[t.id] >= min(t.calls, K) for t in workload.templates)
    assert all(kept[t.id] == t.kept for t in workload.templates)


def test_weights_stand_for_all(workload):
    weights: Counter[str] = Counter()
    for transaction in workload.transactions:
        weights[transaction.statements[0].template] += transaction.weight
    assert all(weights[t.id] == pytest.approx(t.calls, rel=0.01) for t in workload.templates)


def test_how_many_processes_read_makes_no_difference(tmp_path):
    written(tmp_path / "server.csv", FEWER)
    one, *several = (captured(tmp_path, jobs)[0] for jobs in (1, 2, 3))
    for name in (*FILES, "manifest.json"):
        assert all((one / name).read_bytes() == (other / name).read_bytes() for other in several)


def test_memory_is_bounded(capture):
    _, ended = capture
    assert ended.status == 0
    assert ended.rss_mb < MEGABYTES
