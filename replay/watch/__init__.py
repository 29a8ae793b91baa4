"""Watch the target while it is loaded: sessions and who blocks whom, counters, plans."""

from replay.watch.sampler import Watch, Watched

__all__ = ["Watch", "Watched"]
