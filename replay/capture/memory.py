"""Memory that is not needed any more, given back to the system: the C library keeps it otherwise."""

import contextlib
import ctypes
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collected_by_hand() -> Iterator[None]:
    """Leave the garbage of what follows to `give_back`, which passes over all that is there already."""
    gc.freeze()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def give_back() -> None:
    """Collect, and give back what is free, as far as the C library knows how (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
