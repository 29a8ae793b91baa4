"""What goes where: data to stdout, talk and progress to stderr."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_A_PIPE = 160


def say(line: str) -> None:
    """Tell a person one line on stderr."""
    from rich.console import Console

    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def stdout() -> "Console":
    """Where text for people is printed; a pipe has no width of its own, so it gets a wide one."""
    from replay.cli.terminal import Terminal

    fixed = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_A_PIPE
    return Terminal(width=fixed, highlight=False)


def print_document(document: Mapping[str, Any]) -> None:
    """Print the one document of a `--json` command."""
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or leave what stood there; a device or a pipe is written to as it is."""
    in_place = file.exists() and not file.is_file()
    part = file if in_place else file.with_name(f"{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        if not in_place:
            part.replace(file)
    except OSError as error:
        error.filename = str(file)
        if not in_place:
            part.unlink(missing_ok=True)
        raise


@contextmanager
def progress(what: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block runs, told by (done, of how many; 0 where nobody knows).

    Where stderr is no terminal nothing is drawn: a line tells now and then how far it is.
    """
    if not sys.stderr.isatty():
        yield Lines(what, in_bytes=in_bytes)
        return
    from rich import progress as bars
    from rich.console import Console

    columns: tuple[bars.ProgressColumn, ...] = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeElapsedColumn(),
    )
    if in_bytes:
        columns += (bars.DownloadColumn(), bars.TransferSpeedColumn())
    columns += (bars.TimeRemainingColumn(),)
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield tell


class Lines:
    """Progress, a line now and then: after a second, and each time after twice as long."""

    _AT_MOST_S = 60.0

    def __init__(self, what: str, *, in_bytes: bool = False) -> None:
        self._what = what
        self._shown = _mb if in_bytes else _whole
        self._began = self._told_at = time.monotonic()
        self._least_s = 1.0

    def __call__(self, done: int, total: int) -> None:
        """Told as `progress` says."""
        now = time.monotonic()
        if not done or now - self._told_at < self._least_s:
            return
        self._told_at, self._least_s = now, min(2 * self._least_s, self._AT_MOST_S)
        rate = done / max(now - self._began, 1e-3)
        of = f" of {self._shown(total)}, {done / total:.0%}" if total else ""
        left = f", about {max(total - done, 0) / rate:,.0f} s left" if total and rate else ""
        say(f"{self._what:<11} {self._shown(done)}{of}, {self._shown(rate)}/s{left}")


def _whole(count: float) -> str:
    return f"{count:,.0f}"


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


@contextmanager
def tables(total: int) -> Iterator[Callable[[str, int, int], None]]:
    """A bar a table and one of all on stderr, told by (table, rows in it, rows in the end).

    Each with rows a second and the time left. Where stderr is no terminal, a line a table says when
    it is full.
    """
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
    )
    began = time.monotonic()
    started: dict[str, tuple[bars.TaskID, float]] = {}
    done: dict[str, int] = {}
    with bars.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        overall = bar.add_task("all", total=total or None, rate="")

        def tell(name: str, rows: int, of: int) -> None:
            now = time.monotonic()
            if name not in started:
                started[name] = (bar.add_task(name, total=of or None, rate=""), now)
            task, since = started[name]
            done[name] = rows
            bar.update(task, completed=rows, rate=_rate(rows, now - since), visible=rows < of)
            everything = sum(done.values())
            bar.update(overall, completed=everything, rate=_rate(everything, now - began))
            if rows >= of and not console.is_terminal:
                left = (total - everything) * (now - began) / max(everything, 1)
                say(
                    f"filled      {name}: {rows:,} rows, {_rate(rows, now - since)}; "
                    f"about {max(left, 0):.0f} s left"
                )

        yield tell


def _rate(rows: int, seconds: float) -> str:
    return f"{rows / max(seconds, 1e-3):,.0f} rows/s"
