"""A schema from records that came without one."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from tfspark.errors import IntegrityError, StorageError
from tfspark.tfrecord.codec import wire
from tfspark.tfrecord.codec.restore import RAW
from tfspark.tfrecord.codec.stream import ByteStream
from tfspark.tfrecord.codec.walk import Break, walk

_SAMPLE = 1 << 20  # bytes that are read at once
_FILES = 16  # that are opened
_ROWS = 1 << 14  # looked at at once


def infer_schema(
    path: str | Sequence[str],
    records: int | None = 1000,
    compression: str | None = None,
    on_corrupt: Literal["fail", "skip"] = "fail",
) -> pa.Schema:
    """The schema that fits the first records of a file, or of files; columns are sorted by name.

    Every column is int64, float (also where some records hold integers), or text where all
    sampled bytes are UTF-8, else binary; a list where a record has none or several values; a list
    of lists in `feature_lists`. All may be null, and a column without any value in the sample is
    left out.

    Args:
        path: a file or files, of which 16, from the first to the last, are looked into.
        records: number of sampled records in all; None: all records of all files.
        compression: none, gzip or zlib; None: what each file's first bytes show.
        on_corrupt: "skip": damaged records are left out.

    Raises:
        IntegrityError: a damaged record, or one that holds bytes in a feature where another holds
            numbers, or an integer that no float is where another holds floats, or a feature among
            the feature lists where another has one of its name beside them (record, offset).
        StorageError: a file cannot be read, or none has a record.
    """
    paths = [path] if isinstance(path, str) else list(path)
    opened = len(paths) if records is None else min(len(paths), _FILES)
    spread = np.linspace(0, len(paths) - 1, opened).astype(int).tolist()
    seen: dict[tuple[bool, bytes], _Seen] = {}
    count, skip = 0, on_corrupt == "skip"
    for number in [*spread, *sorted({*range(len(paths))} - {*spread})]:
        if number not in spread and count:  # the others only as long as all are empty
            break
        most = None if records is None else max(1, records // len(spread))
        for at, record in _records(paths[number], most, compression, skip):
            try:
                single, lists = wire.parse(record)
            except wire.WireError as error:
                if skip:
                    continue
                raise IntegrityError(
                    f"{at} is damaged: {error}; records of another kind are read with recordType "
                    "ByteArray"
                ) from None
            count += 1
            for key, values in single.items():
                seen.setdefault((False, key), _Seen()).take(values, at, key)
            for key, found in lists.items():
                for values in found:
                    seen.setdefault((True, key), _Seen()).take(values, at, key)
    if not count and skip:
        return infer_schema(path, records, compression)  # which says what is damaged
    if not count:
        named = f"{paths[0]} has no" if len(paths) == 1 else f"none of {len(paths)} files has a"
        raise StorageError(f"{named} record to take a schema from: give the schema")
    return pa.schema(_fields(seen))


def _fields(seen: dict[tuple[bool, bytes], _Seen]) -> Iterator[pa.Field]:
    places: dict[bytes, tuple[bool, str]] = {}
    for (nested, key), found in sorted(seen.items(), key=lambda item: item[0][1]):
        kind, name = found.type(nested), key.decode(errors="replace")
        if kind is None:
            continue
        if key in places:
            first, at = places[key]
            shapes = [("values", "a list of lists")[one] for one in (first, nested)]
            raise IntegrityError(
                f"{found.at} holds {shapes[1]} in {name}, {at} {shapes[0]}: give the schema of the "
                "records that you want"
            )
        places[key] = nested, found.at
        yield pa.field(key.decode(), kind)


def _records(
    path: str, most: int | None, compression: str | None, skip: bool
) -> Iterator[tuple[str, bytes]]:
    """The first records of a file, each with its place for messages."""
    source = ByteStream(path, compression)
    left = sys.maxsize if most is None else most
    try:
        for chunk in walk(source, _SAMPLE, min(left, _ROWS)):
            if isinstance(chunk, Break):
                if skip:
                    return
                at = f"record {chunk.record} at byte {chunk.offset}"
                raise IntegrityError(f"{path}: {at} is damaged: {chunk.said}; give the schema")
            for number in range(min(len(chunk.begin), left)):
                record, offset = chunk.place(number)
                at = f"{path}: record {record} at byte {offset}"
                if not chunk.good[number]:
                    if skip:
                        continue
                    raise IntegrityError(f"{at} is damaged: the sum of its data is wrong")
                yield at, chunk.data[chunk.begin[number] : chunk.end[number]].tobytes()
            left -= len(chunk.begin)
            if left <= 0:
                return
    finally:
        source.close()


class _Seen:
    """What a sample holds of one feature."""

    def __init__(self) -> None:
        self.at = ""  # where the first list is
        self.kinds: dict[str, str] = {}  # of lists that hold values: where the first one is
        self.empty: str | None = None  # the kind of a list that holds none
        self.single = True
        self.text = True
        self.no_float: str | None = None  # an integer that no float is, and where

    def take(self, values: wire.Values, at: str, key: bytes) -> None:
        kind, found = values
        if kind is None:
            return
        self.at = self.at or at
        self.single = self.single and len(found) == 1
        if not found:
            self.empty = kind
            return
        self.kinds.setdefault(kind, at)
        if "bytes" in self.kinds and len(self.kinds) > 1:
            (first, _), (_, there) = self.kinds.items()
            raise IntegrityError(
                f"{there} holds {kind} values in {key.decode(errors='replace')}, records before "
                f"it {first}: give the schema of the records that you want"
            )
        for value in found:
            if isinstance(value, bytes):
                self.text = self.text and _is_text(value)
            elif kind == "int64" and not self.no_float and not _is_float(value):
                self.no_float = f"{at} holds {value} in {key.decode(errors='replace')}"

    def type(self, nested: bool) -> pa.DataType | None:
        kind = "float" if "float" in self.kinds else next(iter(self.kinds), self.empty)
        if kind is None:
            return None
        if kind == "float" and self.no_float:
            raise IntegrityError(
                f"{self.no_float}, which no float is, and other records hold floats there: leave "
                "the column out by giving the schema of the others"
            )
        leaf = RAW[kind] if kind != "bytes" else pa.string() if self.text else pa.binary()
        if nested:
            return pa.list_(pa.list_(leaf))
        return leaf if self.single else pa.list_(leaf)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_float(value: int) -> bool:
    return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
