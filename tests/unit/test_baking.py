"""Options of a scenario under Locust's own command: those of `replay run`, refused as those are."""

import argparse
from dataclasses import replace

import pytest
from made_run import workload

from replay import bundle
from replay.errors import InputError
from replay.load import options
from scenarios.baking import Baking


@pytest.mark.parametrize(
    ("scenario", "given", "said"),
    [
        ("as_recorded", "--pool 20", "a connection of its own"),
        ("as_recorded", "--pool-timeout-ms 100", "a connection of its own"),
        ("as_recorded", "--rate 2", "a recording has --speed"),
        ("mix", "--speed 2", "go with --scenario as_recorded"),
        ("mix", "--pool 0 --speed 2", "go with --scenario as_recorded"),  # the form's; none
        ("ramp", "--rate 2", "--from and --factor"),
        ("mix", "--service http://localhost:1", "go with scenarios/http.py"),
        ("", "", "no service"),
        ("", "--service http://localhost:1 --scenario as_recorded --pool 5", "of its own"),
    ],
)
def test_what_does_not_go_with_a_scenario_is_refused(tmp_path, scenario, given, said):
    made = workload()
    made = replace(made, manifest=replace(made.manifest, everything=True))
    bundle.write(tmp_path / "a.workload", made, None)
    parser = argparse.ArgumentParser()
    options.add_to(parser)
    parser.set_defaults(tags=None, exclude_tags=None)
    given = f"--workload {tmp_path / 'a.workload'} --target host=/nowhere {given}"
    parsed = options.settled(parser.parse_args(given.split()))
    with pytest.raises(InputError, match=said):
        Baking(scenario)(parsed, tmp_path / "shards", 0, 1)


def test_a_start_leaves_locusts_own_options_as_its_form_knows_them():
    parsed = argparse.Namespace(duration="3", pool="", rate=2.0)
    found = options.settled(parsed)
    assert (found.duration, found.pool, found.rate) == (3.0, None, 2.0)
    found.duration, found.pool = 120.0, 20  # of the scenario
    assert vars(parsed) == {"duration": "3", "pool": "", "rate": 2.0}
