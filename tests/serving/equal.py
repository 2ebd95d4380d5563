"""A served answer and a scored row are the same bits."""

from __future__ import annotations

import atexit
import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfspark.registry.resolve import resolve_model
from tfspark.scoring.local import scorer_of
from tfspark.scoring.worker.parent import Child
from tfspark.serving.model import Served
from tfspark.serving.request import parse

child = Child()
"""One process for the models of all tests of this process."""
atexit.register(child.close)


def served(folder: str, columns: Mapping[str, Sequence[Any]], signature: str | None = None) -> Any:
    """What a client gets for rows; after it was compared with the same rows scored at once."""
    model = resolve_model(folder, signature=signature)
    inputs = model.signature.inputs
    rows = len(next(iter(columns.values())))
    instances = [{name: _json(columns[name][n]) for name in inputs} for n in range(rows)]
    body = json.dumps({"instances": instances, "signature_name": model.signature.name})
    found = json.loads(Served(model, "m", 1, child=child).answer("predict", parse(body.encode())))

    arrays = [pa.array(columns[name]) for name in inputs]
    outputs, reasons = scorer_of(model, batch_rows=rows).here(arrays)
    assert reasons.null_count == rows
    names = list(model.signature.outputs)
    for name, column in zip(names, outputs, strict=True):
        told = [one[name] if len(names) > 1 else one for one in found["predictions"]]
        scored = column.to_pylist()
        if isinstance(told[0], list) and not isinstance(scored[0], list):  # [rows, 1]
            told = [value for (value,) in told]
        if isinstance(scored[0], str):
            assert told == scored
        else:
            kind = model.signature.outputs[name].dtype
            assert np.array(told, kind).tobytes() == np.array(scored, kind).tobytes()
    return found["predictions"]


def _json(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
