"""A table of statements: each in as many words as the terminal has room for, beside its figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from replay.report.inspect.brief import brief
from replay.report.tables import figures_table

_PADDING = 2
_LEAST_ROOM = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row: what it is about, and figures as they are shown."""

    name: str  # dim, before the text; may be empty
    text: str  # shortened to the room there is
    figures: tuple[str | Text, ...]
    style: str = ""
    lines: int = 1  # that the text may take


def listing(
    heads: Sequence[str], lines: Sequence[Line], *, width: int, more: int = 0
) -> RenderableType:
    """The table in `width` columns, and a last line that says how many `more` there are."""
    table = figures_table(*heads)
    columns = zip(heads[1:], *(line.figures for line in lines), strict=True)
    taken = sum(max(map(len, column)) + _PADDING for column in columns)
    room = max(width - taken - _PADDING, _LEAST_ROOM)
    for line in lines:
        name = f"{line.name}  " if line.name else ""
        # Words that do not fit leave the end of a line empty.
        told = brief(line.text, (room - len(name)) * line.lines - 8 * (line.lines - 1))
        text = Text.assemble((name, "dim"), (told, line.style), no_wrap=line.lines == 1)
        table.add_row(text, *line.figures)
    rest = [Text(f"… and {more:,} more: --all shows them", style="dim")] if more else []
    return Group(table, *rest)


def outline(
    groups: Sequence[tuple[Line, Sequence[Line]]], top: int | None
) -> tuple[list[Line], int]:
    """Lines under their heads, and how many groups are left out: a big one leaves room for others."""
    shown = groups[: top // 2 if top else None]
    lines: list[Line] = []
    for head, members in shown:
        room = top // 4 if top else len(members)
        # A line that says that one is left out takes the room of that one.
        told = members if len(members) <= room + 1 else members[:room]
        lines += [head, *told]
        left = len(members) - len(told)
        if left:
            blank = ("",) * len(head.figures)
            lines.append(
                Line(name="", text=f"… and {left:,} more of these", figures=blank, style="dim")
            )
    return lines, len(groups) - len(shown)
