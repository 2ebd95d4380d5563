"""Record batches of one task to staged files: a file a partition value, cut by size and rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, StorageError
from tfspark.tfrecord.codec.stream import SUFFIX, Compression
from tfspark.tfrecord.codec.write import Writer
from tfspark.tfrecord.folder.commit import Commit, StagedFile
from tfspark.tfrecord.folder.manifest import partition_folder
from tfspark.wording import say

FILE_BYTES = 128 << 20
"""Bytes after which a file is ended, as they are on disk."""

_STRUCTS = 50  # inside each other: Arrow's files and streams end at 64 levels
_OPEN = 64  # files that a task writes at once; more partition values make more files


@dataclass(frozen=True)
class Cut:
    """How files are written.

    Attributes:
        bytes: a file is ended when it is as large.
        rows: most records of a file; None: any number.
    """

    compression: Compression = "none"
    bytes: int = FILE_BYTES
    rows: int | None = None


def write_parts(
    commit: Commit, batches: Iterable[pa.RecordBatch], cut: Cut, task: int, attempt: str
) -> list[StagedFile]:
    """Write the rows of one attempt of a task; where it fails, nothing is left of it.

    Args:
        batches: columns of the layout and the partition columns, in any order.
        task: number of the task, in the names of the files.
        attempt: a name that no other attempt of the job has.

    Raises:
        StorageError: a value that the file cannot hold, or a file cannot be written.
        ConfigError: the columns are not those of the write.
    """
    folder = storage.join(commit.staging, attempt)
    # Not with its parents: when the job has ended, an attempt that still runs must not go on.
    if not storage.parse(folder).is_objects:
        fs, inner = storage.filesystem(folder)
        try:
            fs.create_dir(inner, recursive=False)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error}") from error
    files = _Files(commit, cut, task, folder)
    try:
        rows = sum(files.write(batch) for batch in batches)
        parts = files.close()
    except BaseException:
        files.drop()
        with suppress(OSError, StorageError):
            storage.delete(folder)
        raise
    if (written := sum(part.rows for part in parts)) != rows:
        raise StorageError(f"{folder}: {rows} rows came in, {written} were written: write again")
    return parts


class _Files:
    """The open files of a task, by partition values."""

    def __init__(self, commit: Commit, cut: Cut, task: int, folder: str) -> None:
        self._commit, self._cut, self._task, self._folder = commit, cut, task, folder
        self._open: dict[tuple[Any, ...], tuple[Writer, str, str]] = {}
        self._parts: list[StagedFile] = []
        self._count = 0

    def write(self, batch: pa.RecordBatch) -> int:
        for values, rows in _split(batch, self._commit.partition_by):
            start = 0
            while start < rows.num_rows:
                writer = self._writer(values)
                room = rows.num_rows if self._cut.rows is None else self._cut.rows - writer.rows
                piece = rows.slice(start, room)
                writer.write(piece)
                start += piece.num_rows
                if writer.bytes >= self._cut.bytes or writer.rows == self._cut.rows:
                    self._end(values)
        return int(batch.num_rows)

    def close(self) -> list[StagedFile]:
        for values in list(self._open):
            self._end(values)
        return self._parts

    def drop(self) -> None:
        for writer, _, _ in self._open.values():
            with suppress(StorageError):
                writer.__exit__(*sys.exc_info())

    def _writer(self, values: tuple[Any, ...]) -> Writer:
        if values in self._open:
            return self._open[values][0]
        if len(self._open) == _OPEN:
            self._end(next(iter(self._open)))
        suffix = SUFFIX[self._cut.compression]
        name = f"part-{self._task:05}-{self._commit.job}-{self._count:03}.tfrecord{suffix}"
        staged = storage.join(self._folder, name)
        writer = Writer(staged, self._commit.layout, self._cut.compression)
        self._open[values] = (writer, staged, name)
        self._count += 1
        return writer

    def _end(self, values: tuple[Any, ...]) -> None:
        writer, staged, name = self._open[values]
        written = writer.close()
        del self._open[values]
        partition = dict(zip(self._commit.partition_by.names, values, strict=True))
        self._parts.append(
            StagedFile(
                staged, partition_folder(partition) + name, written.rows, written.bytes, partition
            )
        )


def _split(
    batch: pa.RecordBatch, partition_by: pa.Schema
) -> Iterator[tuple[tuple[Any, ...], pa.RecordBatch]]:
    """The rows of each combination of partition values, in their order, without those columns."""
    names = partition_by.names
    if not names or not batch.num_rows:
        yield (), batch
        return
    rest = batch.drop_columns(names)
    encoded = [batch.column(name).dictionary_encode() for name in names]
    codes = np.stack([c.indices.fill_null(-1).to_numpy(zero_copy_only=False) for c in encoded])
    found, group = np.unique(codes, axis=1, return_inverse=True)
    group = group.reshape(-1)
    if found.shape[1] > 1:
        order = np.argsort(group, kind="stable")
        rest = rest.take(pa.array(order))
        starts = np.searchsorted(group[order], np.arange(found.shape[1] + 1))
    else:
        starts = np.array([0, batch.num_rows])
    for number in range(found.shape[1]):
        values = tuple(
            None if code < 0 else column.dictionary[int(code)].as_py()
            for code, column in zip(found[:, number], encoded, strict=True)
        )
        yield values, rest.slice(int(starts[number]), int(starts[number + 1] - starts[number]))


def partition_schema(schema: pa.Schema, names: Iterable[str]) -> tuple[pa.Schema, pa.Schema]:
    """The schema of the records, and that of the partition columns.

    Raises:
        ConfigError: a column is not there, has values that make no folder, or none is left; or a
            column has more structs inside each other than all readers take.
    """
    names = list(names)
    for field in schema:
        if (deep := _structs(field.type)) > _STRUCTS:
            raise ConfigError(say("structs_too_deep", name=field.name, deep=deep, most=_STRUCTS))
    for number, name in enumerate(names):
        if name not in schema.names or name in names[:number]:
            why = "named twice" if name in schema.names else f"not there: {schema.names}"
            raise ConfigError(f"partitionBy: column {name} is {why}")
        kind, t = schema.field(name).type, pa.types
        if not (t.is_string(kind) or t.is_integer(kind) or t.is_boolean(kind) or t.is_date32(kind)):
            raise ConfigError(
                f"partitionBy: column {name} is {kind}; folders are made of text, integers, "
                "booleans or dates: cast it"
            )
    rest = pa.schema([field for field in schema if field.name not in names])
    if not rest.names:
        raise ConfigError("partitionBy: names all columns, a record would hold none")
    return rest, pa.schema([schema.field(name) for name in names])


def _structs(kind: pa.DataType) -> int:
    """How many structs are inside each other."""
    return (
        1 + max(map(_structs, [f.type for f in kind]), default=0) if pa.types.is_struct(kind) else 0
    )
