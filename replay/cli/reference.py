"""docs/cli.md from the commands' own help: `python -m replay.cli.reference > docs/cli.md`."""

import click

from replay.cli import COMMANDS, command, group
from replay.cli.options import CONTEXT

_WIDTH = 100
RENEW = "python -m replay.cli.reference > docs/cli.md"

_HEAD = f"""# The command line

Made from `--help` of every command; renew it with `{RENEW}`.

Data goes to stdout, talk and progress to stderr. `--json` prints exactly one document, with
`"version"`; times in it are in ms unless a key's name says otherwise. DSNs may also come from the
environment: `REPLAY_TARGET` for staging, `REPLAY_SOURCE` for production.

| exit code | meaning |
|---|---|
| 0 | done; a run that found trouble is a good run |
| 1 | a gate failed: a fix was not proven, an incident did not pass, an index is lacking |
| 2 | wrong usage, or an input that cannot be used |
| 3 | the run cannot be believed: the generator was late, or too few samples |
| 4 | refused: the target is not proven to be staging |
| 5 | the surroundings failed: server unreachable, disk full |
| 70 | a fault of the program itself; it comes with a traceback |
| 130 | interrupted; what was captured or measured is kept |
| 141 | whoever read the output closed the pipe, as with `head` |
"""


def document() -> str:
    """The whole reference as Markdown."""
    whole = click.Context(group, info_name="replay", terminal_width=_WIDTH, **CONTEXT)
    parts = [_HEAD, "## replay", _fenced(group.get_help(whole))]
    for name in COMMANDS:
        described = command(name)
        context = click.Context(described, info_name=name, parent=whole, **CONTEXT)
        parts += [f"## replay {name}", _fenced(described.get_help(context))]
    return "\n".join(parts)


def _fenced(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"\n```\n{lines}\n```\n"


if __name__ == "__main__":
    print(document(), end="")
