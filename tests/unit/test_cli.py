"""The frame of the command line: help, exit codes, one line an error, what goes to which stream."""

import ast
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import click
import made_run
import pytest

from replay.cli import COMMANDS, command, faults, keys, output, reference, status
from replay.cli.options import CONTEXT
from replay.errors import (
    EnvironmentFaultError,
    GateFailedError,
    InputError,
    NotValidError,
    RefusedError,
)

ROOT = Path(__file__).parents[2]
HEAVY = ("psycopg", "pyarrow", "numpy", "rich", "jinja2", "locust", "faker", "pgparse", "sqlparse")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return made_run.write_story(tmp_path_factory.mktemp("story"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_ends_with_an_example(name):
    one = command(name)
    assert one.name == name
    assert one.help
    assert one.short_help
    lines = one.get_help(click.Context(one, info_name=name, **CONTEXT)).splitlines()
    examples = lines[lines.index("  Example:") + 1 :]
    assert examples
    assert all(line.startswith(f"    replay {name}") for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name):
    for option in command(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name


def test_every_command_module_is_registered():
    modules = {path.stem for path in (ROOT / "replay/cli").glob("*.py")}
    frame = {"__init__", "faults", "keys", "options", "output"}
    frame |= {"reference", "requests", "selection", "service", "terminal"}
    assert {name.replace("_", "-") for name in modules - frame} == set(COMMANDS)


def test_a_command_is_given_without_the_others():
    script = (
        "import sys; from replay.cli import status; code = status(['capture', '--help']);"
        "print([n for n in sys.modules if n.startswith('replay.cli.')], file=sys.stderr);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {name.removeprefix("replay.cli.") for name in ast.literal_eval(done.stderr)}
    assert loaded & {name.replace("-", "_") for name in COMMANDS} == {"capture"}


def test_the_reference_is_what_help_says():
    written = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert written == reference.document(), f"renew it: {reference.RENEW}"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_no_stage(arguments):
    script = (
        "import sys; from replay.cli import status; code = status(sys.argv[2:]);"
        "print([name for name in sys.argv[1].split() if name in sys.modules], file=sys.stderr);"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", script, " ".join(HEAVY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "replay" in done.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateFailedError("two\nlines"), 1),
        (InputError("x.json:3: no"), 2),
        (click.UsageError("no such thing"), 2),
        (NotValidError("late"), 3),
        (RefusedError("not staging"), 4),
        (EnvironmentFaultError("down"), 5),
        (OSError(errno.ENOSPC, "No space left on device", "a.run"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "b.html"), 5),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error, code, capsys):
    assert faults.tell(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("replay: error: ")
    assert err.count("\n") == 1


def test_a_full_disk_is_said_to_be_one(capsys):
    faults.tell(OSError(errno.ENOSPC, "No space left on device", "a.run"))
    assert "a.run: the disk is full" in capsys.readouterr().err


def test_a_fault_of_the_program_is_not_a_failing_gate(capsys):
    assert faults.tell(ZeroDivisionError("division by zero")) == 70
    assert "Traceback" not in (capsys.readouterr().out)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupted(error, capsys):
    assert faults.tell(error) == 130
    assert capsys.readouterr().err == "replay: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unwinds_what_was_begun(number):
    script = (
        "import time; from replay import cli\n"
        "@cli.group.command()\n"
        "def wait():\n"
        "    try:\n"
        "        print('up', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        print('down', flush=True)\n"
        "cli.main(['wait'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "up\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    assert (out, err.strip(), child.returncode) == ("down\n", "replay: interrupted", 130)


def test_a_closed_pipe_is_quiet(story):
    _, runs = story
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", "from replay.cli import main; main()", "report", str(runs[0])],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_report_onto_a_full_disk(story, capsys):
    _, runs = story
    assert status(["report", str(runs[0]), "--html", "/dev/full"]) == 5
    assert "/dev/full: the disk is full" in capsys.readouterr().err


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "a.html"
    output.write_whole(file, "old")

    def half(self, text, encoding):
        self.write_bytes(text.encode(encoding)[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match=r"a\.html"):
        output.write_whole(file, "newer")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("a.html", "old")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "{workload}"],
        ["inspect", "{workload}", "--rare"],
        ["inspect", "{workload}", "--template", "ca11"],
        ["inspect", "{workload}", "--scrubbed"],
        ["report", "{run}"],
        ["report", "{run}", "{run}"],
    ],
)
def test_json_is_one_document_with_a_version(story, arguments, capsys):
    workload, runs = story
    filled = [word.format(workload=workload, run=runs[0]) for word in arguments]
    assert status([*filled, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "{workload}", "--template", "ffff"], "no such template"),
        (["inspect", "{workload}", "--template", "5e"], "3 templates begin so"),
        (["inspect", "{workload}", "--rare", "--scrubbed"], "exclude one another"),
        (["inspect", "{run}"], "is not a workload;"),
        (["report", "{workload}"], "is not a run"),
        (["report", "{run}", "--json", "--html", "-"], "both print on stdout"),
        (["run", "{workload}", "-o", "x.run", "--boost", "rare"], "TEMPLATE=FACTOR"),
        (["run", "{workload}", "-o", "x.run", "--boost", "rare=0"], "TEMPLATE=FACTOR"),
        (["run", "{workload}", "-o", "x.run", "--boost", "=3"], "TEMPLATE=FACTOR"),
        (["run", "{workload}", "-o", "x.run", "--scenario", "gale"], "'gale' is not one of"),
        (["run", "{workload}"], "Missing option '-o'"),
        (["run", "{workload}", "-o", "x.run", "--bind", "identity"], "--target"),
        (["hurry"], "No such command"),
    ],
)
def test_wrong_usage_is_told_and_is_code_2(story, arguments, said, capsys, monkeypatch):
    monkeypatch.delenv("REPLAY_TARGET", raising=False)
    workload, runs = story
    assert status([word.format(workload=workload, run=runs[0]) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_no_command_at_all_shows_the_help(capsys):
    assert status([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    workload = tmp_path / "new" / "shop.workload"
    key, path = keys.read_or_draw(None, workload)
    assert not path.exists(), "a capture that fails leaves no key"
    keys.keep(key, path)
    assert path == tmp_path / "new" / "shop.workload.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.read_or_draw(None, workload) == (key, path)
    assert keys.read_or_draw(path, tmp_path / "other.workload") == (key, path)


def test_the_key_is_never_inside_the_workload(tmp_path):
    workload = tmp_path / "shop.workload"
    with pytest.raises(InputError, match="inside the workload"):
        keys.read_or_draw(workload / "my.key", workload)


@pytest.mark.parametrize("content", [b"", b"secret", b"ab" * 31, b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_not_taken_for_one(tmp_path, content):
    file = tmp_path / "my.key"
    file.write_bytes(content)
    with pytest.raises(InputError, match="holds no scrub key"):
        keys.read_or_draw(file, tmp_path / "shop.workload")
    assert file.read_bytes() == content


def test_progress_is_told_in_lines_where_nobody_sees_a_bar(monkeypatch, capsys):
    now_s = [0.0]
    monkeypatch.setattr("replay.cli.output.time.monotonic", lambda: now_s[0])
    with output.progress("planning") as tell:
        for second in range(2, 11):  # what comes before the first takes long
            now_s[0] = float(second)
            tell((second - 2) * 1000, 20_000)
    assert capsys.readouterr().err.splitlines() == [
        "planning    1,000 of 20,000, 5%, 333/s, about 57 s left",
        "planning    3,000 of 20,000, 15%, 600/s, about 28 s left",
        "planning    7,000 of 20,000, 35%, 778/s, about 17 s left",
    ]
