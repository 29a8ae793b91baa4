"""A hunt's memory and verdicts: a stopped hunt does nothing twice, a result says safe and breaking."""

from dataclasses import replace

import pytest
from made_hunt import path

from replay import rundir
from replay.conduct.options import RunOptions
from replay.errors import InputError
from replay.finding import Culprit, Finding
from replay.hunt import amplifiers, probe, result
from replay.hunt.notebook import FINISHED, Notebook, Notes, Trial
from replay.hunt.probe import Prober, Subject, options_of
from replay.hunt.solo import Solo

NOTES = Notes(workload_id="w", target="t", seed=0, pool=20, cores=2.0, trial_s=5.0)
SOLO = Solo(transaction=3, statements_s=(0.1,), gaps_s=(0.0,), cpu_share=1.0, locks=(("row", "m"),))


def trial(factor, *, broke, rule=0, dial="rate", templates=("a",)):
    finding = Finding(
        rule=rule,
        name="n",
        summary="s",
        templates=tuple(Culprit(id=name, sql="", share=0.0) for name in templates),
    )
    return Trial(
        subject="a",
        dial=dial,
        factor=factor,
        broke=broke,
        why="why",
        run=f"trial-{factor:g}.run",
        findings=(finding,) if rule else (),
    )


def test_what_was_measured_is_known_after_a_stop(tmp_path):
    book = Notebook.open(tmp_path / "h.run", NOTES)
    book.add_solo(3, SOLO)
    book.add_solo(4, None)
    book.add_trial(trial(8.0, broke=True, rule=7))
    book.spent(12.5)
    again = Notebook.open(tmp_path / "h.run", NOTES)
    assert again.solo(3) == SOLO
    assert again.solo(4) is None
    assert again.trial("a", "rate", 8.0) == trial(8.0, broke=True, rule=7)
    assert again.trial("a", "rate", 4.0) is None
    assert again.trial("a", "idle time", 8.0) is None
    assert again.notes.elapsed_s == 12.5


@pytest.mark.parametrize(
    "changed",
    [
        {"workload_id": "x"},
        {"target": "x"},
        {"seed": 1},
        {"pool": 5},
        {"trial_s": 9.0},
        {"objective_ms": 50.0},
    ],
)
def test_another_hunt_begins_anew(tmp_path, changed):
    Notebook.open(tmp_path, NOTES).add_trial(trial(8.0, broke=True))
    assert Notebook.open(tmp_path, replace(NOTES, **changed)).notes.trials == ()


def test_a_finished_hunt_begins_anew(tmp_path):
    book = Notebook.open(tmp_path, NOTES)
    (tmp_path / "trial-000.run").mkdir()
    book.add_trial(trial(8.0, broke=True))
    book.spent(1.0, state=FINISHED)
    assert Notebook.open(tmp_path, NOTES).notes == NOTES
    assert not (tmp_path / "trial-000.run").exists()


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InputError, match="is no hunt"):
        Notebook.open(tmp_path, NOTES)
    (tmp_path / "hunt.json").write_text('{"kind": "hunt", "version": 1, "notes": {"seed": "x"}}')
    with pytest.raises(InputError, match="another directory"):
        Notebook.open(tmp_path, NOTES)


def test_a_known_trial_is_not_run_again(tmp_path):
    book = Notebook.open(tmp_path, NOTES)
    book.add_trial(trial(8.0, broke=False))
    prober = Prober(tmp_path / "no.workload", "host=/nowhere", book, RunOptions(), lambda _: None)
    assert prober.trial(Subject(key="a", paths=()), 8.0).broke is False


def test_safe_and_breaking_rates_come_out_of_the_trials():
    trials = [
        trial(4, broke=False),
        trial(8, broke=True),
        trial(5.66, broke=False),
        trial(16, broke=None),
    ]
    found = result.confirmed(("a",), "rate", trials, 5.0)
    assert (found.safe_x, found.breaks_x, found.predicted_x) == (5.66, 8, 5.0)
    assert (found.finding, found.run) == (None, "trial-8.run")


def test_the_finding_is_that_of_the_first_break_which_has_one_for_the_path():
    other = trial(8, broke=True, rule=19, templates=("b",))
    both = replace(other, findings=(*other.findings, *trial(8, broke=True, rule=7).findings))
    found = result.confirmed(("a",), "rate", [trial(4, broke=True), both], None)
    assert (found.breaks_x, found.finding.rule, found.run) == (4, 7, "trial-8.run")
    assert result.confirmed(("a",), "rate", [other], None).finding.rule == 19


def test_what_could_not_be_judged_is_not_called_unsafe():
    found = result.confirmed(("a",), "rate", [trial(8, broke=None)], 5.0)
    assert result.in_words(found).startswith("could not be judged here: ")
    held = result.confirmed(("a",), "rate", [trial(4, broke=False), trial(8, broke=None)], 5.0)
    assert result.in_words(held) == "safe to 4x, no break found"


def test_what_broke_comes_first_the_nearest_first():
    held = result.confirmed(("h",), "rate", [trial(64, broke=False)], None)
    far = result.confirmed(("f",), "rate", [trial(32, broke=True)], None)
    near = result.confirmed(("n",), "rate", [trial(2, broke=True)], None)
    assert result.in_order([held, far, near]) == (near, far, held)


BASE = RunOptions(duration_s=5.0, pool=20)
RARE = path("a" * 16, rate=0.2, peak=1.0)


def options(dial, factor):
    return options_of(Subject(key="a", paths=(RARE,), dial=dial), factor, BASE)


def test_a_rate_is_a_multiple_of_the_peak_and_other_dials_are_turned_at_the_peak():
    assert options(amplifiers.RATE, 8.0).boosts == {RARE.key: pytest.approx(40.0)}
    for dial in (amplifiers.IDLE, amplifiers.LISTS, amplifiers.PLANS):
        assert options(dial, 8.0).boosts == {RARE.key: pytest.approx(5.0)}
    assert options(amplifiers.IDLE, 8.0).amplify.pauses == 8.0
    assert options(amplifiers.LISTS, 8.0).amplify.lists == 8
    assert options(amplifiers.SESSIONS, 4.0).pool == 80


def test_so_many_on_one_tick_come_about_once_a_second():
    found = options(amplifiers.TOGETHER, 16.0)
    assert found.amplify.simultaneous == 16
    assert found.boosts == {RARE.key: pytest.approx(80.0)}


def test_the_baseline_is_the_mix():
    found = options_of(Subject(key="baseline", paths=()), 1.0, BASE)
    assert (found.scenario, dict(found.boosts)) == ("mix", {})
    found.check()


@pytest.mark.parametrize(
    ("outcomes", "rule", "broke", "runs"),
    [
        ([False], 0, False, 1),
        ([True], 7, True, 1),
        ([True, False], 0, False, 2),  # nobody knew why, and it did not come again
        ([True, True], 0, True, 2),
        ([None, False], 0, False, 2),  # not to be believed the first time
        ([None, None], 0, None, 2),
    ],
)
def test_what_nobody_can_explain_or_believe_has_a_second_chance(
    monkeypatch, tmp_path, outcomes, rule, broke, runs
):
    seeds = []
    findings = trial(1, broke=True, rule=rule).findings
    left = iter(outcomes)
    monkeypatch.setattr(probe, "run", lambda _w, _d, _out, options, say: seeds.append(options.seed))
    monkeypatch.setattr(probe, "judge", lambda *_: (next(left), "why"))
    monkeypatch.setattr(rundir, "read_findings", lambda _: findings)
    prober = Prober(tmp_path, "host=/nowhere", Notebook.open(tmp_path, NOTES), BASE, lambda _: None)
    assert prober.trial(Subject(key="a", paths=(RARE,)), 8.0).broke is broke
    assert seeds == [0, 1][:runs]
