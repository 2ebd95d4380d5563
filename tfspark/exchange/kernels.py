"""Hashes of values: the loops of `hashes`, compiled."""

from __future__ import annotations

import math

import numpy as np

from tfspark.compiled import inlined, kernel
from tfspark.tensors import Array

_A = np.uint64(0xBF58476D1CE4E5B9)
_B = np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0x6A09E667F3BCC909)
_30, _27, _31, _8 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(8)

# RFC 1321, section 3.4: the integer part of 2**32 * abs(sin(i)), and the rotations.
_SINES = np.array([int(2**32 * abs(math.sin(i + 1))) for i in range(64)], dtype=np.int64)
_TURNS = np.array([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21], dtype=np.int64)
_MASK = 0xFFFFFFFF


@inlined
def _mixed(value: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64 (Steele et al., 2014): every bit moves every other."""
    x = value + _STEP
    x = (x ^ (x >> _30)) * _A
    x = (x ^ (x >> _27)) * _B
    return x ^ (x >> _31)


@kernel
def hash_words(words: Array, out: Array) -> None:
    """Words uint64 [rows, n], n of each value → out uint64 [rows]."""
    for row in range(len(words)):
        found = np.uint64(0)
        for place in range(words.shape[1]):
            found = _mixed(found ^ words[row, place])
        out[row] = found


@kernel
def hash_bytes(offsets: Array, data: Array, out: Array) -> None:
    """Bytes uint8, cut by offsets [rows + 1] → out uint64 [rows]."""
    for row in range(len(out)):
        start, end = offsets[row], offsets[row + 1]
        found = np.uint64(end - start)
        while start < end:
            word = np.uint64(0)
            for at in range(start, min(start + 8, end)):
                word = (word << _8) | np.uint64(data[at])
            found = _mixed(found ^ word)
            start += 8
        out[row] = _mixed(found)


@kernel
def hash_lists(offsets: Array, items: Array, out: Array) -> None:
    """Hashes of items uint64, cut by offsets [rows + 1] → out uint64 [rows]."""
    for row in range(len(out)):
        found = np.uint64(offsets[row + 1] - offsets[row])
        for at in range(offsets[row], offsets[row + 1]):
            found = _mixed(found ^ items[at])
        out[row] = _mixed(found)


@kernel
def join(whole: Array, column: Array, valid: Array, number: int) -> None:
    """Take a column's hashes uint64 [rows] into those of rows, in place.

    Args:
        valid: bool [rows], or empty: every value is there.
    """
    seed = np.uint64(number) * _STEP
    for row in range(len(whole)):
        found = column[row] if len(valid) == 0 or valid[row] else _NULL
        whole[row] = _mixed(whole[row] ^ _mixed(found ^ seed))


@inlined
def _block(message: Array, start: int, state: Array) -> None:
    """One block of 64 bytes of MD5."""
    words = np.empty(16, np.int64)
    for i in range(16):
        at = start + 4 * i
        words[i] = (
            np.int64(message[at])
            | np.int64(message[at + 1]) << 8
            | np.int64(message[at + 2]) << 16
            | np.int64(message[at + 3]) << 24
        )
    a, b, c, d = state[0], state[1], state[2], state[3]
    for i in range(64):
        turn = i >> 4
        if turn == 0:
            mixed, word = (b & c) | (~b & d), i
        elif turn == 1:
            mixed, word = (d & b) | (~d & c), (5 * i + 1) & 15
        elif turn == 2:
            mixed, word = b ^ c ^ d, (3 * i + 5) & 15
        else:
            mixed, word = c ^ (b | ~d), (7 * i) & 15
        x = (a + (mixed & _MASK) + _SINES[i] + words[word]) & _MASK
        left = _TURNS[4 * turn + (i & 3)]
        a, d, c = d, c, b
        b = (b + ((x << left) | (x >> (32 - left)))) & _MASK
    state[0] = (state[0] + a) & _MASK
    state[1] = (state[1] + b) & _MASK
    state[2] = (state[2] + c) & _MASK
    state[3] = (state[3] + d) & _MASK


@inlined
def _turned(word: int) -> int:
    """The four bytes of a word the other way round."""
    low = (word & 0xFF) << 24 | (word & 0xFF00) << 8
    turned: int = low | ((word >> 8) & 0xFF00) | (word >> 24)
    return turned


@kernel
def md5(prefix: Array, offsets: Array, data: Array, high: Array, low: Array) -> None:
    """MD5 (RFC 1321) of a prefix and bytes uint8 that offsets [rows + 1] cut.

    high, low: uint64 [rows], of the digest's sixteen bytes, the first ones on top.
    """
    state = np.empty(4, np.int64)
    message = np.zeros(256, np.uint8)
    before = len(prefix)
    for row in range(len(high)):
        size = before + offsets[row + 1] - offsets[row]
        whole = (size + 72) // 64 * 64
        if whole > len(message):
            message = np.zeros(2 * whole, np.uint8)
        message[:before] = prefix
        for at in range(offsets[row + 1] - offsets[row]):
            message[before + at] = data[offsets[row] + at]
        message[size] = 0x80
        message[size + 1 : whole] = 0
        bits = size * 8
        for at in range(8):
            message[whole - 8 + at] = (bits >> (8 * at)) & 0xFF
        state[0], state[1], state[2], state[3] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
        for start in range(0, whole, 64):
            _block(message, start, state)
        high[row] = np.uint64(_turned(state[0])) << np.uint64(32) | np.uint64(_turned(state[1]))
        low[row] = np.uint64(_turned(state[2])) << np.uint64(32) | np.uint64(_turned(state[3]))
