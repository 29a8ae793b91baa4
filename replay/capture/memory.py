"""Memory that is not needed any more: given back to the system, or kept, as the C library would not by itself."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 128 << 20  # bytes
_ON_THE_HEAP = 32 << 20  # the most that glibc takes


@contextlib.contextmanager
def collected_by_hand() -> Iterator[None]:
    """Leave the garbage of what follows to `give_back`, which passes over all that is there already."""
    is_frozen = gc.get_freeze_count() > 0  # by the program that asks
    gc.freeze()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not is_frozen:
            gc.unfreeze()
        if enabled:
            gc.enable()


def give_back() -> None:
    """Collect, and give back what is free, as far as the C library (glibc) and pyarrow know how."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> None:
    """Let the C library (glibc) keep what is freed: who needs as much again and again waits for pages else."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_MMAP_THRESHOLD, _ON_THE_HEAP)


def resident() -> int:
    """Bytes of memory that the process holds, as far as the system tells (Linux); else 0."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
