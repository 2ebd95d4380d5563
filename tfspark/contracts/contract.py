"""A contract: what a raw table must look like. Everything else is derived from it.

The file's shape follows the Open Data Contract Standard v3 (ODCS): one `schema` entry with
`properties`; `role`, `validValues`, `tensor` and `quarantine` are ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pyspark.sql import types as T

from tfspark.contracts.tensor import TensorSpec, default_null

Role = Literal["key", "feature", "label", "weight", "time", "ignore"]

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
_TENSOR_DTYPE = {
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
            raise ValueError(f"{physical}: precision is 1 to 38, scale at most the precision")
        return T.DecimalType(precision, scale)
    if match := _ARRAY.fullmatch(text):
        return T.ArrayType(spark_type(match[1]))
    known = ", ".join([*_SIMPLE, "decimal(p,s)", "array<type>"])
    raise ValueError(f"unknown type {physical!r}; known: {known}")


def family(physical: str) -> str:
    """`decimal(10,2)` → `decimal`, `array<float>` → `array`, `int` → `int`."""
    return re.split(r"[(<]", physical.strip().lower(), maxsplit=1)[0]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Tensor(_Part):
    """How a column becomes a tensor, where the default is not what is wanted."""

    dtype: Literal["float32", "float64", "int64", "uint8", "string"] | None = None
    shape: tuple[int | None, ...] | None = None
    null_value: float | int | str | None = Field(None, alias="nullValue")
    pad_value: float | int | str | None = Field(None, alias="padValue")
    nan: Literal["refuse"] | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Younger fields only where they are set: the digests of older contracts stay."""
        value: dict[str, Any] = dump(self)
        for name in ("padValue", "pad_value", "nan"):
            if value.get(name, 0) is None:
                del value[name]
        return value


class Options(_Part):
    """ODCS `logicalTypeOptions`: bounds are inclusive, lengths count characters."""

    minimum: float | int | None = None
    maximum: float | int | None = None
    pattern: str | None = None
    min_length: int | None = Field(None, alias="minLength", ge=0)
    max_length: int | None = Field(None, alias="maxLength", ge=0)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value


class Column(_Part):
    """One column of the table (ODCS: a property)."""

    name: str = Field(min_length=1)
    description: str = ""
    physical_type: str = Field(alias="physicalType")
    logical_type: str | None = Field(None, alias="logicalType")
    required: bool = False
    unique: bool = False
    primary_key: bool = Field(False, alias="primaryKey")
    role: Role = "feature"
    valid_values: tuple[str | int | float | bool, ...] | None = Field(None, alias="validValues")
    options: Options = Field(Options(), alias="logicalTypeOptions")
    tensor: Tensor = Tensor()

    @field_validator("physical_type")
    @classmethod
    def _known(cls, value: str) -> str:
        spark_type(value)
        return value.strip().lower()

    @model_validator(mode="after")
    def _fits(self) -> Column:
        kind = family(self.physical_type)
        if self.logical_type not in (None, LOGICAL[kind]):
            raise ValueError(
                f"{self.physical_type} is a {LOGICAL[kind]}, not a {self.logical_type}"
            )
        if (self.options.minimum, self.options.maximum) != (None, None) and LOGICAL[kind] not in (
            "integer",
            "number",
        ):
            raise ValueError(f"minimum and maximum are for numbers, not {self.physical_type}")
        text_checks = (self.options.pattern, self.options.min_length, self.options.max_length)
        if text_checks != (None, None, None) and kind != "string":
            raise ValueError(f"pattern and lengths are for strings, not {self.physical_type}")
        if self.tensor.dtype == "uint8" and kind != "binary":
            raise ValueError(f"a uint8 tensor is raw binary, pixel by pixel, not {kind}")
        if self.tensor.pad_value is not None and kind != "array":
            raise ValueError(f"padValue is for arrays, not {kind}")
        if self.name.startswith("_tfspark"):
            raise ValueError("names that start with _tfspark are kept for tfspark's own columns")
        return self

    @property
    def key(self) -> bool:
        return self.primary_key or self.role == "key"

    def tensor_spec(self) -> TensorSpec:
        """The tensor of this column.

        Integers, booleans (0/1), dates (days since 1970-01-01) and timestamps (microseconds
        since then) become int64; float float32; double float64; string and binary string.

        Raises:
            ValueError: a decimal or a nested array without a declared `tensor`.
        """
        kind = family(self.physical_type)
        shape: tuple[int | None, ...] = ()
        base = self.physical_type
        while kind == "array":
            shape += (None,)
            base = base[len("array<") : -1]
            kind = family(base)
        dtype = self.tensor.dtype or _TENSOR_DTYPE.get(kind)
        if dtype is None:
            raise ValueError(
                f"column {self.name}: {self.physical_type} fits no tensor without loss; name the "
                "narrowing: tensor: {dtype: float64}"
            )
        null = self.tensor.null_value
        if null is None and not self.required and not shape:
            null = default_null(dtype)
        return TensorSpec(
            dtype,
            self.tensor.shape or shape,
            null,
            self.tensor.pad_value,
            self.tensor.nan is not None,
        )


class Quarantine(_Part):
    """How many bad rows a day may have before the job stops: both bounds must hold."""

    max_share: float | None = Field(0.01, alias="maxShare", ge=0, le=1)
    max_rows: int | None = Field(None, alias="maxRows", ge=0)


class Table(_Part):
    """ODCS: one object of `schema`."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    description: str = ""
    quarantine: Quarantine = Quarantine()
    properties: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Table:
        seen: dict[str, str] = {}
        for column in self.properties:
            if other := seen.get(column.name.lower()):
                raise ValueError(f"two columns of one name: {other} and {column.name}")
            seen[column.name.lower()] = column.name
        if not any(column.key for column in self.properties):
            raise ValueError("no key: mark the column(s) that name a row with primaryKey: true")
        return self


class Contract(_Part):
    """A data contract: `contract.columns`, and what is derived from them."""

    api_version: str = Field("v3.0.2", alias="apiVersion")
    kind: Literal["DataContract"]
    id: str
    version: str
    status: str = "active"
    description: str | dict[str, str] = ""
    tables: tuple[Table] = Field(alias="schema")

    @field_validator("version", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) else value

    @property
    def table(self) -> Table:
        return self.tables[0]

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.table.properties

    @property
    def keys(self) -> list[str]:
        return [column.name for column in self.columns if column.key]

    @property
    def label(self) -> str | None:
        return next((c.name for c in self.columns if c.role == "label"), None)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def spark_schema(self) -> T.StructType:
        """Spark's schema of the table once it is checked."""
        return T.StructType(
            [
                T.StructField(c.name, spark_type(c.physical_type), not c.required)
                for c in self.columns
            ]
        )

    def tensor_specs(self, roles: tuple[Role, ...] = ("feature",)) -> dict[str, TensorSpec]:
        """Column name → tensor, for the columns of these roles."""
        return {c.name: c.tensor_spec() for c in self.columns if c.role in roles}

    def example_spec(self, narrow: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Column name → tf.io feature, to parse the TFRecord files of a dataset with.

            records = tf.data.TFRecordDataset(paths, "GZIP").batch(1024)
            batches = records.map(lambda r: tf.io.parse_example(r, contract.example_spec()))

        A value is a scalar: int64 (integers, booleans, dates as days, timestamps as microseconds),
        float32 (float, double) or string (string, binary, decimal); a null is the column's
        `nullValue`, or what stands for null in its tensor. A list is a RaggedTensor, which shows a
        null as an empty list, or a tensor where the contract declares its shape.

        Args:
            narrow: `prepare.narrow`: a decimal that was stored as "float" is float32.
        """
        from tfspark.contracts.example import example_spec

        return example_spec(self, narrow)

    def sequence_spec(self, narrow: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Column name → tf.io feature, of the lists of lists.

        A table that has any is stored as SequenceExamples: `tf.io.parse_sequence_example(records,
        contract.example_spec(), contract.sequence_spec())`.
        """
        from tfspark.contracts.example import sequence_spec

        return sequence_spec(self, narrow)

    def for_scoring(self) -> Contract:
        """The same contract without what is not known yet at scoring: labels and weights."""
        columns = tuple(c for c in self.columns if c.role not in ("label", "weight"))
        table = self.table.model_copy(update={"properties": columns})
        return self.model_copy(update={"tables": (table,)})

    def digest(self) -> str:
        """sha256 of the contract's meaning: layout and comments of the file do not count."""
        content = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
