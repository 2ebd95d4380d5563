"""The tensor that a column becomes: dtype, shape of one row, and how a null is passed."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    """

    dtype: str
    shape: tuple[int | None, ...] = ()
    null: float | int | str | None = None

    def to_json(self) -> dict[str, Any]:
        null = "NaN" if isinstance(self.null, float) and math.isnan(self.null) else self.null
        return {"dtype": self.dtype, "shape": list(self.shape), "null": null}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TensorSpec:
        null = value.get("null")
        if null == "NaN" and value["dtype"] != "string":
            null = math.nan
        return cls(value["dtype"], tuple(value["shape"]), null)


def default_null(dtype: str) -> float | int | str | None:
    """What stands for null in a tensor of this dtype where nobody said otherwise."""
    return _DEFAULT_NULL.get(dtype)
