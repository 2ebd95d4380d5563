"""How MLflow opens a version of ours: `mlflow.pyfunc.load_model("models:/name@champion")`.

The rules are those of scoring: the files are verified, the ops checked, nulls are what stands for
them, and the model runs behind the wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tfspark.errors import SignatureError
from tfspark.registry.resolve import ModelFolder, resolve_model
from tfspark.scoring.local import scorer_of
from tfspark.tensors import misfit


class Predictor:
    """A model as MLflow calls it."""

    def __init__(self, model: ModelFolder) -> None:
        self._model = model
        self._scorer = scorer_of(model)

    def predict(self, rows: Any, params: Mapping[str, Any] | None = None) -> Any:
        """A pandas frame of the outputs, a row for a row.

        Args:
            rows: a pandas frame, or columns by name.
            params: none are known.

        Raises:
            SignatureError: a column is not there, or does not fit.
            ValueError: a row cannot be scored.
        """
        import pandas as pd

        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        outputs, reasons = self._scorer.here(self._columns(frame))
        for row, reason in enumerate(reasons):
            if reason.is_valid:
                raise ValueError(
                    f"model {self._model.path}: row {row} cannot be scored: {reason.as_py()}"
                )
        table = pa.Table.from_arrays(list(outputs), list(self._model.signature.outputs))
        return table.to_pandas().set_index(frame.index)

    def _columns(self, frame: Any) -> Sequence[pa.Array]:
        columns = []
        for name, spec in self._model.signature.inputs.items():
            where = f"model {self._model.path}: input {name}"
            if name not in frame:
                raise SignatureError(f"{where} has no column of its name")
            column = pa.Array.from_pandas(frame[name])
            if reason := misfit(column.type, spec):
                raise SignatureError(f"{where} cannot take a column of {column.type}: {reason}")
            columns.append(column)
        return columns


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(resolve_model(path))
