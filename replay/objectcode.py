"""Compiled code in one object file, loaded without the compiler that made it.

Importing numba and having it load a hundred functions takes longer than reading a hundred megabytes of
log. So what it has compiled is written once as an object file, and LLVM alone, which numba comes with,
loads that in milliseconds.
"""

import ctypes
import hashlib
from functools import cache
from typing import Any

from llvmlite import binding as llvm

_OPTIMISED = 3


class ObjectCode:
    """An object file in memory; it stays there as long as one of its functions can be called."""

    def __init__(self, code: bytes) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def function(self, symbol: str, *types: Any) -> Any:
        """A function as numba compiles it, of arguments of those types of ctypes.

        The first two are numba's own: pointers to what is given, and to an exception. It gives 0, or
        that it failed.
        """
        address = self._engine.get_function_address(symbol)
        call: Any = ctypes.CFUNCTYPE(ctypes.c_int32, *types)(address)
        call.code = self._engine
        return call


@cache
def machine() -> str:
    """What code is compiled for: a home may be shared by different ones."""
    features = llvm.get_host_cpu_features().flatten()
    told = f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()} {features}"
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def drop_unused(module: llvm.ModuleRef) -> None:
    """Drop what nothing in a module calls: how Python calls a function by numba."""
    builder = llvm.create_pass_builder(_target(), llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)


def compiled(module: llvm.ModuleRef) -> bytes:
    """The object file of a module."""
    code: bytes = _target().emit_object(module)
    return code


def _target() -> llvm.TargetMachine:
    """What LLVM makes code for: the machine that this is."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=_OPTIMISED,
        jit=True,
    )
