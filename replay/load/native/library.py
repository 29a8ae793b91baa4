"""The compiled loop of this machine: made where it is missing, loaded without the compiler.

LLVM alone, which numba comes with, loads an object file in milliseconds.
"""

import ctypes
import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from llvmlite import binding as llvm

log = logging.getLogger(__name__)

_CODE = Path(__file__).parent
_OFF = "REPLAY_INTERPRETED"
"""A variable of the environment: where it is set, statements go by Python alone."""
_OPTIMISED = 3
SYMBOL = "replay_run"


def file() -> Path:
    """Where the loop's object file is, or is to be made: for this code and this machine."""
    told = hashlib.blake2b(f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()}".encode())
    told.update(llvm.get_host_cpu_features().flatten().encode())
    for source in sorted(_CODE.glob("*.py")):
        told.update(source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "staging-replay" / f"loop-{told.hexdigest()[:16]}.o"


def ensure() -> None:
    """See to it that the loop is there, which takes some seconds the first time."""
    if not is_wanted():
        return
    try:
        made = file()
        if made.exists():
            return
        made.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # no home, or none that can be written
        log.debug("the loop cannot be kept: %s", error)
        return
    done = subprocess.run(
        [sys.executable, "-m", "replay.load.native.build", str(made)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.decode(errors="replace")
        log.warning("statements go by Python alone: the loop cannot be compiled: %s", told)


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
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(SYMBOL)
    pointers = ctypes.c_void_p, ctypes.c_void_p
    call: Any = ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, ctypes.c_int64)(address)
    call.code = engine  # which lives as long as it can be called
    room = (ctypes.c_void_p * 2)()  # numba's: for what is given, and for an exception
    run: Any = partial(
        call, ctypes.addressof(room), ctypes.addressof(room) + ctypes.sizeof(room) // 2
    )
    run.room = room
    return run  # type: ignore[no-any-return]


def machine() -> Any:
    """What LLVM makes code for: the machine that this is."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=_OPTIMISED,
        jit=True,
    )
