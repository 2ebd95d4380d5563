"""Spark's types and Arrow's, as a TFRecord folder holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.errors import ConfigError, StorageError
from tfspark.tensors import arrowtypes
from tfspark.tensors.arrowtypes import loose
from tfspark.wording import say

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)
"""ML vectors as Spark hands them over and takes them; of type 0 they are sparse."""


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
    from pyspark.sql import types as T

    from tfspark.compat.spark import to_arrow_schema

    plain = []
    for field in schema:
        kind = T.ArrayType(T.DoubleType()) if _is_vector(field.dataType) else field.dataType
        _refuse(field.name, kind)
        plain.append(T.StructField(field.name, kind, field.nullable))
    schema = T.StructType(plain)
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
        StorageError: a value does not fit its new type, or a null a column that is not nullable.
    """
    columns = []
    for field in schema:
        column = batch.column(field.name)
        if (name := _with_null(field, column)) is not None:
            raise StorageError(f"{where}: {say('null_refused', name=name)}")
        try:
            columns.append(_lossless(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise StorageError(
                f"{where}: column {field.name} is {column.type} and cannot be {field.type}: {error}"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _lossless(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as another type, from which it can be had back: not all casts of Arrow's are so.

    Raises:
        ArrowInvalid: a value would become another one.
    """
    if column.type.equals(kind):
        return column
    made = column.cast(kind)
    if pa.types.is_nested(kind) or not _may_lose(column.type, kind):
        return made
    back = made.cast(column.type)
    same = pc.equal(back, column)
    if pa.types.is_floating(column.type):
        same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(column)))
    if pc.all(same).as_py() is False:
        at = same.index(False).as_py()
        raise pa.ArrowInvalid(f"{column[at]} would become {made[at]}")
    return made


def _may_lose(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether Arrow's cast between them, which is safe for integers, may change a value."""
    t = pa.types
    if t.is_floating(one) and t.is_floating(other):
        return bool(other.bit_width < one.bit_width)
    kinds = (t.is_floating, t.is_decimal, t.is_temporal, t.is_boolean, arrowtypes.is_text)
    return any(is_kind(one) or is_kind(other) for is_kind in kinds)


def _with_null(field: pa.Field, column: pa.Array) -> str | None:
    """The name of the field, or of one inside, that holds a null and may not."""
    if not field.nullable and column.null_count:
        return str(field.name)
    if pa.types.is_struct(field.type) and pa.types.is_struct(column.type):
        here = column.drop_null() if column.null_count else column
        for inner in field.type:
            at = column.type.get_field_index(inner.name)
            if at >= 0 and (name := _with_null(inner, here.field(at))):
                return f"{field.name}.{name}"
    elif arrowtypes.is_list(field.type) and arrowtypes.is_list(column.type):
        item = field.type.value_field
        if pa.types.is_nested(item.type) or not item.nullable:
            return field.name if _with_null(item, column.flatten()) else None
    return None


def vectors(schema: StructType) -> list[str]:
    """The columns of ML vectors, which are stored as lists of their values."""
    return [field.name for field in schema if _is_vector(field.dataType)]


def without_vectors(batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    """The batch with lists of doubles for ML vectors as Spark hands them over."""
    for name in names:
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, name, _dense(batch.column(at)))
    return batch


def with_vectors(batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    """The batch with dense ML vectors, as Spark takes them, for lists of doubles."""
    for name in names:
        at, rows = batch.schema.get_field_index(name), batch.num_rows
        values = batch.column(at)
        parts = [
            pa.repeat(pa.scalar(1, pa.int8()), rows),
            pa.nulls(rows, pa.int32()),
            pa.nulls(rows, _VECTOR.field("indices").type),
            values.cast(_VECTOR.field("values").type),
        ]
        mask = values.is_null() if values.null_count else None
        made = pa.StructArray.from_arrays(parts, fields=list(_VECTOR), mask=mask)
        batch = batch.set_column(at, pa.field(name, _VECTOR, batch.schema.field(at).nullable), made)
    return batch


def _dense(vectors: pa.StructArray) -> pa.Array:
    """Vectors {type, size, indices, values}, of which type 0 is sparse, as lists of values."""
    values = pc.struct_field(vectors, "values")
    sparse = pc.equal(pc.struct_field(vectors, "type"), 0)
    if not pc.any(sparse).as_py():
        return values
    lists = []
    sizes, places = (pc.struct_field(vectors, name) for name in ("size", "indices"))
    for flag, size, indices, value in zip(sparse, sizes, places, values, strict=True):
        if not flag.as_py():
            lists.append(value.as_py())
            continue
        whole = np.zeros(size.as_py())
        whole[indices.as_py()] = value.as_py()
        lists.append(whole)
    return pa.array(lists, pa.list_(pa.float64()))


def _is_vector(kind: object) -> bool:
    """Whether it is one of Spark's own types of vectors, of `ml` or of `mllib`."""
    name = f"{type(kind).__module__}.{type(kind).__name__}"
    return name in ("pyspark.ml.linalg.VectorUDT", "pyspark.mllib.linalg.VectorUDT")


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
