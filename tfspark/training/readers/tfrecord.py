"""TFRecord files of `tf.train.Example`, with tf.data.

Integers, booleans, dates (days) and timestamps (microseconds) are int64 features, floats and
doubles float features, strings and binary bytes features. A null is a feature that is not there;
so is an empty list, which is read as null where the contract allows one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import fs as pafs

from tfspark import storage
from tfspark.errors import ConfigError, IntegrityError
from tfspark.tensors import Array
from tfspark.training.readers.source import Block, in_schema

_BATCH = 4096


class TFRecordSource:
    """A block is a file; how many rows it has is in the dataset's manifest."""

    def __init__(self, files: Mapping[str, int | None]) -> None:
        self.blocks: list[Block] = []
        for path, rows in files.items():
            if rows is None:
                raise IntegrityError(f"{path}: the manifest does not say how many rows it has")
            if rows:
                self.blocks.append(Block(path, 0, rows))

    def read(self, block: Block, schema: pa.Schema) -> pa.Table:
        import tensorflow as tf

        features = {field.name: _feature(field) for field in schema}
        fs, inner = storage.filesystem(block.file)
        path = inner if isinstance(fs, pafs.LocalFileSystem) else block.file
        kind = "GZIP" if path.endswith(".gz") else ""
        records = tf.data.TFRecordDataset(path, kind).batch(_BATCH)
        try:
            # Outside of tf.data: its graph would be made anew for every file.
            tables = [_table(tf.io.parse_example(some, features), schema) for some in records]
        except (tf.errors.OpError, ValueError, pa.ArrowException) as error:
            said = str(error).split(" [Op:")[0]
            raise IntegrityError(
                f"{block.file} cannot be read: {said}; it was damaged or is not of this contract: "
                "prepare it again"
            ) from error
        return (
            in_schema(pa.concat_tables(tables), schema, block.file)
            if tables
            else (schema.empty_table())
        )

    def close(self) -> None:
        pass


def _feature(field: pa.Field) -> Any:
    import tensorflow as tf

    t, kind = pa.types, field.type
    listed = t.is_list(kind)
    leaf = kind.value_type if listed else kind
    if t.is_floating(leaf):
        dtype = tf.float32
    elif t.is_integer(leaf) or t.is_boolean(leaf) or t.is_date(leaf) or t.is_timestamp(leaf):
        dtype = tf.int64
    elif t.is_string(leaf) or t.is_binary(leaf):
        dtype = tf.string
    else:
        raise ConfigError(f"column {field.name}: TFRecord holds no {kind}; use Parquet")
    if listed or field.nullable:
        return tf.io.VarLenFeature(dtype)
    return tf.io.FixedLenFeature([], dtype)


def _table(batch: dict[str, Any], schema: pa.Schema) -> pa.Table:
    import tensorflow as tf

    columns = []
    for field in schema:
        found = batch[field.name]
        if not isinstance(found, tf.SparseTensor):
            columns.append(_typed(found.numpy(), field.type))
            continue
        rows = int(found.dense_shape[0])
        counts = np.bincount(found.indices[:, 0].numpy(), minlength=rows)
        if pa.types.is_list(field.type):
            values = _typed(found.values.numpy(), field.type.value_type)
            ends = np.concatenate([[0], np.cumsum(counts)]).astype("int32")
            mask = pa.array(counts == 0) if field.nullable else None
            columns.append(pa.ListArray.from_arrays(pa.array(ends), values, mask=mask))
            continue
        if counts.max(initial=0) > 1:
            raise ValueError(f"{field.name} has several values in one row")
        values = _typed(found.values.numpy(), field.type)
        at = np.where(counts == 1, np.cumsum(counts) - 1, -1)
        columns.append(values.take(pa.array(at, mask=at < 0)))
    return pa.Table.from_arrays(columns, schema.names)


def _typed(values: Array, kind: pa.DataType) -> pa.Array:
    t = pa.types
    if t.is_date(kind):
        return pa.array(values.astype("int32")).cast(kind)
    if t.is_boolean(kind) or t.is_timestamp(kind):
        return pa.array(values).cast(kind)
    if t.is_string(kind):
        return pa.array(values, pa.binary()).cast(kind)
    return pa.array(values).cast(kind) if values.dtype != object else pa.array(values, kind)
