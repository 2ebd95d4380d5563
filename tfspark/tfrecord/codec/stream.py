"""The bytes of a file as they were before compression, in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Literal, cast

import google_crc32c
import numpy as np
import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError
from tfspark.tensors import Array

Compression = Literal["none", "gzip", "zlib"]
SUFFIX: dict[Compression, str] = {"none": "", "gzip": ".gz", "zlib": ".zlib"}
"""What the name of a file that we write ends with."""
_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zlib": "zlib"}
_SUFFIXES[".deflate"] = "zlib"
_WINDOW = {"gzip": 31, "zlib": 15}  # of zlib's functions; TensorFlow's GZIP and ZLIB
_PIECE = 1 << 18
_HEAD = 12  # bytes of a frame's length and of its sum


def masked(data: bytes) -> int:
    """CRC32C as it stands in a frame."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class DamageError(ValueError):
    """What was compressed is damaged or cut off."""


def compression_of(path: str, given: str | None = None) -> Compression:
    """The compression that was given, or that the file's name says (`.gz`; `.zlib`, `.deflate`).

    Raises:
        ConfigError: the one that was given is unknown.
    """
    if given is None:
        found = [kind for suffix, kind in _SUFFIXES.items() if path.endswith(suffix)]
        return found[0] if found else "none"
    if given in ("none", "gzip", "zlib"):
        return cast(Compression, given)
    raise ConfigError(f"compression {given!r} is unknown: use none, gzip or zlib")


def compression_in(head: bytes, path: str) -> Compression:
    """The compression that the first bytes of a file show; where they show none, its name's.

    A frame's length has a sum, so a file with a right one is not compressed, whatever its name.

    Raises:
        ConfigError: it is a Parquet file.
    """
    size = head[:8]
    if len(head) == _HEAD and masked(size) == int.from_bytes(head[8:], "little"):
        return "none"
    if head[:4] == b"PAR1":
        raise ConfigError(f"{path} is a Parquet file, not TFRecord")
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    # A damaged length may look like zlib's two bytes, but no record has more than 4 GiB.
    if head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0 and any(head[4:8]):
        return "zlib"
    return compression_of(path)


class ByteStream:
    """A file that is read from begin to end, decompressed on the way; memory is bounded.

    Args:
        compression: none, gzip or zlib; None: what the file's first bytes show.

    Attributes:
        head: the file's first bytes, as they are in it.
    """

    def __init__(self, path: str, compression: str | None = None) -> None:
        if compression is not None:
            compression_of(path, compression)
        fs, inner = storage.filesystem(path)
        try:
            self._file = fs.open_input_stream(inner, compression=None)
            self.head = self._left = bytes(self._file.read(_HEAD))
        except OSError as error:
            raise storage.failure("read", path, error) from error
        self._path = path
        kind = compression or compression_in(self.head, path)
        self._inflate = None if kind == "none" else _Inflate(_WINDOW[kind])

    def read_into(self, room: Array) -> int:
        """Read bytes into uint8 [room]; how many: none at the end.

        Raises:
            StorageError: the file cannot be read.
            DamageError: what was compressed is damaged.
        """
        try:
            if self._inflate:
                data = self._inflate.read(len(room), self._raw)
            elif self._left:
                data = self._raw(len(room))
            else:
                return int(self._file.readinto(room))
        except OSError as error:
            raise storage.failure("read", self._path, error) from error
        room[: len(data)] = np.frombuffer(data, "uint8")
        return len(data)

    def close(self) -> None:
        self._file.close()

    def _raw(self, most: int) -> bytes:
        if not self._left:
            return bytes(self._file.read(most))
        data, self._left = self._left[:most], self._left[most:]
        return data


class _Inflate:
    def __init__(self, window: int) -> None:
        self._window = window
        self._state: Any = None
        self._left = b""

    def read(self, most: int, raw: Callable[[int], bytes]) -> bytes:
        pieces, size = [], 0
        while size < most:
            if not self._left:
                self._left = raw(_PIECE)
            if not self._left and (self._state is None or self._state.eof):
                break
            if self._state is None or self._state.eof:  # the next member
                self._state = zlib.decompressobj(self._window)
            at_end = not self._left
            try:
                piece = self._state.decompress(self._left, most - size)
            except zlib.error as error:
                if size:  # what was right comes first: the next call fails again
                    break
                raise DamageError(str(error)) from None
            self._left = self._state.unused_data or self._state.unconsumed_tail
            if at_end and not piece and not self._state.eof:
                if size:
                    break
                raise DamageError("the compressed data ends too early")
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


class Sink:
    """A file that is written from begin to end, compressed on the way."""

    def __init__(self, path: str, compression: Compression) -> None:
        self._path = path
        fs, inner = storage.filesystem(path)
        self._file = self._safe(lambda: fs.open_output_stream(inner, compression=None))
        self._deflate: Any = None
        if compression != "none":
            self._deflate = zlib.compressobj(wbits=_WINDOW[compression])
        self.bytes = 0

    def write(self, data: Any) -> None:
        """Write a buffer of bytes.

        Raises:
            StorageError: the file cannot be written.
        """
        if self._deflate:
            data = self._deflate.compress(data)
        self._put(data)

    def close(self) -> None:
        if self._deflate:
            self._put(self._deflate.flush())
        self._safe(self._file.close)

    def abort(self) -> None:
        """Close without an end: what is there is not a whole file."""
        self._safe(self._file.close)

    def _put(self, data: Any) -> None:
        buffer = pa.py_buffer(data)
        self.bytes += buffer.size
        self._safe(lambda: self._file.write(buffer))

    def _safe(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except OSError as error:
            raise storage.failure("write", self._path, error) from error
