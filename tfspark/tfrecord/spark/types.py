"""Spark's types and Arrow's, as a TFRecord folder holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tfspark.errors import ConfigError, StorageError
from tfspark.tensors import arrowtypes
from tfspark.tensors.arrowtypes import loose

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def to_spark(schema: pa.Schema) -> StructType:
    """The Spark schema that rows of an Arrow schema are read as; everything may be null.

    Types that Spark lacks become the next that holds all their values: uint8 a short, uint64 a
    decimal(20), half float a float, a time in any unit Spark's time.

    Raises:
        ConfigError: Spark has no type for a column.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import types as T

    from tfspark.compat.spark import from_arrow_type

    fields = []
    for field in loose(schema):
        try:
            fields.append(T.StructField(field.name, from_arrow_type(_widened(field.type))))
        except PySparkException as error:
            raise ConfigError(
                f"column {field.name}: Spark has no type for {field.type}: leave it out (option "
                "columns)"
            ) from error
    return T.StructType(fields)


def to_arrow(schema: StructType) -> pa.Schema:
    """The Arrow schema that Spark's batches of a schema have; timestamps are UTC.

    Raises:
        ConfigError: a column of a type that no TFRecord file holds.
    """
    from pyspark.errors import PySparkException

    from tfspark.compat.spark import to_arrow_schema

    for field in schema:
        _refuse(field.name, field.dataType)
    try:
        return to_arrow_schema(schema, timezone="UTC")
    except PySparkException as error:
        raise ConfigError(f"{error}: leave the column out or cast it") from error


def stored(schema: pa.Schema) -> pa.Schema:
    """The types to read files with that came without a sidecar: a double is stored as a float."""
    return pa.schema([field.with_type(_stored(field.type)) for field in schema])


def cast(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """The columns of a schema, in its order and types; nothing is copied where the types agree.

    Raises:
        StorageError: a value does not fit its new type (column).
    """
    columns = []
    for field in schema:
        column = batch.column(field.name)
        try:
            columns.append(column if column.type.equals(field.type) else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise StorageError(
                f"{where}: column {field.name} is {column.type} and cannot be {field.type}: {error}"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _refuse(name: str, kind: object) -> None:
    from pyspark.sql import types as T

    if isinstance(kind, T.StructType):
        for field in kind:
            _refuse(f"{name}.{field.name}", field.dataType)
    elif isinstance(kind, T.ArrayType):
        _refuse(name, kind.elementType)
    elif isinstance(
        kind,
        T.MapType
        | T.NullType
        | T.UserDefinedType
        | T.VariantType
        | T.GeometryType
        | T.GeographyType
        | T.CalendarIntervalType
        | T.YearMonthIntervalType,
    ):
        raise ConfigError(
            f"column {name}: an Example holds no {kind.simpleString()}; leave the column out or "
            "make it numbers, text or arrays of them"
        )


def _widened(kind: pa.DataType) -> pa.DataType:
    t = pa.types
    if t.is_struct(kind):
        return pa.struct([field.with_type(_widened(field.type)) for field in kind])
    if arrowtypes.is_list(kind):
        return pa.list_(kind.value_field.with_type(_widened(kind.value_type)))
    if arrowtypes.is_text(kind):
        return pa.string()
    if arrowtypes.is_bytes(kind):
        return pa.binary()
    if t.is_decimal(kind) and kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    if t.is_time(kind):
        return pa.time64("ns")
    wider = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.date64(): pa.date32(),
    }
    return wider.get(kind, kind)


def _stored(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_stored(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_stored(kind.value_type)))
    return pa.float32() if pa.types.is_float64(kind) else kind
