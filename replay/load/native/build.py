"""Compiles the loop into an object file: `python -m replay.load.native.build FILE`."""

import sys
from pathlib import Path
from typing import Any

from llvmlite import binding as llvm
from numba import types

from replay import cached, objectcode
from replay.load.native.library import SYMBOL
from replay.load.native.loop import run


def build(file: Path) -> None:
    """Leave the object file whole, or none."""
    loop: Any = run
    loop.compile((types.int64,))
    (signature,) = loop.signatures
    module = llvm.parse_assembly(loop.inspect_llvm(signature))
    symbol = loop.overloads[signature].fndesc.mangled_name
    for function in module.functions:
        if not function.is_declaration and function.name != symbol:
            function.linkage = "internal"  # what nothing calls is dropped: Python's way in
    module.get_function(symbol).name = SYMBOL
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    objectcode.drop_unused(module)
    cached.write(file, objectcode.compiled(module))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
