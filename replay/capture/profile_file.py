"""What psql wrote when it ran the profile script, as answers to capture's questions."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from data_gen.questions import Row, from_json
from replay.capture.answers import UnansweredError
from replay.capture.profile_script import DONE, END, FIRST, LAST
from replay.errors import InputError

_MADE_BY = "make it with replay profile --sql > profile.sql; psql -X -f profile.sql -o FILE"


class Recorded:
    """Answers of a server that somebody else asked; raises InputError where the file is not whole."""

    def __init__(self, file: Path) -> None:
        self.place = str(file)
        try:
            lines = file.read_text(encoding="utf-8").split("\n")  # a value may hold U+2028
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"{file}: is no file; {_MADE_BY}") from None
        except UnicodeDecodeError:
            raise InputError(f"{file}: is no UTF-8 text; {_MADE_BY}") from None
        self._rows, self._states = _sections(self.place, lines)

    def rows(self, question: str) -> Sequence[Row]:
        """What the server answered; raises UnansweredError with the SQLSTATE that psql was told."""
        state = self._states.get(question)
        if state is None:
            raise InputError(f"{self.place}: has no answer for {question}; {_MADE_BY}")
        if state != DONE:
            raise UnansweredError(
                f"{self.place}: the server refused to tell its {question} (SQLSTATE {state}, psql "
                "said why); the script's user needs pg_read_all_stats and SELECT on the tables",
                state,
            )
        return self._rows[question]


def _sections(place: str, lines: Iterable[str]) -> tuple[dict[str, Sequence[Row]], dict[str, str]]:
    """Rows by question, and by question the SQLSTATE with which it ended."""
    rows: dict[str, Sequence[Row]] = {}
    states: dict[str, str] = {}
    begun: list[str] = []
    name = last = ""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if number == 1 and line != FIRST:
            raise InputError(f"{place}:1: is {line[:40]!r} and not {FIRST!r}; {_MADE_BY}")
        if line.startswith(f"{END} ") and name:
            try:
                rows[name] = from_json(begun)
            except ValueError:
                raise InputError(
                    f"{place}:{number}: the answer for {name} before this line is no JSON; psql "
                    "must write to a file of its own, with -o"
                ) from None
            states[name] = line.removeprefix(f"{END} ")
            name = ""
        elif line.startswith("# "):
            name, begun = line.removeprefix("# "), []
        elif line:
            begun.append(line)
        last = line or last
    if last != LAST:
        raise InputError(
            f"{place}: breaks off, psql did not come to the script's end; run it again"
        )
    return rows, states
