"""rich's console, but for one habit: it would leave with code 1, a failing gate's, on a closed pipe."""

from typing import NoReturn

from rich.console import Console


class Terminal(Console):
    """A console that leaves a closed pipe to the frame of the command line."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich while the BrokenPipeError is handled; sends it on its way."""
        raise BrokenPipeError
