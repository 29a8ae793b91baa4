"""A published incident, shortened, from its production to its fix through the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replay.gallery.read import find

REPLAY = str(Path(sys.executable).with_name("replay"))
SHORTER = {"seconds = 15": "seconds = 3", "duration_s = 8": "duration_s = 3"}


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("incidents") / "heroku"
    shutil.copytree(find("heroku").folder, folder)
    file = folder / "incident.toml"
    text = file.read_text()
    for long, brief in SHORTER.items():
        assert long in text
        text = text.replace(long, brief)
    file.write_text(text)
    return folder


def test_an_incident_is_found_named_and_ends_with_its_fix(short, tmp_path):
    done = subprocess.run(
        [REPLAY, "incident", str(short), "-o", str(tmp_path / "left"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["passed"]
    assert told["verdict"] == "named"
    assert told["findings"][0]["rule"] == 7
    assert told["runs"]["fixed"]["healthy"]
    assert not told["runs"]["broken"]["healthy"]
    assert told["false_alarms"] == []
    assert told["production"]["failed"] == 0
    assert (tmp_path / "left" / "broken.workload").is_dir()
