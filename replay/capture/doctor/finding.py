"""What the doctor says of one thing that it looked at."""

from dataclasses import dataclass

GOOD, LESS, MISSING = "good", "less", "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    topic: str
    level: str  # good; less: the capture would hold less than it could; missing: it would not work
    says: str
    fix: tuple[str, ...] = ()  # SQL, a statement a line
    restart: bool = False  # the fix needs one
