"""One TFRecord file to record batches."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError, StorageError
from tfspark.tfrecord.codec.decode import Decoder
from tfspark.tfrecord.codec.infer import infer_schema
from tfspark.tfrecord.codec.restore import MisfitError
from tfspark.tfrecord.codec.schema import Layout, layout_to_read, read_sidecar
from tfspark.tfrecord.codec.stream import ByteStream
from tfspark.tfrecord.codec.walk import Break, Chunk, walk

CHUNK = 1 << 22
"""Bytes that are decoded at once."""
_ROWS = 1 << 16  # counted at once
_WRONG_SUM = "the sum of its data is wrong"
OnCorrupt = Literal["fail", "skip"]


class Reading:
    """An iterator of record batches; its counts are whole once it has ended.

    Attributes:
        schema: the schema of every batch.
        rows: records that were given so far.
        corrupt: records that were skipped; a damaged frame counts as one, as nothing says how
            many it hides.
        lost: the byte offset (before compression) from which nothing could be read, or None.
    """

    def __init__(
        self,
        path: str,
        layout: Layout,
        columns: Sequence[str] | None,
        skip: bool,
        source: ByteStream,
    ) -> None:
        self._path, self._skip, self._source = path, skip, source
        self._decoder = Decoder(layout, columns)
        self.schema = self._decoder.schema
        self.rows = self.corrupt = 0
        self.lost: int | None = None
        self._batches: Generator[pa.RecordBatch, None, None] = self._run()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def close(self) -> None:
        """Close the file; reading to its end does this too."""
        self._batches.close()
        self._source.close()

    def _run(self) -> Generator[pa.RecordBatch, None, None]:
        try:
            for found in walk(self._source, CHUNK, self._decoder.rows):
                if isinstance(found, Break):
                    self._bad(found.record, found.offset, found.said)
                    self.lost = found.offset
                elif batch := self._decode(found):
                    self.rows += batch.num_rows
                    yield batch
        finally:
            self._source.close()

    def _decode(self, chunk: Chunk) -> pa.RecordBatch | None:
        good = np.flatnonzero(chunk.good)
        for at in np.flatnonzero(~chunk.good).tolist():
            self._bad(*chunk.place(at), _WRONG_SUM)
        if not len(good):
            return None
        try:
            batch, damaged = self._decoder.decode(chunk.data, chunk.begin[good], chunk.end[good])
        except MisfitError as error:
            record, offset = chunk.place(int(good[error.row]))
            raise StorageError(
                f"{self._path}: record {record} at byte {offset} {error.reason}: read it with the "
                "schema that it was written with"
            ) from None
        for at in damaged.tolist():
            self._bad(*chunk.place(int(good[at])), "it is no Example")
        return batch if batch.num_rows else None

    def _bad(self, record: int, offset: int, reason: str) -> None:
        if not self._skip:
            raise _damaged(self._path, record, offset, reason)
        self.corrupt += 1


def read_file(
    path: str,
    schema: pa.Schema | Layout | None = None,
    columns: Sequence[str] | None = None,
    on_corrupt: OnCorrupt = "fail",
    compression: str | None = None,
) -> Reading:
    """Read a file, a batch at a time.

    Args:
        path: a local path or a URI.
        schema: the records' schema; None: the one that the folder's `_schema.json` declares, or
            without that file the one of a sample (`infer_schema`).
        columns: only these, in this order; the others are not decoded. None: all, and of a schema
            from a sample a record with a feature that no sampled one has is an error.
        on_corrupt: "fail", or "skip" and count (see `Reading`).
        compression: none, gzip or zlib; None: what the file's first bytes show.

    Raises:
        ConfigError: an unknown column or policy, a schema that no Example holds.
        IntegrityError: a damaged record: the file, the record's number, its byte offset.
        StorageError: the file cannot be read, or a record does not fit the schema.
    """
    skip = _skips(on_corrupt)
    if schema is None:
        folder = storage.absolute(path).rsplit("/", 1)[0]
        schema = read_sidecar(folder)
    if schema is None:
        layout = layout_to_read(infer_schema(path, compression=compression, on_corrupt=on_corrupt))
        layout = replace(layout, sampled=() if columns is None else None)
    else:
        layout = schema if isinstance(schema, Layout) else layout_to_read(schema)
    if unknown := sorted(set(columns or ()) - set(layout.schema.names)):
        raise ConfigError(f"{path} has no column {unknown[0]}; it has {layout.schema.names}")
    return Reading(path, layout, columns, skip, ByteStream(path, compression))


@dataclass(frozen=True)
class Counted:
    """What a file holds: whole records, and as `Reading` has them: `corrupt` and `lost`."""

    rows: int
    corrupt: int
    lost: int | None


def count_records(
    path: str, on_corrupt: OnCorrupt = "fail", compression: str | None = None
) -> Counted:
    """Count a file's records and check all sums; nothing is decoded.

    Args:
        path: a local path or a URI.
        on_corrupt: `fail`, or `skip`: count damaged records and go on.
        compression: none, gzip or zlib; None: what the file's first bytes show.

    Raises:
        ConfigError: an unknown policy or compression.
        IntegrityError: a damaged frame: the file, the record's number, its byte offset.
        StorageError: the file cannot be read.
    """
    skip, rows, corrupt, lost = _skips(on_corrupt), 0, 0, None
    source = ByteStream(path, compression)
    try:
        for found in walk(source, CHUNK, _ROWS):
            if isinstance(found, Break):
                lost = found.offset
                bad = [(found.record, found.offset, found.said)]
            else:
                rows += int(found.good.sum())
                bad = [
                    (*found.place(at), _WRONG_SUM) for at in np.flatnonzero(~found.good).tolist()
                ]
            corrupt += len(bad)
            if bad and not skip:
                raise _damaged(path, *bad[0])
    finally:
        source.close()
    return Counted(rows, corrupt, lost)


def _skips(on_corrupt: str) -> bool:
    if on_corrupt not in ("fail", "skip"):
        raise ConfigError(f"on_corrupt is {on_corrupt!r}: use fail or skip")
    return on_corrupt == "skip"


def _damaged(path: str, record: int, offset: int, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: record {record} at byte {offset} is damaged: {reason}; get the file again from "
        "where it came, or skip corrupt records"
    )
