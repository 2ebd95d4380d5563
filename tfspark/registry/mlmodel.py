"""`MLmodel`: what MLflow's own functions and pages read of a version, and find beside its files.

MLflow opens a version with it (`mlflow.pyfunc.load_model`, `mlflow models serve`), by our loader
`tfspark.scoring.pyfunc`; its pages show the signature and the example. Both files are of the model,
with a sum in the manifest, so what they say depends on the model alone. The example is made up:
rows of the training data do not belong beside a model.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfspark.tensors import TensorSpec

FILE, EXAMPLE = "MLmodel", "input_example.json"
LOADER = "tfspark.scoring.pyfunc"
META = "registered_model_meta"
"""MLflow writes it beside `MLmodel`, also in the registry, when it loads a version."""

_TYPES = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "float16": "float",
    "bfloat16": "float",
    "float32": "float",
    "float64": "double",
    "string": "string",
}
_EXAMPLES = {"boolean": False, "integer": 0, "long": 0, "string": "a"}


def write_mlmodel(
    folder: str, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]
) -> None:
    """Write both files into a local folder with a SavedModel.

    Args:
        folder: of the model, without a manifest yet.
        inputs: name → tensor of one row, with its rule for null.
        outputs: the same of the outputs.
    """
    names = list(inputs)
    example = {"columns": names, "data": [[_example(inputs[name]) for name in names]]}
    Path(folder, EXAMPLE).write_text(json.dumps(example) + "\n")
    about = {
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "python_version": ".".join(platform.python_version_tuple()[:2]),
            }
        },
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "pandas_orient": "split",
            "type": "dataframe",
        },
        "signature": {
            "inputs": json.dumps([_column(name, spec) for name, spec in inputs.items()]),
            "outputs": json.dumps([_column(name, spec) for name, spec in outputs.items()]),
            "params": None,
        },
    }
    Path(folder, FILE).write_text(yaml.safe_dump(about))


def _column(name: str, spec: TensorSpec) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": _type(spec)}
    for _ in _lists(spec):
        kind = {"type": "array", "items": kind}
    return {**kind, "name": name, "required": spec.null is None}


def _example(spec: TensorSpec) -> Any:
    value: Any = _EXAMPLES.get(_type(spec), 0.5)
    for size in reversed(_lists(spec)):
        value = [value] * (size or 1)
    return value


def _lists(spec: TensorSpec) -> tuple[int | None, ...]:
    return () if spec.shape == (1,) else spec.shape


def _type(spec: TensorSpec) -> str:
    return _TYPES.get(spec.dtype, "long")
