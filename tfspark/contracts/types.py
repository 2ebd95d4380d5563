"""The types that a contract can name: `bigint`, `decimal(10,2)`, `array<float>`."""

from __future__ import annotations

import re

from pyspark.sql import types as T

from tfspark.contracts.odcs import TYPES
from tfspark.wording import hinted, say

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
_WITH_LENGTH = (
    r"([a-z_][a-z_0-9 ]*?) ?[(\[] ?([0-9]+|max) ?(?:, ?([0-9]+) ?)?[)\]]"
    r"((?: with(?:out)? time zone)?)"
)
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
    said = say("unknown_type", type=physical, known=known)
    raise ValueError(hinted(said, text, [*_SIMPLE, *TYPES]))


def element(physical: str) -> tuple[str, int]:
    """The type inside all lists, and how many lists are around it."""
    depth = 0
    while match := _ARRAY.fullmatch(physical.strip().lower()):
        physical, depth = match[1], depth + 1
    return physical.strip().lower(), depth


def canonical(physical: str) -> tuple[str, int | None]:
    """The type that a database's type means here, and how many characters it has room for.

    `VARCHAR(18)` is a string of at most 18, `numeric(10,2)` is `decimal(10,2)`, `list<integer>` is
    `array<int>`. `decimal` and the like without digits are `decimal(38,18)`.

    Raises:
        ValueError: as `spark_type`.
    """
    text = " ".join(physical.strip().lower().split())
    try:
        spark_type(text)
        return text, None
    except ValueError as error:
        wrong = error
    if match := re.fullmatch("(?:array|list)<(.+)>", text):
        inner, room = canonical(match[1])
        if room is not None:
            raise ValueError(say("no_item_rules"))
        return f"array<{inner}>", None
    match = re.fullmatch(_WITH_LENGTH, text)
    name = f"{match[1]}{match[4] or ''}".strip() if match else text
    base = TYPES.get(name, name)
    length = match[2] if match else None
    if base.startswith("decimal(") and length not in (None, "max"):
        base = f"decimal({length},{match[3] or 0})" if match else base
    if name == "float" and length is not None and match and not match[3] and int(length) > 24:
        base = "double"
    try:
        spark_type(base)
    except ValueError:
        raise (
            wrong if "decimal" not in base else ValueError(say("bad_decimal", type=physical))
        ) from None
    is_text = base == "string" and length not in (None, "max")
    return base, int(length) if is_text and length else None


def family(physical: str) -> str:
    """`decimal(10,2)` → `decimal`, `array<float>` → `array`, `int` → `int`."""
    return re.split(r"[(<]", physical.strip().lower(), maxsplit=1)[0]
