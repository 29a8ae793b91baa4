"""How close a run was to production: figures over hand-made attempts."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from made_run import BEGIN
from made_run import workload as made_workload

from replay import rundir, runtables
from replay.report.attempts import Attempts
from replay.report.fidelity import Fidelity, fidelity
from replay.report.wording import fidelity_facts
from replay.rundir import RunManifest
from replay.workload import Statement, Template, Transaction, Workload

A, B, C = (letter * 16 for letter in "abc")
WINDOW_S = 100.0


def template(name: str, calls: int, **fields: object) -> Template:
    defaults: dict[str, object] = {
        "sql": f"select {name[:1]}",
        "kind": "select",
        "tables": (),
        "errors": 0,
        "total_ms": calls * 10.0,
        **fields,
    }
    return Template(id=name, calls=calls, **defaults)  # type: ignore[arg-type]


def transaction(weight: float, *names: str) -> Transaction:
    return Transaction(
        id=0,
        session="",
        start_us=0,
        weight=weight,
        shape="",
        statements=tuple(
            Statement(
                template=name,
                sql="",
                slots="",
                values=(),
                prepared=None,
                offset_us=0,
                duration_us=0,
            )
            for name in names
        ),
    )


def workload(*templates: Template, kept: tuple[Transaction, ...] = ()) -> Workload:
    made = made_workload()
    begin = made.manifest.begin
    return replace(
        made,
        manifest=replace(
            made.manifest, end=begin + timedelta(seconds=WINDOW_S), peak_concurrency=7
        ),
        templates=templates,
        transactions=kept,
    )


def compared(
    directory: Path, source: Workload, *done: tuple[str, ...], outcome: str = "ok", **fields: object
) -> Fidelity:
    """Over ten seconds: transactions of these templates, 20 ms a statement, one after the other."""
    rows = [
        (number, ordinal, name)
        for number, names in enumerate(done)
        for ordinal, name in enumerate(names)
    ]
    table = pa.Table.from_pylist(
        [
            {
                "arrival": number,
                "ordinal": ordinal,
                "template": name,
                "session": 0,
                "worker": 0,
                "pid": 1,
                "due_us": 0,
                "began_us": at * 20_000,
                "ended_us": at * 20_000 + 20_000,
                "lag_us": 0,
                "outcome": outcome,
                "rows": 1,
            }
            for at, (number, ordinal, name) in enumerate(rows)
        ],
        schema=runtables.ATTEMPTS,
    )
    rundir.write_table(directory, "attempts", table)
    whole: dict[str, object] = {"options": {}, "scenario": "mix", **fields}
    manifest = RunManifest(
        tool_version="",
        workload="",
        workload_id="",
        seed=0,
        origin=BEGIN,
        duration_s=10.0,
        workers=1,
        pool=1,
        **whole,  # type: ignore[arg-type]
    )
    found = fidelity(source, Attempts(directory), manifest)
    assert found is not None
    return found


def test_a_faithful_run_has_all_in_common(tmp_path):
    source = workload(
        template(A, 300), template(B, 100), kept=(transaction(100, A, B), transaction(200, A))
    )
    done = [(A, B), (A,), (A,)] * 10
    found = compared(tmp_path, source, *done)
    assert (found.expected_per_s, found.replayed_per_s) == (4, 4)
    assert (found.mix_overlap, found.shape_overlap) == (1, 1)
    assert found.production_concurrency == pytest.approx(0.04)
    assert found.replayed_concurrency == pytest.approx(0.08)
    assert (found.production_peak, found.replayed_peak) == (
        7,
        2,
    )  # an end and a begin fall together


def test_what_is_missing_shows_in_mix_shapes_and_rates(tmp_path):
    source = workload(
        template(A, 300), template(B, 300), kept=(transaction(300, A, B), transaction(0.001, C))
    )
    found = compared(tmp_path, source, *[(A,)] * 30)
    assert found.mix_overlap == 0.5
    assert found.shape_overlap == 0
    assert (found.furthest[0].id, found.furthest[0].replayed_per_s) == (B, 0)
    # The same statements in another order are another shape.
    assert compared(tmp_path, source, *[(B, A)] * 30).shape_overlap == 0
    assert compared(tmp_path, source, *[(B, A)] * 30).mix_overlap == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"options": {"rate": 2.0}}, 6.0),
        ({"options": {"speed": 0.5}, "scenario": "as_recorded"}, 1.5),
        ({"options": {"boosts": {"b": 5.0}}, "boosted": (B,), "scenario": "storm"}, 7.0),
        (
            {
                "options": {"boosts": {"rare": 5.0}, "burst_s": 5.0, "every_s": 10.0},
                "boosted": (B,),
                "scenario": "storm",
            },
            5.0,
        ),
    ],
)
def test_rate_speed_and_boosts_are_reckoned_in(tmp_path, fields, expected):
    source = workload(
        template(A, 200), template(B, 100), kept=(transaction(200, A), transaction(100, B))
    )
    assert compared(tmp_path, source, (A,), **fields).expected_per_s == pytest.approx(expected)


def test_of_requests_those_that_were_sent_are_compared(tmp_path):
    """A was sent; what ran in the stead of B is no request, and C was left out."""
    source = workload(
        template(A, 1000, error_states=(("H0404", 5),)),
        template(B, 1000, error_states=(("H0500", 900),)),
        template(C, 1000),
    )
    ran = "d" * 16
    sent = [(A,)] * 10 + [(ran, ran)] * 30
    found = compared(tmp_path, source, *sent, outcome="http 404", options={"service": "http://x"})
    assert (found.expected_per_s, found.replayed_per_s) == (10, 1)
    assert found.production_concurrency == pytest.approx(0.1)
    assert found.replayed_concurrency == pytest.approx(0.02)
    untimed = dict(fidelity_facts(replace(found, production_peak=0)))["requests in flight"]
    assert untimed == "0.02, at most 2 (production not told by its log)"
    assert found.production_errors == {"http 404": 5.0}
    assert found.replayed_errors == {"http 404": 1000.0}


def test_no_rate_was_asked_for_where_sessions_keep_their_own_time(tmp_path):
    kept = {"options": {"speed": 2.0, "think": "keep"}, "scenario": "as_recorded"}
    found = compared(tmp_path, workload(template(A, 200)), (A,), **kept)
    assert (found.expected_per_s, found.furthest) == (None, ())


def test_errors_stand_beside_production_s(tmp_path):
    source = workload(template(A, 1000, error_states=(("23505", 5),)))
    found = compared(tmp_path, source, *[(A,)] * 10, outcome="retried:40P01")
    assert found.production_errors == {"23505": 5.0}
    assert found.replayed_errors == {"40P01": 1000.0}
    facts = dict(fidelity_facts(found))
    assert facts["23505 in a thousand"] == "0 (production 5)"
    assert facts["40P01 in a thousand"] == "1000 (production 0)"
