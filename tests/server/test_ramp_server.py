"""A ramp on a real server: it ends by itself, and the capacity is what the server has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from made_replay import statement, transaction, write

from replay import target
from replay.conduct.bake import RunOptions
from replay.conduct.run import run
from replay.report import as_json, html
from replay.report.summary import summarise

SLOW = "SELECT pg_sleep($1::float8)"


def test_a_ramp_stops_where_the_pool_is_the_limit(new_database: str, tmp_path: Path) -> None:
    target.mark_staging(new_database)
    # Of 30 a second on 2 connections, each taking 20 ms: no more than 100 a second can be served.
    sleeps = [transaction(statement(SLOW, "0.02"), start_us=n * 33_000) for n in range(30)]
    workload = write(tmp_path / "a.workload", sleeps)
    out = tmp_path / "a.run"
    options = RunOptions(
        scenario="ramp", identity=True, pool=2, duration_s=12, first=1, factor=2, step_s=2
    )
    told: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def progress(what: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.setdefault(what, []).append((done, total))

    manifest = run(workload, new_database, out, options, progress=progress)
    assert list(told) == ["planning"]
    assert [done for done, _ in told["planning"]] == list(
        range(0, len(told["planning"]) * 500, 500)
    )
    # 30 a second in six steps of two seconds, each twice the one before
    assert {total for _, total in told["planning"]} == {60 * (2**6 - 1)}
    assert manifest.state == "finished"
    books = manifest.accounting
    assert books is not None
    assert books.planned < 1500  # what came after the end was not planned
    found = summarise([out]).capacity
    assert found is not None
    assert (found.holds, found.breaks) == (2.0, 4.0)
    assert found.holds_per_s is not None
    assert 40 < found.holds_per_s < 85
    assert [step.holds for step in found.steps] == [True, True, False]
    assert found.steps[-1].slope_ms_s > 100 or found.steps[-1].not_ok_share > 0.05
    assert manifest.healthy  # as far as it held
    document = as_json.document(summarise([out]))
    assert document["capacity"]["breaks"] == 4.0
    assert "2 x production&#39;s rate holds" in html.render(summarise([out]))
