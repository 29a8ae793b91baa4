"""The ReplayError family: what can go wrong, with the exit code that each member carries.

Every message says what, where (file and line, or host), and what to do next.
A failing gate and a broken tool never share a code.
"""

from typing import ClassVar


class ReplayError(Exception):
    """Base of all errors that a user can act on; `exit_code` is the command's status."""

    exit_code: ClassVar[int] = 5


class GateFailedError(ReplayError):
    """A gate's rule found what it forbids: look at the findings."""

    exit_code = 1


class InputError(ReplayError):
    """An argument, a file or a workload cannot be used as it is: the message names it."""

    exit_code = 2


class NotValidError(ReplayError):
    """The run cannot be believed: behind schedule, work skipped, or too few samples."""

    exit_code = 3


class RefusedError(ReplayError):
    """The target is not proven to be staging: mark it with `replay mark-staging DSN`."""

    exit_code = 4


class EnvironmentFaultError(ReplayError):
    """The surroundings failed: server unreachable, disk full, program missing."""

    exit_code = 5


INTERRUPTED_EXIT_CODE = 130
