"""What Spark does to columns of the pandas plan before Python sees them.

pandas would turn nullable integers into floats and overflow on timestamps outside 1677 to 2262,
so Spark itself fills nulls with the value that stands for null, and passes dates as days,
timestamps as microseconds, text as its bytes. A null that nothing stands for makes a bad row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark.compat.spark import arrow_of
from tfspark.scoring.model.binding import Binding, Route
from tfspark.tables import quote
from tfspark.tensors import NAN, NO_NULL, TensorSpec, arrow_type

if TYPE_CHECKING:
    from pyspark.sql import Column

_NTZ_EPOCH = "TIMESTAMP_NTZ'1970-01-01 00:00:00'"


def columns_for(
    binding: Binding, schema: T.StructType
) -> tuple[list[Column], list[pa.DataType], list[Column]]:
    """The expressions that feed one input.

    Returns:
        The columns without nulls; their Arrow types; and for each rule that a row may break the
        expression of its reason, null for a good row.
    """
    if isinstance(binding, Route):
        return [F.col(quote(binding.columns[0])).cast("string")], [pa.string()], []
    columns: list[Column] = []
    kinds: list[pa.DataType] = []
    reasons: list[Column] = []
    for name in binding.columns:
        field = schema[name]
        column, kind = _plain(F.col(quote(name)), field.dataType)
        if binding.spec.refuse_nan and isinstance(_leaf(kind), T.FloatType | T.DoubleType):
            told = binding.about(len(columns)) + NAN
            reasons.append(F.when(_any_nan(column, kind), F.lit(told)))
        raw = isinstance(kind, T.BinaryType) and binding.spec.dtype != "string"
        if not raw and (field.nullable or _has_null_elements(kind)):
            column, kind, broken = _without_nulls(column, kind, binding)
            if broken is not None:
                told = binding.about(len(columns)) + NO_NULL
                reasons.append(F.when(broken, F.lit(told)))
        columns.append(column)
        kinds.append(arrow_of(kind))
    return columns, kinds, reasons


def judged(binding: Binding, schema: T.StructType) -> Binding:
    """A binding for Python, where a filled null may be NaN: Spark has refused NaN before."""
    raw = bool(binding.columns) and isinstance(schema[binding.columns[0]].dataType, T.BinaryType)
    return binding if raw else replace(binding, spec=replace(binding.spec, refuse_nan=False))


def as_text(schema: T.StructType, names: Sequence[str]) -> Column:
    """Columns of a row as one JSON text, for people: of binary the length, no maps and structs."""
    shown = []
    for name in names:
        column, kind = F.col(quote(name)), schema[name].dataType
        leaf = _leaf(kind)
        if isinstance(kind, T.BinaryType):
            said = F.concat(F.lit("<"), F.octet_length(column).cast("string"), F.lit(" bytes>"))
            shown.append(said.alias(name))
        elif isinstance(leaf, T.AtomicType) and not isinstance(leaf, T.BinaryType | T.VariantType):
            shown.append(column.alias(name))
    return F.to_json(F.struct(*shown)) if shown else F.lit("{}")


def spark_type(spec: TensorSpec) -> T.DataType:
    """The type of the column that an output becomes."""
    from tfspark.compat.spark import from_arrow_type

    kind: T.DataType = from_arrow_type(arrow_type(spec))
    return kind


def _plain(column: Column, kind: T.DataType) -> tuple[Column, T.DataType]:
    """A column of one of the few types that pandas carries unchanged."""
    if isinstance(kind, T.ArrayType):
        # Most arrays are numbers, and need nothing done a value at a time.
        inner = _plain(F.lit(None), kind.elementType)[1]
        if inner != kind.elementType:
            column = F.transform(column, lambda value: _plain(value, kind.elementType)[0])
        return column, T.ArrayType(inner, kind.containsNull)
    if isinstance(kind, T.StringType | T.CharType | T.VarcharType):
        return column.cast("binary"), T.BinaryType()
    if isinstance(kind, T.DateType):
        return F.unix_date(column), T.IntegerType()
    if isinstance(kind, T.TimestampType):
        return F.unix_micros(column), T.LongType()
    if isinstance(kind, T.TimestampNTZType):
        micros = F.timestamp_diff("MICROSECOND", F.expr(_NTZ_EPOCH), column)
        return micros, T.LongType()
    if isinstance(kind, T.DecimalType):
        return column.cast("double"), T.DoubleType()
    return column, kind


def _has_null_elements(kind: T.DataType) -> bool:
    return isinstance(kind, T.ArrayType) and (
        kind.containsNull or _has_null_elements(kind.elementType)
    )


def _without_nulls(
    column: Column, kind: T.DataType, binding: Binding
) -> tuple[Column, T.DataType, Column | None]:
    null = binding.spec.null
    if not isinstance(kind, T.ArrayType):
        filled, kind = _filled(column, kind, null)
        return filled, kind, column.isNull() if null is None else None
    broken: Column | None = None
    leaf = _leaf(kind)
    # Nulls among floats arrive as NaN by themselves, those among texts as nulls.
    if _has_null_elements(kind) and not isinstance(leaf, T.BinaryType):
        is_float = isinstance(leaf, T.FloatType | T.DoubleType)
        if null is None:
            broken = _any_null(column, kind)
        if not (is_float and isinstance(null, float) and np.isnan(null)):
            column, kind = _fill_elements(column, kind, null)
    if null is not None:
        return F.coalesce(column, _constant(binding.spec.shape, null, kind)), kind, broken
    missing = column.isNull()
    broken = missing if broken is None else missing | broken
    return F.coalesce(column, F.array().cast(kind)), kind, broken


def _filled(column: Column, kind: T.DataType, null: Any) -> tuple[Column, T.DataType]:
    """Nulls replaced by the value that stands for null, or by zero where nothing does."""
    if isinstance(kind, T.BinaryType):
        return F.coalesce(column, F.lit((null or "").encode())), kind
    if isinstance(kind, T.FloatType | T.DoubleType):
        return F.coalesce(column, F.lit(float(null or 0.0)).cast(kind)), kind
    if null is None or isinstance(null, bool):
        return F.coalesce(column, F.lit(int(null or 0)).cast(kind)), kind
    wider: T.DataType = T.DoubleType() if isinstance(null, float) else T.LongType()
    return F.coalesce(column.cast(wider), F.lit(null).cast(wider)), wider


def _fill_elements(column: Column, kind: T.ArrayType, null: Any) -> tuple[Column, T.DataType]:
    element = kind.elementType
    if isinstance(element, T.ArrayType):
        inner = _fill_elements(F.lit(None), element, null)[1]
        filled = F.transform(column, lambda v: _fill_elements(v, element, null)[0])
        return filled, T.ArrayType(inner, kind.containsNull)
    inner = _filled(F.lit(None), element, null)[1]
    filled = F.transform(column, lambda v: _filled(v, element, null)[0])
    return filled, T.ArrayType(inner, False)


def _any_null(column: Column, kind: T.ArrayType) -> Column:
    element = kind.elementType
    if isinstance(element, T.ArrayType):
        return F.exists(column, lambda v: v.isNull() | _any_null(v, element))
    return F.exists(column, lambda v: v.isNull())


def _any_nan(column: Column, kind: T.DataType) -> Column:
    if isinstance(kind, T.ArrayType):
        return F.exists(column, lambda v: _any_nan(v, kind.elementType))
    return F.isnan(column)


def _constant(shape: tuple[int | None, ...], null: Any, kind: T.DataType) -> Column:
    """The row that stands for a null list: every value of it stands for null.

    Where a length is open it is one, whatever the rows beside it have.
    """
    value = F.lit(null.encode() if isinstance(null, str) else null).cast(_leaf(kind))
    levels = 0
    while isinstance(kind, T.ArrayType):
        levels, kind = levels + 1, kind.elementType
    sizes = [1 if size is None else size for size in shape]
    for size in reversed(sizes if levels == len(sizes) else [int(np.prod(sizes))]):
        value = F.array_repeat(value, size)
    return value


def _leaf(kind: T.DataType) -> T.DataType:
    while isinstance(kind, T.ArrayType):
        kind = kind.elementType
    return kind
