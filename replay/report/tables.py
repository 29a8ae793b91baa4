"""The one look of sections and tables on a terminal."""

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table


def headed(title: str, *body: RenderableType) -> RenderableType:
    """A section: an empty line, its title on a rule, and what belongs to it."""
    return Group("", Rule(title, align="left", style="dim"), *body)


def figures_table(first: str, *rest: str) -> Table:
    """A table whose first column tells what and takes the room, and whose others are figures."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="ellipsis", ratio=1, min_width=20)
    for name in rest:
        table.add_column(name, justify="right", no_wrap=True)
    return table
