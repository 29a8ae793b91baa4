"""README.md and docs: each command that they tell people to give can be given so."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from replay.cli import COMMANDS, command
from replay.cli.options import CONTEXT
from replay.load import options

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Options of other programs: Locust's, gcloud's, pytest's, and a traffic program's.
OTHERS = """
    --autoquit --csv --exclude-tags --expect-workers --headless --master --master-host --processes
    --tags --worker --format --dist --seconds
"""


def blocks(page: Path) -> list[str]:
    """Its blocks of code, with lines that go on joined."""
    found = re.findall(
        r"^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [block.replace("\\\n", " ") for block in found]


def commands() -> Iterator[list[str]]:
    """What stands behind `replay`, as a shell has it."""
    for page in PAGES:
        for block in blocks(page):
            for line in block.splitlines():
                if re.match(r"(?:    )?replay ", line):  # in help, prose stands further left
                    yield shlex.split(re.split(r" [>|] ", line)[0], comments=True)[1:]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_of_the_documents_can_be_given(words):
    asked = command(words[0])
    context = click.Context(asked, **CONTEXT)  # which the command remembers
    given, rest, _ = asked.make_parser(context).parse_args(words[1:])
    assert not rest
    for parameter in asked.params:
        value = given.get(parameter.name)
        if value is None:
            assert not parameter.required or parameter.envvar, parameter.name
        elif not isinstance(parameter.type, click.Path | click.File):
            parameter.type_cast_value(context, value)


def test_every_option_that_is_named_is_one():
    ours = argparse.ArgumentParser(allow_abbrev=False)
    options.add_to(ours)
    known = {*OTHERS.split(), *(name for action in ours._actions for name in action.option_strings)}
    for asked in map(command, COMMANDS):
        known.update(name for option in asked.params for name in option.opts)
    known.update(("--version", "--verbose"))
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+(?<!-)", page.read_text(encoding="utf-8")))
        assert named <= known, page.name


def test_every_file_that_is_named_is_there():
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"\b(?:docs|benchmarks|scenarios)/[\w/]+\.\w+", text)
        assert [name for name in named if not (ROOT / name).exists()] == []
