"""TFRecord by files, with the codec."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from tfspark.errors import IntegrityError, StorageError
from tfspark.tfrecord import Layout, count_records, read_file, read_sidecar
from tfspark.tfrecord.spark.types import stored
from tfspark.training.readers.source import Block, in_schema


class TFRecordSource:
    """A block is a file: where its records begin is known only once it is read."""

    def __init__(self, files: Mapping[str, int | None]) -> None:
        """
        Args:
            files: path → rows that it should have, None where nobody knows: they are counted.

        Raises:
            IntegrityError: a file that had to be counted is damaged.
        """
        self._declared: dict[str, Layout | None] = {}
        known = {path: _count(path) if rows is None else rows for path, rows in files.items()}
        self.blocks = [Block(path, 0, rows) for path, rows in known.items() if rows]

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        declared = self._layout(block.file)
        there = declared.schema.names if declared else schema.names
        names = [name for name in schema.names if name in there]
        try:
            reading = read_file(block.file, declared or stored(schema), names)
            table = pa.Table.from_batches(reading, reading.schema)
        except StorageError as error:
            raise _unreadable(block.file, error) from error
        return in_schema(table, schema, block.file)

    def close(self) -> None:
        pass

    def _layout(self, file: str) -> Layout | None:
        """What the sidecar in the file's folder declares."""
        folder = file.rsplit("/", 1)[0]
        if folder not in self._declared:
            self._declared[folder] = read_sidecar(folder)
        return self._declared[folder]


def _count(path: str) -> int:
    try:
        return count_records(path).rows
    except StorageError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: StorageError) -> IntegrityError:
    said = str(error).removeprefix(f"{path}: ").split("; ")[0]
    return IntegrityError(
        f"{path} cannot be read: {said}; it was damaged or is not of this contract: prepare it "
        "again"
    )
