"""The members of a zip, each read by itself, so that tasks share one zip without its directory."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED, _UTF8 = 0x1, 0x800


class Member(NamedTuple):
    """Where a member's bytes are.

    Attributes:
        packed: bytes in the zip.
        method: 0 stored, 8 deflated; others are not read.
    """

    offset: int
    packed: int
    bytes: int
    method: int
    crc: int
    encrypted: bool


class Unreadable(Exception):
    """Why a file has no bytes."""


def members(stream: Any) -> Iterator[tuple[str, Member]]:
    """Name and place of every file in a zip, in its order; a name may be there twice.

    Raises:
        zipfile.BadZipFile: it is no zip, or cut off.
    """
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield (
                    _name(info),
                    Member(
                        info.header_offset,
                        info.compress_size,
                        info.file_size,
                        info.compress_type,
                        info.CRC,
                        bool(info.flag_bits & _ENCRYPTED),
                    ),
                )


def read_member(stream: Any, member: Member) -> bytes:
    """The bytes of a member.

    Raises:
        Unreadable: why there are none.
    """
    if member.encrypted:
        raise Unreadable("is encrypted in the zip; pack it without a password")
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(f"is packed by method {member.method}; pack the zip with deflate")
    stream.seek(member.offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != _SIGNATURE:
        raise Unreadable("is damaged in the zip")
    *_, name, extra = _LOCAL.unpack(header)
    stream.seek(member.offset + _LOCAL.size + name + extra)
    packed: bytes = stream.read(member.packed)
    found = packed
    if member.method == zipfile.ZIP_DEFLATED:
        try:  # one byte more than there should be is enough to know
            found = zlib.decompressobj(-15).decompress(packed, member.bytes + 1)
        except zlib.error:
            raise Unreadable("is damaged in the zip") from None
    if len(found) != member.bytes or zlib.crc32(found) != member.crc:
        raise Unreadable("is damaged in the zip")
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """As UTF-8 where its bytes are: many programs write that and do not say so."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name if "/" in name else name.replace("\\", "/")
