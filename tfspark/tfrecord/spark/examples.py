"""Rows as serialized Examples in a column, for Kafka and other sinks that are no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tfspark.errors import ConfigError, StorageError
from tfspark.tensors.arrowtypes import loose
from tfspark.tfrecord.codec.columns import RefusedError
from tfspark.tfrecord.codec.decode import records
from tfspark.tfrecord.codec.encode import Encoder
from tfspark.tfrecord.codec.machine import HEADER, TRAILER
from tfspark.tfrecord.codec.schema import Layout, layout_of
from tfspark.tfrecord.codec.walk_kernels import walk_frames
from tfspark.tfrecord.spark import types as sparktypes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def to_example(
    df: DataFrame,
    columns: Sequence[str] | None = None,
    *,
    narrow: Mapping[str, str] | None = None,
) -> Column:
    """Each row as the bytes that the source would write for it, without a file's frame around it.

    Args:
        df: the DataFrame that the column is used with.
        columns: only these; default: all.
        narrow: as for `write_tfrecord`.

    Returns:
        A binary column: an Example, or a SequenceExample where a column is a list of lists.

    Raises:
        ConfigError: a column that is not there, or that no Example holds without loss.

    Example:
        df.select("key", to_example(df, narrow={"price": "float"}).alias("value"))
    """
    from pyspark.sql import functions as F
    from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

    names = df.columns if columns is None else list(columns)
    if unknown := [name for name in names if name not in df.columns]:
        raise ConfigError(f"to_example: there is no column {unknown[0]}; there are {df.columns}")
    kinds = df.select([F.col(_quoted(name)) for name in names]).schema
    schema, vectors = loose(sparktypes.to_arrow(kinds)), sparktypes.vectors(kinds)
    layout = layout_of(schema, narrow)

    @arrow_udf("binary")
    def encode(rows: pa.Array) -> pa.Array:
        batch = pa.RecordBatch.from_arrays(rows.flatten(), names)
        batch = sparktypes.without_vectors(batch, vectors)
        return _encoded(layout, sparktypes.cast(batch, schema, "to_example"))

    made: Column = encode(F.struct(*[F.col(_quoted(name)) for name in names]))
    return made


def _encoded(layout: Layout, batch: pa.RecordBatch) -> pa.Array:
    """The records of a batch: binary [rows]."""
    try:
        found = [*_records(Encoder(layout), batch)]
    except RefusedError as error:
        raise StorageError(f"to_example: {error}") from None
    return pa.concat_arrays(found) if found else pa.array([], pa.binary())


def _records(encoder: Encoder, batch: pa.RecordBatch) -> Iterator[pa.Array]:
    for data in encoder.encode(batch):
        most = len(data) // (HEADER + TRAILER)
        begin, end, good = np.empty(most, "int64"), np.empty(most, "int64"), np.empty(most, "bool")
        count, _, _ = walk_frames(data, 0, len(data), begin, end, good)
        yield records(data, begin[:count], end[:count]).cast(pa.binary())


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
