"""Tensors to tensors in the process that scores: the same session, wall and checks as a table's.

A table's scorer takes columns, a row for a row. A request may have tensors of any shape, which
travel as columns of one row: the values of a tensor, and its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.errors import TfsparkError
from tfspark.scoring.worker.opened import open_model, telling
from tfspark.scoring.worker.predict import LocalScorer
from tfspark.tensors import Array

_INTERNAL = 13
"""TensorFlow's code of an error that has none."""
PROBE = [pa.array([0])]
"""What opens the model and calls it with nothing."""


@dataclass(frozen=True)
class TensorScorer(LocalScorer):
    """A signature of a model, called with its whole inputs."""

    def here(self, columns: Sequence[pa.Array]) -> tuple[list[pa.Array], pa.Array]:
        """Call the model once.

        Args:
            columns: of `to_columns`, in the order of the signature's inputs; or `PROBE`.

        Returns:
            Those of the outputs; and why there are none: TensorFlow's code, a colon and a text.
        """
        about = (self.packed, self.signature.own(), self.threads)
        model = open_model(*about, warm_up=False, walled=self.wall, deadline=self.deadline)
        if len(columns) == len(PROBE):
            return [], pa.nulls(1, pa.string())
        given = from_columns(columns, self.signature.inputs)
        try:
            outputs = model.run(list(given.values()))
        except TfsparkError:
            raise
        except Exception as error:
            code = getattr(error, "error_code", None) or _INTERNAL
            return [], pa.array([f"{int(code)}:{telling(error)}"])
        return to_columns(outputs[name] for name in self.signature.outputs), pa.nulls(
            1, pa.string()
        )


def to_columns(tensors: Iterable[Any]) -> list[pa.Array]:
    """Two columns of one row for each tensor: values and shape."""
    columns = []
    for tensor in map(np.asarray, tensors):
        text = tensor.dtype.kind in "OSU"
        flat = np.ascontiguousarray(tensor).reshape(-1)
        values = pa.array(flat.astype(object), pa.large_binary()) if text else pa.array(flat)
        columns += [_one(values), _one(pa.array(tensor.shape, pa.int64()))]
    return columns


def from_columns(columns: Sequence[pa.Array], names: Mapping[str, object]) -> dict[str, Array]:
    """The tensors that were written, by their names."""
    pairs = zip(columns[::2], columns[1::2], strict=True)
    return {
        name: values.flatten().to_numpy(zero_copy_only=False).reshape(shape.flatten().to_pylist())
        for name, (values, shape) in zip(names, pairs, strict=True)
    }


def _one(values: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
