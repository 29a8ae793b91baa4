"""What the commands hand to the stages, and the exit code that they make of what comes back."""

import json
from pathlib import Path
from types import SimpleNamespace

import made_run
import pytest

import scenarios
from replay import bundle, rundir
from replay.cli import run as run_command
from replay.cli import status
from replay.conduct import bake


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return made_run.write_story(tmp_path_factory.mktemp("story"))


@pytest.fixture
def called(monkeypatch):
    """Replace a stage's function by one that keeps its arguments and returns `result`."""
    seen = SimpleNamespace(args=(), options={})

    def replace(name, result):
        def stage(*args, **options):
            seen.args, seen.options = args, options
            return result

        monkeypatch.setattr(name, stage)
        return seen

    monkeypatch.delenv("REPLAY_TARGET", raising=False)
    monkeypatch.delenv("REPLAY_SOURCE", raising=False)
    return replace


def test_the_scenarios_offered_are_those_that_there_are():
    folder = Path(scenarios.__file__).parent
    assert all((folder / f"{name}.py").is_file() for name in run_command.SCENARIOS)


def test_clients_of_a_service_are_more_than_its_pool(story, called, capsys):
    workload, runs = story
    seen = called("replay.conduct.run.run", rundir.read_manifest(runs[0]))
    plain = ["run", str(workload), "-o", str(runs[0]), "--target", "host=staging"]
    for options, pool in (([], 20), (["--service", "http://localhost:1"], 200)):
        assert status([*plain, *options]) == 0
        assert seen.args[3].connections == pool
    assert status([*plain[:4], "--service", "http://localhost:1"]) == 2
    assert "--service needs --target" in capsys.readouterr().err


def test_run_hands_its_options_on(story, called, capsys):
    workload, runs = story
    seen = called("replay.conduct.run.run", rundir.read_manifest(runs[0]))
    options = "--scenario storm --boost rare=50 --boost ca11=2.5 --rate 2 --pool 7 --duration 3"
    arguments = ["run", str(workload), "-o", str(runs[0]), *options.split(), "--seed", "9"]
    assert status([*arguments, "--target", "host=staging", "--json"]) == 0
    assert seen.args[:3] == (workload, "host=staging", runs[0])
    assert seen.args[3] == bake.RunOptions(
        scenario="storm",
        boosts={"rare": 50.0, "ca11": 2.5},
        rate=2.0,
        pool=7,
        duration_s=3.0,
        seed=9,
    )
    assert json.loads(capsys.readouterr().out)["findings"]


def test_defaults_of_the_command_line_are_those_of_the_conductor(story, called):
    workload, runs = story
    seen = called("replay.conduct.run.run", rundir.read_manifest(runs[1]))
    assert status(["run", str(workload), "-o", str(runs[1])]) == 0
    assert seen.args[:4] == (workload, None, runs[1], bake.RunOptions())


@pytest.mark.parametrize(("valid", "code"), [(True, 0), (False, 3)])
def test_a_broken_run_is_a_good_run_and_one_not_to_be_believed_is_not(
    story, called, capsys, valid, code
):
    workload, runs = story
    manifest = made_run.replace(rundir.read_manifest(runs[0]), valid=valid)
    assert not manifest.healthy
    called("replay.conduct.run.run", manifest)
    assert status(["run", str(workload), "-o", str(runs[0])]) == code
    assert "CREATE INDEX" in capsys.readouterr().out


def test_capture_scrubs_with_the_key_of_its_file(story, called, tmp_path, capsys):
    workload = bundle.read(story[0])
    seen = called(
        "replay.conduct.capturing.capture_workload",
        SimpleNamespace(workload=workload, profile=None, interrupted=False),
    )
    out = tmp_path / "shop.workload"
    bundle.write(out, workload, None)  # as the real one does
    arguments = ["capture", "a.json", "b.json", "-o", str(out), "--stats", "host=production"]
    assert status([*arguments, "--json"]) == 0
    assert seen.args == ((Path("a.json"), Path("b.json")), out)
    assert seen.options["stats_dsn"] == "host=production"
    assert seen.options["key"].hex() == (tmp_path / "shop.workload.key").read_text().strip()
    captured = capsys.readouterr()
    assert json.loads(captured.out)["version"] == 1
    assert seen.options["key"].hex() not in captured.out + captured.err


def test_generate_tells_what_it_loaded(story, called, capsys):
    tables = [SimpleNamespace(name="public.t", rows=12, seconds=0.1)]
    loaded = SimpleNamespace(
        tables=tables,
        left_out=("public.t: CREATE INDEX …: duplicates",),
        seconds=1.0,
        missing=0,
    )
    called("replay.conduct.prepare.expected_staging", ())
    seen = called("replay.conduct.prepare.generate_staging", loaded)
    arguments = ["generate", str(story[0]), "--target", "host=staging", "--scale", "0.5"]
    assert status([*arguments, "--json"]) == 0
    assert seen.args[:2] == (story[0], "host=staging")
    assert seen.args[2].scale == 0.5
    told = capsys.readouterr()
    assert json.loads(told.out)["rows"] == 12
    assert "left out    public.t: CREATE INDEX …: duplicates" in told.err


@pytest.mark.parametrize(("proven", "code"), [(True, 0), (False, 1), (None, 1)])
def test_the_demo_fails_where_nothing_was_proven(story, called, tmp_path, capsys, proven, code):
    workload, runs = story
    proof = None
    if proven is not None:
        proof = made_run.replace(rundir.read_proof(runs[0]), proven=proven)
    result = SimpleNamespace(
        directory=tmp_path,
        workload=workload,
        report=tmp_path / "report.html",
        runs=tuple(runs),
        broke_at=64.0,
        findings=(),
        proof=proof,
        seconds=90.0,
        servers=(),
        stop_commands=(),
    )
    called("replay.conduct.demo.run_demo", result)
    assert status(["demo", "-o", str(tmp_path), "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["run"] == runs[0].name
    assert document["captured"]["templates"]
    assert document["broke_at"] == 64.0


def test_the_report_of_a_hunt_points_to_its_trials(tmp_path, capsys):
    (tmp_path / "hunt.json").write_text("{}")
    assert status(["report", str(tmp_path)]) == 2
    assert "trial-000.run" in capsys.readouterr().err
