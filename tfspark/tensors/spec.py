"""The tensor that a column becomes: dtype, shape of one row, and how a null is passed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

INT_NULL = -(2**63)
"""The value that stands for null in an integer tensor unless a contract names another."""

_DEFAULT_NULL: dict[str, float | int | str] = {
    "float16": math.nan,
    "bfloat16": math.nan,
    "float32": math.nan,
    "float64": math.nan,
    "int64": INT_NULL,
    "string": "",
}


@dataclass(frozen=True)
class TensorSpec:
    """One named input or output of a model.

    Attributes:
        dtype: TensorFlow's name: `float32`, `int64`, `string`, `bool`...
        shape: shape of one row, without the batch dimension; `None` where any size is taken.
        null: the value that stands for null, or None where a null row cannot be passed.
        pad: the value that fills up lists that are shorter than their dimension, or than the
            longest of the batch where it is open; None where lists must have one length.
        refuse_nan: whether a row with NaN in it is a bad row. A null is none: `null` rules it.
        binary: of an output: whether text is left as bytes.
    """

    dtype: str
    shape: tuple[int | None, ...] = ()
    null: float | int | str | None = None
    pad: float | int | str | None = None
    refuse_nan: bool = False
    binary: bool = False

    # NaN is what stands for null more often than not. Dataclasses take one NaN object for its own
    # equal before Python 3.13, and no longer then.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape))

    def to_json(self) -> dict[str, Any]:
        """As a model's manifest holds it."""
        value: dict[str, Any] = {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "null": _value_to_json(self.null),
        }
        if self.pad is not None:
            value["pad"] = _value_to_json(self.pad)
        if self.refuse_nan:
            value["nan"] = "refuse"
        if self.binary:
            value["binary"] = True
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TensorSpec:
        """From an input of a model's manifest."""
        dtype = value["dtype"]
        null, pad = (_value_from_json(value.get(key), dtype) for key in ("null", "pad"))
        return cls(dtype, tuple(value["shape"]), null, pad, value.get("nan") == "refuse")

    def like(self, declared: TensorSpec) -> TensorSpec:
        """This tensor with the rules (`null`, `pad`, `refuse_nan`) of another."""
        return replace(self, null=declared.null, pad=declared.pad, refuse_nan=declared.refuse_nan)

    def of_one(self) -> TensorSpec:
        """The tensor of one of the columns that lie side by side in this one."""
        return TensorSpec(self.dtype, (), self.null, None, self.refuse_nan)


def default_null(dtype: str) -> float | int | str | None:
    """What stands for null in a tensor of this dtype where nobody said otherwise.

    Args:
        dtype: of the tensor, as TensorFlow says it.

    Returns:
        The value, or None where nothing stands for null.
    """
    return _DEFAULT_NULL.get(dtype)


def _value_to_json(value: float | int | str | None) -> float | int | str | None:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _value_from_json(value: float | int | str | None, dtype: str) -> float | int | str | None:
    return math.nan if value == "NaN" and dtype != "string" else value
