"""docker-compose.yml: what it starts is what the command line and the documents speak of."""

import shlex
from pathlib import Path

import pytest
import yaml

from replay.cli import COMMANDS, command

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {option.envvar for one in map(command, COMMANDS) for option in one.params} - {None}


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_production_is_what_capturing_asks_for(services):
    command = services["production"]["command"]
    settings = dict(word.split("=", 1) for word in command if "=" in word)
    assert settings["log_destination"] == "jsonlog"
    assert settings["log_min_duration_statement"] == "0"
    assert settings["shared_preload_libraries"] == "pg_stat_statements"
    assert services["production"]["image"] == services["staging"]["image"] == "postgres:18"


@pytest.mark.parametrize("name", ["replay", "master", "worker"])
def test_dsns_come_by_the_names_that_the_command_line_reads(services, name):
    given = services[name]["environment"]
    assert set(given) == ENVIRONMENT == {"REPLAY_SOURCE", "REPLAY_TARGET"}
    assert "@production/" in given["REPLAY_SOURCE"]
    assert "@staging/" in given["REPLAY_TARGET"]


@pytest.mark.parametrize(("name", "role"), [("master", "--master"), ("worker", "--worker")])
def test_locust_runs_the_scenario_that_the_image_holds(services, name, role):
    program, flag, scenario = services[name]["entrypoint"]
    assert (program, flag) == ("locust", "-f")
    assert role in services[name]["command"]
    inside = scenario.removeprefix("/opt/staging-replay/")
    assert (ROOT / inside).is_file()
    assert f"COPY {inside.split('/')[0]} " in (ROOT / "Dockerfile").read_text()


def test_volumes_that_are_mounted_are_declared(services):
    declared = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    mounted = {
        volume.split(":")[0] for one in services.values() for volume in one.get("volumes", ())
    }
    assert mounted == set(declared)


def test_the_commands_in_the_head_comment_exist():
    lines = (ROOT / "docker-compose.yml").read_text().splitlines()
    used = [shlex.split(line.split(" replay ", 1)[1])[0] for line in lines if "--rm replay" in line]
    assert len(used) >= 4
    assert set(used) <= set(COMMANDS)
