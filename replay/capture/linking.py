"""Links what numba has compiled into a library that is loaded without it; see `library`."""

import ctypes
from collections.abc import Iterable
from typing import Any

from llvmlite import binding as llvm
from numba.core import types
from numba.core.types.containers import BaseTuple

from replay.capture import library
from replay.capture.kernels import CACHE, LOOPS, Loop
from replay.objectcode import compiled, drop_unused

_LETTERS = {types.int64: "q", types.uint64: "Q", types.boolean: "?", types.none: ""}


class NotLinkedError(Exception):
    """A library would ask for what is there only beside numba."""


def link(name: str) -> None:
    """Keep a library of all loops that numba has compiled in this process; raises NotLinkedError."""
    module, index = llvm.parse_assembly(""), {}
    module.name = name
    for loop in LOOPS:
        for kinds, signature in loop.used.items():
            letters = _letters_of(loop, signature)
            if not loop.makes_arrays and letters is not None:
                symbol = loop.dispatcher.overloads[signature].fndesc.mangled_name
                module.link_in(_one(loop.dispatcher.inspect_llvm(signature), symbol))
                written = [str(one.type) for one in module.get_function(symbol).arguments]
                if not library.fits(kinds, written):
                    raise NotLinkedError(f"{loop.name} {kinds}: {written}")
                index[library.key_of(loop.name, kinds)] = symbol, letters
    _bare(module)
    library.write(CACHE, name, compiled(module), index)


def _letters_of(loop: Loop, signature: Any) -> str | None:
    """What a loop gives, a letter each; None for what no library can."""
    gives = loop.dispatcher.overloads[signature].signature.return_type
    members: Iterable[Any] = gives if isinstance(gives, BaseTuple) else (gives,)
    letters = [_LETTERS.get(member) for member in members]
    return None if None in letters else "".join(map(str, letters))


def _one(code: str, symbol: str) -> llvm.ModuleRef:
    """A function with its callees, which others may have as well."""
    module = llvm.parse_assembly(code)
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name == symbol else "linkonce_odr"
    return module


def _bare(module: llvm.ModuleRef) -> None:
    """Drop what nothing calls; raises NotLinkedError where what is left calls what only numba has."""
    drop_unused(module)
    process = ctypes.CDLL(None)
    for function in module.functions:
        name = function.name
        if function.is_declaration and not (name.startswith("llvm.") or hasattr(process, name)):
            raise NotLinkedError(name)
