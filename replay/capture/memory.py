"""Memory that is not needed any more, given back to the system: the C library keeps it otherwise."""

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Collect, and give back what is free, as far as the C library knows how (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
