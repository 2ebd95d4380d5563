"""Protocol buffers' variable-length integers.

Seven bits a byte, the lowest first; the top bit says that another byte follows.
(https://protobuf.dev/programming-guides/encoding/)
"""

from __future__ import annotations


def one(number: int) -> bytes:
    """One number, 0 or above."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
