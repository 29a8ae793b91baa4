"""The script that a DBA runs with psql where capture may not connect: the same questions as ours.

What psql writes is read by profile_file. Each answer stands between two marks, the second of which
has the SQLSTATE; a refused question so tells why, and does not end the others.
"""

from collections.abc import Iterator
from importlib.resources import files

from data_gen.introspect import IN_TURN
from data_gen.questions import as_json, named
from replay.capture.questions import COUNTERS, SCHEMA, questions
from replay.tag import APPLICATION_NAME

FIRST = "# replay-profile 1"
LAST = "# end of profile"
END = "# end"
DONE = "00000"

_PLACE = ':"extension"'


def script() -> str:
    """The script, whole."""
    return "\n\n".join(_parts())


def _parts() -> Iterator[str]:
    frame = named(files(__package__).joinpath("profile.sql").read_text(encoding="utf-8"))
    yield frame["head"].format(application=APPLICATION_NAME, first=FIRST)
    yield frame["begin"]
    for name in SCHEMA:
        yield _section(name)
    yield "ROLLBACK;"
    yield frame["which"].format(extension=questions()["extension"])
    for name in COUNTERS:
        # Each in a transaction of its own: a refusal must not take the next one with it.
        section = f"{frame['begin']}\n\n{_section(name)}\n\nROLLBACK;"
        needs = {"statements": "created", "counting": "tells"}.get(name)
        yield f"\\if :{needs}\n{section}\n\\endif" if needs else section
    yield f"\\qecho '{LAST}'"


def _section(name: str) -> str:
    if name in IN_TURN:
        # Each answer is a statement, which psql asks; one that is refused has no rows.
        asked = (
            f"\\set ON_ERROR_ROLLBACK on\n{questions()[name]}\n\\gexec\n\\set ON_ERROR_ROLLBACK off"
        )
        return f"\\qecho '# {name}'\n{asked}\n\\qecho '{END}' {DONE}"
    query = as_json(questions()[name].replace("{extension}", _PLACE))
    return f"\\qecho '# {name}'\n{query};\n\\qecho '{END}' :SQLSTATE"
