"""Answers to what capture asks of production, whoever gives them; needs no driver."""

from collections.abc import Sequence
from typing import Protocol

from data_gen.questions import Row
from replay.errors import EnvironmentFaultError

NOT_LOADED = "55000"  # object_not_in_prerequisite_state
NOT_ALLOWED = "42501"  # insufficient_privilege


class UnansweredError(EnvironmentFaultError):
    """The server refused a question; the message says which, `sqlstate` why."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Answers(Protocol):
    """Rows of JSON by the name of their question."""

    def rows(self, question: str) -> Sequence[Row]:
        """All rows; raises UnansweredError where the server refused."""
