"""A contract: what a raw table must look like. Everything else is derived from it.

The file's shape follows the Open Data Contract Standard v3 (ODCS): one `schema` entry with
`properties`; `role`, `validValues`, `tensor` and `quarantine` are ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pyspark.sql import types as T

from tfspark.contracts.column import Column, Part, Role
from tfspark.contracts.example import example_spec, sequence_spec
from tfspark.contracts.mistakes import of_table
from tfspark.contracts.types import spark_type
from tfspark.tensors.spec import TensorSpec


class Quarantine(Part):
    """How many bad rows a day may have before the job stops: both bounds must hold.

    So must the bounds of all its rows, which ODCS calls `rowCount`.
    """

    max_share: float | None = Field(0.01, alias="maxShare", ge=0, le=1)
    max_rows: int | None = Field(None, alias="maxRows", ge=0)
    least_rows: int | None = Field(None, alias="leastRows", ge=0)
    most_rows: int | None = Field(None, alias="mostRows", ge=0)

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Younger fields only where they are set: the digests of older contracts stay."""
        value: dict[str, Any] = dump(self)
        young = ("leastRows", "mostRows", "least_rows", "most_rows")
        return {k: v for k, v in value.items() if v is not None or k not in young}


class Table(Part):
    """ODCS: one object of `schema`."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    description: str = ""
    quarantine: Quarantine = Quarantine()
    properties: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Table:
        said = [text for _, text in of_table(self.model_dump(by_alias=True))]
        if said:
            raise ValueError("; ".join(said))
        return self


class Contract(Part):
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
        """The one table that a contract describes."""
        return self.tables[0]

    @property
    def name(self) -> str:
        """Of the table."""
        return self.table.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """In the order of the file."""
        return self.table.properties

    @property
    def keys(self) -> list[str]:
        """Names of the key columns."""
        return [column.name for column in self.columns if column.key]

    @property
    def label(self) -> str | None:
        """Name of the column with role `label`; None: there is none."""
        return next((c.name for c in self.columns if c.role == "label"), None)

    @property
    def weight(self) -> str | None:
        """Name of the column with role `weight`; None: there is none."""
        return next((c.name for c in self.columns if c.role == "weight"), None)

    def column(self, name: str) -> Column:
        """The column of this name.

        Raises:
            KeyError: there is none.
        """
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
        return example_spec(self.columns, narrow)

    def sequence_spec(self, narrow: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Column name → tf.io feature, of the lists of lists.

        A table that has any is stored as SequenceExamples: `tf.io.parse_sequence_example(records,
        contract.example_spec(), contract.sequence_spec())`.
        """
        return sequence_spec(self.columns, narrow)

    def for_scoring(self) -> Contract:
        """The same contract without what is not known yet at scoring: labels and weights."""
        columns = tuple(c for c in self.columns if c.role not in ("label", "weight"))
        return with_columns(self, columns)

    def digest(self) -> str:
        """sha256 of the contract's meaning: layout and comments of the file do not count."""
        content = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def with_columns(contract: Contract, columns: Iterable[Column]) -> Contract:
    """The same contract of other columns."""
    table = contract.table.model_copy(update={"properties": tuple(columns)})
    return contract.model_copy(update={"tables": (table,)})
