"""Files of Arrow record batches, each batch the rows of one number: what tasks hand to tasks.

A file is Arrow's IPC file format. Tasks of the next step read the batches of their numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import fs as pafs
from pyarrow import ipc

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.tensors import Array

_FEW = (1 << 16) - 1


class Slice(NamedTuple):
    """The rows of one number in a file.

    Attributes:
        batch: its place among the file's record batches.
        bytes: in memory.
    """

    path: str
    batch: int
    number: int
    rows: int
    bytes: int


class SliceWriter:
    """One file, written by one attempt of a task; used as a context.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self.slices: list[Slice] = []
        self._path = path
        fs, inner = storage.filesystem(path)
        with _telling("write", path):
            self._stream = fs.open_output_stream(inner)
            # Over a network bytes cost more than cycles.
            packed = None if isinstance(fs, pafs.LocalFileSystem) else "lz4"
            options = ipc.IpcWriteOptions(compression=packed, use_threads=False)
            self._writer = ipc.new_file(self._stream, schema, options=options)

    def __enter__(self) -> SliceWriter:
        return self

    def __exit__(self, *error: object) -> None:
        with _telling("write", self._path):
            self._writer.close()
            self._stream.close()

    def write(self, rows: pa.RecordBatch, numbers: Array | None = None) -> None:
        """Write rows, in their order within each number.

        Args:
            numbers: which number each row is of, from 0 on, integers [rows]; None: all are of 0.
        """
        if numbers is None:
            self._write(rows, 0)
            return
        few = int(numbers.max()) <= _FEW
        # Of short integers NumPy sorts by their digits: a seventh of the time.
        order = np.argsort(numbers.astype(np.uint16) if few else numbers, kind="stable")
        ordered, numbers = rows.take(pa.array(order)), numbers[order]
        starts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
        for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
            self._write(ordered.slice(start, end - start), int(numbers[start]))

    def _write(self, rows: pa.RecordBatch, number: int) -> None:
        with _telling("write", self._path):
            self._writer.write_batch(rows)
        at = len(self.slices)
        self.slices.append(Slice(self._path, at, number, rows.num_rows, rows.nbytes))


def read_slices(
    slices: Sequence[Slice], columns: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of slices; those of one file should follow each other.

    Args:
        columns: the positions of the columns to read; None: all.

    Raises:
        StorageError: a file cannot be read.
    """
    options = ipc.IpcReadOptions(use_threads=False, included_fields=columns)
    for path, inside in groupby(slices, key=lambda one: one.path):
        fs, inner = storage.filesystem(path)
        with _telling("read", path), fs.open_input_file(inner) as stream:
            reader = ipc.open_file(stream, options=options)
            for one in inside:
                yield reader.get_batch(one.batch)


def attempt() -> str:
    """A name that no other attempt of a task has."""
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    return f"{context.partitionId():05d}-{context.taskAttemptId()}"


@contextmanager
def _telling(verb: str, path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"cannot {verb} {path}: {error}") from error
