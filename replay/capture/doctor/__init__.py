"""The doctor: what capture would get from a server as it is set, at what cost, and what to change."""

from replay.capture.doctor.advice import Checkup, advise
from replay.capture.doctor.facts import Counters, Facts, examine
from replay.capture.doctor.finding import Finding

__all__ = ["Checkup", "Counters", "Facts", "Finding", "advise", "examine"]
