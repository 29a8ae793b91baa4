"""The doctor: what capture would get from a server as it is set, at what cost, and what to change."""

from replay.capture.doctor.advice import Checkup, Finding, advise
from replay.capture.doctor.facts import Counters, Facts, examine

__all__ = ["Checkup", "Counters", "Facts", "Finding", "advise", "examine"]
