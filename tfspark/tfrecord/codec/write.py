"""Record batches to one TFRecord file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, StorageError
from tfspark.tfrecord.codec.columns import RefusedError
from tfspark.tfrecord.codec.encode import Encoder
from tfspark.tfrecord.codec.schema import Layout, layout_of
from tfspark.tfrecord.codec.stream import Sink, compression_of

_ROWS = 1 << 16  # made flat at once
_BYTES = 8 << 20


@dataclass(frozen=True)
class Written:
    """What a file holds: its records, and its bytes as they are on disk."""

    rows: int
    bytes: int


class Writer:
    """A file that grows batch by batch; `bytes` says how large it is so far.

    Left by an exception, or never closed, the file is not a whole one: write it under a name of
    its own and rename it.
    """

    def __init__(self, path: str, layout: Layout, compression: str | None = None) -> None:
        """
        Args:
            path: a local path or a URI; what is there is replaced.
            compression: none, gzip or zlib; None: what the name says (`.gz`, `.zlib`).

        Raises:
            ConfigError: an unknown compression.
            StorageError: the file cannot be made.
        """
        self._path, self._layout = path, layout
        self._encoder = Encoder(layout)
        self._sink = Sink(path, compression_of(path, compression))
        self.rows = 0

    @property
    def bytes(self) -> int:
        """The size of the file so far, as it is on disk."""
        return self._sink.bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch.

        Raises:
            ConfigError: the batch's columns are not those of the layout.
            StorageError: a value that the file cannot hold (column, row of the file), or the file
                cannot be written.
        """
        self._check(batch.schema)
        per_row = max(1, batch.nbytes // max(1, batch.num_rows))
        step = max(1, min(_ROWS, _BYTES // per_row))
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            try:
                for data in self._encoder.encode(piece):
                    self._sink.write(data)
            except RefusedError as error:
                raise StorageError(
                    f"{self._path}: {error} (the batch begins at record {self.rows})"
                ) from None
            self.rows += piece.num_rows

    def close(self) -> Written:
        """Finish the file."""
        self._sink.close()
        return Written(self.rows, self._sink.bytes)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sink.abort() if kind else self.close()

    def _check(self, schema: pa.Schema) -> None:
        for field in self._layout.schema:
            if schema.get_field_index(field.name) < 0:
                raise ConfigError(
                    f"{self._path}: a batch has no column {field.name}, the schema has; its "
                    f"columns are {schema.names}"
                )
        if len(schema) != len(self._layout.schema):
            more = sorted(set(schema.names) - set(self._layout.schema.names))
            raise ConfigError(f"{self._path}: a batch has columns that the schema has not: {more}")


def write_file(
    path: str,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | Layout,
    compression: str | None = None,
    narrow: Mapping[str, str] | None = None,
) -> Written:
    """Write a whole file; where it fails, nothing is left of it.

    Args:
        path: a local path or a URI.
        batches: all of `schema`.
        schema: the Arrow schema, or a layout made by `layout_of`.
        compression: none, gzip or zlib; None: what the name says (`.gz`, `.zlib`).
        narrow: see `layout_of`.

    Raises:
        ConfigError: a column that no Example holds, columns that are not the schema's.
        StorageError: a value that the file cannot hold, or the file cannot be written.
    """
    layout = schema if isinstance(schema, Layout) else layout_of(schema, narrow)
    writer = Writer(path, layout, compression)
    try:
        with writer:
            for batch in batches:
                writer.write(batch)
    except BaseException:
        if storage.exists(path):
            storage.delete_file(path)
        raise
    return Written(writer.rows, writer.bytes)
