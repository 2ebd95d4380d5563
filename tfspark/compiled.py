"""What compiled loops stand on: numba, machine words at addresses.

The loops are compiled at their first call, and kept on disk where there is a place for it. Memory
is named by addresses, so that one loop walks columns of every type: who calls it keeps the arrays
alive. Words are eight bytes, little-endian, in any alignment.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from tfspark.tensors import Array

TOPS = 0x8080808080808080 - (1 << 64)
"""The top bit of every byte of a word."""

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
_HERE = hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:8]
_word = ir.IntType(64)


def kernel(function: Compiled) -> Compiled:
    """Compile a function for Python to call; it runs without Python's lock."""
    # numba looks at a function's own file to tell whether kept code is stale: the name is for this.
    function.__qualname__ += f"_{_HERE}"
    compiled: Compiled
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written
        compiled = njit(nogil=True)(function)
    return compiled


def inlined(function: Compiled) -> Compiled:
    """Compile a function into the kernels that call it; Python must not."""
    options = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Compiled = njit(**options)(function)
    return compiled


def _instruction(build: Callable[..., Any], arguments: int) -> Callable[..., int]:
    """A function of int64s, for compiled code, that is a few machine instructions."""
    sort = types.int64(*[types.int64] * arguments)

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return build(builder, *values)

    made: Callable[..., int]
    if arguments == 1:
        made = intrinsic(lambda typing, one: (sort, code))
    elif arguments == 2:
        made = intrinsic(lambda typing, one, two: (sort, code))
    else:
        made = intrinsic(lambda typing, one, two, three: (sort, code))
    return made


def _at(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


def _store(builder: Any, address: Any, value: Any) -> Any:
    builder.store(value, _at(builder, address, 64), align=1)
    return builder.add(address, _word(8))


def _put(builder: Any, address: Any, value: Any) -> Any:
    builder.store(builder.trunc(value, ir.IntType(8)), _at(builder, address, 8))
    return builder.add(address, _word(1))


def _copy(builder: Any, to: Any, start: Any, size: Any) -> Any:
    cgutils.raw_memcpy(builder, _at(builder, to, 8), _at(builder, start, 8), size, 1)
    return builder.add(to, size)


load = _instruction(lambda b, address: b.load(_at(b, address, 64), align=1), 1)
"""The word at an address."""
byte = _instruction(lambda b, address: b.zext(b.load(_at(b, address, 8)), _word), 1)
store = _instruction(_store, 2)
"""Write a word, and give the address behind; so do `put`, a byte, and `copy(to, start, size)`."""
put = _instruction(_put, 2)
copy = _instruction(_copy, 3)
zeros_above = _instruction(lambda b, value: b.ctlz(value, ir.IntType(1)(0)), 1)
zeros_below = _instruction(lambda b, value: b.cttz(value, ir.IntType(1)(0)), 1)
ones = _instruction(lambda b, value: b.ctpop(value), 1)


@inlined
def address(array: Array) -> int:
    """Where an array of the caller's is; numba frees a kernel's own one after its last use."""
    place: int = types.int64(array.ctypes.data)
    return place
