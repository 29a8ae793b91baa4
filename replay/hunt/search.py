"""How to find a knee with few trials: double from below the prediction, then halve the bracket. Pure.

`factor` says what to try next, `tell` takes what came of it. Trials are multiples of what production
does; the answer is the largest that held and the smallest that did not.
"""

import math
from dataclasses import dataclass

_FINE = 1.5  # a bracket is narrow enough: breaks / safe


@dataclass(slots=True)
class Search:
    """One knee; `most` is the largest factor that makes sense to try."""

    start: float
    most: float
    whole: bool = False  # only whole numbers mean something
    safe: float | None = None
    breaks: float | None = None
    given_up: bool = False

    @classmethod
    def from_prediction(
        cls, headroom_x: float, most: float, *, least: float = 1.0, whole: bool = False
    ) -> "Search":
        """Begin at the power of two below the predicted headroom, which is a cautious one."""
        guess = min(max(headroom_x, least), most)
        return cls(
            start=2.0 ** math.floor(math.log2(guess)), most=float(f"{most:.3g}"), whole=whole
        )

    @property
    def factor(self) -> float | None:
        """What to try next; None: there is nothing more to learn."""
        if self.given_up:
            return None
        if self.safe is None and self.breaks is None:
            return self.start
        if self.breaks is None:
            assert self.safe is not None
            return min(self.safe * 2, self.most) if self.safe < self.most else None
        if self.safe is None:
            return max(self.breaks / 4, 1.0) if self.breaks > 1 else None
        if self.breaks / self.safe <= _FINE:
            return None
        between = math.sqrt(self.safe * self.breaks)
        if not self.whole:
            return float(f"{between:.3g}")
        return float(round(between)) if self.safe < round(between) < self.breaks else None

    def tell(self, factor: float, *, broke: bool | None) -> None:
        """What came of a trial; None: it could not be judged, so nothing beyond it can be."""
        if broke is None:
            self.given_up = True
        elif broke:
            self.breaks = min(factor, self.breaks or factor)
        else:
            self.safe = max(factor, self.safe or factor)


def halves(things: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """A set in two, to ask which half does it; a single thing is not divided."""
    if len(things) < 2:
        return ()
    middle = (len(things) + 1) // 2
    return things[:middle], things[middle:]
