"""The run directory: only what a run wrote is ever replaced."""

from dataclasses import replace

import pytest
from made_run import write_story

from replay import rundir
from replay.capacity import Capacity
from replay.errors import InputError


def test_a_run_replaces_a_run_and_nothing_beside_it(tmp_path):
    _, (run, *_) = write_story(tmp_path)
    (run / "notes.json").write_text("{}")
    ramp = Capacity(steps=(), holds=None, holds_per_s=None, breaks=2.0)
    rundir.write_capacity(run, ramp)  # an earlier run's
    manifest = replace(rundir.read_manifest(run), state="running")
    rundir.create(run, manifest)
    # `reserve` is room for the last manifest, and parts of attempts come into their directory.
    left = {str(file.relative_to(run)) for file in run.rglob("*")}
    assert left == {"manifest.json", "notes.json", "reserve", "attempts"}
    assert rundir.read_manifest(run) == manifest


def test_what_is_no_run_is_left_alone(tmp_path):
    workload, (run, *_) = write_story(tmp_path)
    manifest = rundir.read_manifest(run)
    foreign = tmp_path / "web"
    foreign.mkdir()
    for name in ("manifest.json", "package.json", "data.parquet"):
        (foreign / name).write_text("{}")
    for path in (workload, foreign):
        before = {file.name: file.read_bytes() for file in path.iterdir()}
        with pytest.raises(InputError, match="exists and is no run"):
            rundir.create(path, manifest)
        assert {file.name: file.read_bytes() for file in path.iterdir()} == before
