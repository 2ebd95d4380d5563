"""A column of a contract: its type, its rules, and the tensor that it becomes."""

from __future__ import annotations

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

from tfspark.contracts.mistakes import of_column
from tfspark.contracts.types import TENSOR_DTYPE, family, spark_type
from tfspark.tensors.spec import TensorSpec, default_null
from tfspark.wording import say

Role = Literal["key", "feature", "label", "weight", "time", "ignore"]


class Part(BaseModel):
    """What every part of a contract has in common: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Tensor(Part):
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


class Options(Part):
    """ODCS `logicalTypeOptions`: bounds in the column's type, lengths count characters.

    A bound of a date or a timestamp is text, and so is one of more digits than a double has.
    """

    minimum: float | int | str | None = None
    maximum: float | int | str | None = None
    pattern: str | None = None
    min_length: int | None = Field(None, alias="minLength", ge=0)
    max_length: int | None = Field(None, alias="maxLength", ge=0)
    exclusive_minimum: float | int | str | None = Field(None, alias="exclusiveMinimum")
    exclusive_maximum: float | int | str | None = Field(None, alias="exclusiveMaximum")
    multiple_of: int | None = Field(None, alias="multipleOf", ge=1)
    min_items: int | None = Field(None, alias="minItems", ge=0)
    max_items: int | None = Field(None, alias="maxItems", ge=0)
    format: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Younger fields only where they are set: the digests of older contracts stay."""
        value: dict[str, Any] = dump(self)
        return {k: v for k, v in value.items() if v is not None or k in _OLD}


_OLD = {"minimum", "maximum", "pattern", "minLength", "maxLength", "min_length", "max_length"}


class Column(Part):
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
        said = [text for _, text in of_column(self.model_dump(by_alias=True))]
        if said:
            raise ValueError("; ".join(said))
        return self

    @property
    def key(self) -> bool:
        """Whether it is part of the primary key, or has the role."""
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
        dtype = self.tensor.dtype or TENSOR_DTYPE.get(kind)
        if dtype is None:
            raise ValueError(say("no_tensor", name=self.name, type=self.physical_type))
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
