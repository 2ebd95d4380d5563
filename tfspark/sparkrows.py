"""A DataFrame's rows as Arrow batches, a partition at a time: never the whole result."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

_ROWS = 10_000


def arrow_rows(df: DataFrame) -> pa.RecordBatchReader:
    """All rows; of types that Arrow has not, the text that Spark makes of a value."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    from tfspark.compat.spark import to_arrow_schema

    names = df.columns
    df = df.toDF(*[f"c{at}" for at in range(len(names))])  # a query may name two columns alike
    df = df.select(
        *[
            F.col(field.name) if _in_arrow(field.dataType) else F.col(field.name).cast("string")
            for field in df.schema
        ]
    )
    schema = to_arrow_schema(df.schema, timezone="UTC")
    converts = [_convert(field.dataType) for field in df.schema]
    # As numbers: Python's own dates end in the year 9999.
    numbers: dict[Any, Callable[[Any], Any]] = {
        T.DateType: F.unix_date,
        T.TimestampType: F.unix_micros,
        T.TimestampNTZType: lambda column: F.unix_micros(column.cast("timestamp")),
    }
    columns = [(type(field.dataType), F.col(field.name)) for field in df.schema]
    handed = df.select(*[numbers[of](c) if of in numbers else c for of, c in columns])

    def batches() -> Iterator[pa.RecordBatch]:
        rows = handed.toLocalIterator()
        while some := list(islice(rows, _ROWS)):
            columns = [
                pa.array([convert(value) for value in values], kind)
                for convert, values, kind in zip(
                    converts, zip(*some, strict=True), schema.types, strict=True
                )
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=named)

    named = pa.schema([f.with_name(name) for f, name in zip(schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(named, batches())


def _in_arrow(kind: DataType) -> bool:
    from pyspark.sql import types as T

    from tfspark.compat.spark import arrow_of

    if isinstance(kind, T.UserDefinedType | T.VariantType | T.YearMonthIntervalType):
        return False
    try:
        arrow_of(kind)
    except Exception:  # Spark has many for this
        return False
    return True


def _convert(kind: DataType, inside: bool = False) -> Callable[[Any], Any]:
    """From Spark's Python values to those that Arrow takes for the same."""
    from pyspark.sql import types as T

    if isinstance(kind, T.TimestampType) and inside:
        # Spark gives instants as the local time of this process.
        return lambda value: value if value is None else value.astimezone(dt.UTC)
    if isinstance(kind, T.ArrayType):
        inner = _convert(kind.elementType, inside=True)
        return lambda value: value if value is None else [inner(one) for one in value]
    if isinstance(kind, T.MapType):
        key, inner = (_convert(k, inside=True) for k in (kind.keyType, kind.valueType))
        return lambda value: (
            value if value is None else [(key(k), inner(v)) for k, v in value.items()]
        )
    if isinstance(kind, T.StructType):
        fields = [(field.name, _convert(field.dataType, inside=True)) for field in kind]
        return lambda value: (
            value
            if value is None
            else {name: of(v) for (name, of), v in zip(fields, value, strict=True)}
        )
    return lambda value: value
