"""The compiled loop of this machine: made where it is missing, loaded without the compiler."""

import ctypes
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from replay import cached, objectcode

log = logging.getLogger(__name__)

_CODE = Path(__file__).parent
_OFF = "REPLAY_INTERPRETED"
"""A variable of the environment: where it is set, statements go by Python alone."""
SYMBOL = "replay_run"


def file() -> Path:
    """Where the loop's object file is, or is to be made: for this code and this machine."""
    code = cached.name_of(*sorted(_CODE.glob("*.py")), Path(objectcode.__file__))
    return cached.home() / f"loop-{objectcode.machine()}-{code}.o"


def ensure() -> None:
    """See to it that the loop is there, which takes some seconds the first time."""
    if not is_wanted():
        return
    try:
        made = file()
        if cached.used(made):
            return
        cached.make(made.parent)
    except (OSError, RuntimeError) as error:  # no home, or none that can be written
        _tell(f"the compiled loop cannot be kept ({error}); {cached.ADVICE}")
        return
    done = subprocess.run(
        [sys.executable, "-m", "replay.load.native.build", str(made)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        _tell(f"the loop cannot be compiled: {done.stderr.decode(errors='replace')}")
    cached.sweep("loop-*")


def is_wanted() -> bool:
    """Whether this system has what the loop asks for, and nobody has said no."""
    return sys.platform == "linux" and _OFF not in os.environ


@cache
def load() -> Callable[[int], None] | None:
    """The loop, to be called with the board's address; None where there is none."""
    try:
        code = file().read_bytes() if is_wanted() else b""
    except (OSError, RuntimeError):
        return None
    if not code:
        return None
    pointers = ctypes.c_void_p, ctypes.c_void_p
    call = objectcode.ObjectCode(code).function(SYMBOL, *pointers, ctypes.c_int64)
    room = (ctypes.c_void_p * 2)()  # numba's: for what is given, and for an exception
    run: Any = partial(
        call, ctypes.addressof(room), ctypes.addressof(room) + ctypes.sizeof(room) // 2
    )
    run.room = room
    return run  # type: ignore[no-any-return]


@cache
def _tell(why: str) -> None:
    """Say once why the load costs more than it must."""
    log.warning("statements go by Python alone, which takes the generator twice the CPU: %s", why)
