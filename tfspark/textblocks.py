"""Files of text as blocks of UTF-8 bytes: unpacked, decoded, from record to record."""

from __future__ import annotations

import codecs
import lzma
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from tfspark import storage

CORRUPT = "_tfspark_corrupt"
"""The column of records that do not have the fields of the table: their text."""
BLOCK = 8 << 20
_LOOK = 64 << 10  # bytes that are read at once to find a line's end
PACKED = {
    "gzip": (".gz", ".gzip"),
    "bzip2": (".bz2",),
    "zstd": (".zst", ".zstd"),
    "lz4": (".lz4",),
    "xz": (".xz",),
}
"""Compression → the endings of files that have it."""
UNKNOWN = (".snappy", ".deflate", ".lzo", ".br", ".z", ".zip", ".7z")
"""Endings of packed files that are not unpacked here."""
_ARROW = {"bzip2": "bz2"}
_UTF8 = ("utf-8", "ascii", "utf-8-sig")
_BROKEN = "tfspark.broken"
# Half a surrogate pair is no character of UTF-8, so who reads the text sees that it is damaged.
codecs.register_error(_BROKEN, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Coding:
    """How the bytes of files become text.

    Attributes:
        compression: one of `PACKED`, `none`, or `auto`: by the file's name.
    """

    encoding: str = "utf-8"
    compression: str = "auto"

    def packed(self, path: str) -> str | None:
        """The compression of a file."""
        if self.compression != "auto":
            return None if self.compression == "none" else self.compression
        found = [kind for kind, ends in PACKED.items() if path.lower().endswith(ends)]
        return found[0] if found else None


class Block(bytes):
    """Bytes of a file that begin with a record. `left`: where those begin that are not used."""

    left = 0


Span = tuple[int, int]
"""A piece of a file: where it begins, and where the next one does."""

UTF8 = Coding()


def blocks(
    path: str, coding: Coding, size: int | None = None, span: Span | None = None
) -> Iterator[tuple[Block, bool]]:
    """The text of a file as UTF-8, with what the block before has left; whether the file ends.

    A mark at the file's begin says UTF-8 or UTF-16 where the encoding is UTF-8.

    Args:
        span: a piece that is read as a file of its own: see `pieces`.

    Raises:
        StorageError: the file cannot be read.
    """
    with opened(path, coding) if span is None else _seekable(path) as stream:
        block, last, decoder = Block(), False, None
        first, left = True, -1
        if span is not None:
            stream.seek(span[0])
            left = span[1] - span[0]
            first = span[0] == 0
        while not last:
            read = stream.read(size or BLOCK if left < 0 else min(size or BLOCK, left))
            left -= len(read) if left > 0 else 0
            last = not read
            if first:
                decoder, read = _decoder(coding.encoding, read, stream)
                first = False
            if decoder is not None:
                read = decoder.decode(read, last).encode("utf-8", "surrogatepass")
            block = Block(block[block.left :] + read)
            yield block, last


def pieces(path: str, coding: Coding, size: int, step: int) -> list[Span]:
    """A file cut at line breaks, so that each piece has about `step` bytes; none: it stays whole.

    Only plain files of UTF-8 are cut.

    Args:
        size: the file's bytes.

    Raises:
        StorageError: the file cannot be read.
    """
    if size < 2 * step or coding.packed(path) or codecs.lookup(coding.encoding).name not in _UTF8:
        return []
    cuts = [0]
    with _seekable(path) as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return []
        for at in range(step, size - step // 2, step):
            if at < cuts[-1]:
                continue
            stream.seek(at)
            while (read := stream.read(_LOOK)) and b"\n" not in read:
                at += len(read)
            if read:
                cuts.append(at + read.index(b"\n") + 1)
    return [(start, end) for start, end in pairwise([*cuts, size]) if start < end]


@contextmanager
def _seekable(path: str) -> Iterator[Any]:
    fs, inner = storage.filesystem(path)
    try:
        with fs.open_input_file(inner) as stream:
            yield stream
    except (OSError, pa.ArrowException) as error:
        raise storage.failure("read", path, error) from error


def _decoder(encoding: str, read: bytes, stream: Any) -> tuple[Any, bytes]:
    """What makes text of the bytes, None for UTF-8, and the first bytes without their mark."""
    while 0 < len(read) < 3 and (more := stream.read(3 - len(read))):
        read += more
    if codecs.lookup(encoding).name not in _UTF8:
        return codecs.getincrementaldecoder(encoding)(_BROKEN), read
    if read.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return codecs.getincrementaldecoder("utf-16")(_BROKEN), read
    return None, read.removeprefix(codecs.BOM_UTF8)


@contextmanager
def opened(path: str, coding: Coding) -> Iterator[Any]:
    """A file's bytes, without its compression.

    Raises:
        StorageError: the file cannot be read.
    """
    fs, inner = storage.filesystem(path)
    packed = coding.packed(path)
    arrow = packed if packed != "xz" else None
    try:
        with (
            fs.open_input_stream(inner, compression=_ARROW.get(arrow or "", arrow)) as stream,
            lzma.LZMAFile(stream) if packed == "xz" else nullcontext(stream) as unpacked,
        ):
            yield unpacked
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException) as error:
        raise storage.failure("read", path, error) from error


def is_encoding(name: str) -> bool:
    """Whether text can be written in an encoding of this name."""
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except LookupError:
        return False


def decoded(data: bytes) -> str:
    """UTF-8 as text; `strings` makes bytes that are no UTF-8 of what is none."""
    return data.decode("utf-8", _BROKEN)


def strings(values: list[str | None]) -> pa.Array:
    """Texts as an Arrow column; half a surrogate pair becomes bytes that are no UTF-8."""
    coded = [None if v is None else v.encode("utf-8", "surrogatepass") for v in values]
    return as_text(pa.array(coded, pa.binary()))


def as_text(array: pa.Array) -> pa.Array:
    """Binary as text, whatever the bytes are."""
    return pa.Array.from_buffers(
        pa.string(), len(array), array.buffers(), array.null_count, array.offset
    )
