"""What the codec's compiled loops stand on besides `tfspark.compiled`: the format, CRC32C.

Words are read and written up to `SLACK` bytes past an end, so buffers have that room.
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
from numba import types

from tfspark import compiled
from tfspark.compiled import (
    TOPS,
    address,
    byte,
    copy,
    inlined,
    load,
    ones,
    put,
    store,
    zeros_above,
    zeros_below,
)

__all__ = [
    "TOPS",
    "address",
    "byte",
    "copy",
    "inlined",
    "load",
    "ones",
    "put",
    "store",
    "zeros_above",
    "zeros_below",
]

SLACK = 16
HEADER, TRAILER = 12, 4
"""Bytes of a frame before and after its record: uint64 length, masked CRC32C of the length, the
record, masked CRC32C of the record (tensorflow/core/lib/io/record_writer.h)."""
LONGEST = (1 << 31) - 1
"""Bytes of the longest record: a protocol buffer ends at 2 GiB."""
BYTES, FLOAT, INT64 = 0x0A, 0x12, 0x1A
"""Tags of Feature's lists, feature.proto."""

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
_HERE = hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:8]


def kernel(function: Compiled) -> Compiled:
    """See `tfspark.compiled.kernel`; this file's own functions are compiled into it."""
    function.__qualname__ += f"_{_HERE}"
    return compiled.kernel(function)


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
def masked_sum(address: int, size: int) -> int:
    """CRC32C of bytes as it stands in a frame: rotated by 15 bits, plus a constant."""
    crc: int = types.int64(_crc32c(address, size))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
