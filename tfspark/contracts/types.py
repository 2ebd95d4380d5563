"""The types that a contract can name: `bigint`, `decimal(10,2)`, `array<float>`."""

from __future__ import annotations

import re

from pyspark.sql import types as T

from tfspark.wording import say

_SIMPLE: dict[str, T.DataType] = {
    "boolean": T.BooleanType(),
    "tinyint": T.ByteType(),
    "smallint": T.ShortType(),
    "int": T.IntegerType(),
    "bigint": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "string": T.StringType(),
    "binary": T.BinaryType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
}
TENSOR_DTYPE = {
    "boolean": "int64",
    "tinyint": "int64",
    "smallint": "int64",
    "int": "int64",
    "bigint": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "string",
    "date": "int64",
    "timestamp": "int64",
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_ARRAY = re.compile(r"array<(.+)>")
LOGICAL = {
    "boolean": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "string": "string",
    "binary": "string",
    "date": "date",
    "timestamp": "timestamp",
    "array": "array",
}


def spark_type(physical: str) -> T.DataType:
    """Spark's type of a `physicalType` such as `bigint`, `decimal(10,2)`, `array<float>`.

    Raises:
        ValueError: the type is not one that a contract can name.
    """
    text = physical.strip().lower()
    if text in _SIMPLE:
        return _SIMPLE[text]
    if match := _DECIMAL.fullmatch(text):
        precision, scale = int(match[1]), int(match[2])
        if not (1 <= precision <= 38 and scale <= precision):
            raise ValueError(say("bad_decimal", type=physical))
        return T.DecimalType(precision, scale)
    if match := _ARRAY.fullmatch(text):
        return T.ArrayType(spark_type(match[1]))
    known = ", ".join([*_SIMPLE, "decimal(p,s)", "array<type>"])
    raise ValueError(say("unknown_type", type=physical, known=known))


def family(physical: str) -> str:
    """`decimal(10,2)` → `decimal`, `array<float>` → `array`, `int` → `int`."""
    return re.split(r"[(<]", physical.strip().lower(), maxsplit=1)[0]
