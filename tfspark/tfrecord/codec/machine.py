"""What the codec's compiled loops stand on: numba, machine words at addresses, CRC32C.

The loops are compiled at their first call, and kept on disk where there is a place for it. Memory
is named by addresses, so that one loop walks columns of every type: who calls it keeps the arrays
alive. Words are eight bytes, little-endian as the format is, in any alignment; they are read and
written up to `SLACK` bytes past an end, so buffers have that room.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from tfspark.tensors import Array

SLACK = 16
HEADER, TRAILER = 12, 4
"""Bytes of a frame before and after its record: uint64 length, masked CRC32C of the length, the
record, masked CRC32C of the record (tensorflow/core/lib/io/record_writer.h)."""
LONGEST = (1 << 31) - 1
"""Bytes of the longest record: a protocol buffer ends at 2 GiB."""
BYTES, FLOAT, INT64 = 0x0A, 0x12, 0x1A
"""Tags of Feature's lists, feature.proto."""
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


def _load_crc32c() -> None:
    """Make google-crc32c's own C function known to compiled code."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    for path in {line.split(maxsplit=5)[5] for line in lines if "libcrc32c" in line}:
        llvmlite.binding.load_library_permanently(path)
    if not llvmlite.binding.address_of_symbol("crc32c_value"):
        raise ImportError(
            f"tfspark.tfrecord finds no libcrc32c in this process (google-crc32c is of the kind "
            f"{google_crc32c.implementation!r}): install its compiled wheel, on Linux"
        )


_load_crc32c()
_crc32c = types.ExternalFunction("crc32c_value", types.uint32(types.int64, types.int64))


@inlined
def address(array: Array) -> int:
    """Where an array of the caller's is; numba frees a kernel's own one after its last use."""
    place: int = types.int64(array.ctypes.data)
    return place


@inlined
def masked_sum(address: int, size: int) -> int:
    """CRC32C of bytes as it stands in a frame: rotated by 15 bits, plus a constant."""
    crc: int = types.int64(_crc32c(address, size))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
