"""The layout that TensorFlow Serving loads, with what it warms up and batches with.

NAME/VERSION/saved_model.pb, variables/, ...
             batching_params.pbtxt
             assets.extra/tf_serving_warmup_requests
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfspark.errors import StorageError
from tfspark.exports.reference import outputs_of, unpacked
from tfspark.exports.rows import largest_gap
from tfspark.registry.manifest import write_manifest
from tfspark.registry.resolve import ModelFolder
from tfspark.serving.examples import field
from tfspark.tensors import Array, numpy_dtype

BATCHING, WARM_UP = "batching_params.pbtxt", "assets.extra/tf_serving_warmup_requests"
_BATCHES = (1, 32)
"""Rows of the requests that a server warms up with."""
_LARGEST = 128
_OWN = ("format", "files", "digest")
"""Fields of a manifest that tell of its files."""


def write(
    folder: Path, model: ModelFolder, name: str, version: int, rows: Mapping[str, Array]
) -> dict[str, Any]:
    """Write NAME/VERSION into an empty folder, and compare it with the model.

    Raises:
        StorageError: it gives something else.
    """
    source, target = unpacked(model), folder / name / str(version)
    for file in model.files:
        target.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
    signature = model.signature
    batched = not signature.whole and signature.batch is None
    if batched:
        (target / BATCHING).write_text(_batching())
    requests = [request(model, name, _first(model, rows, n)) for n in _BATCHES]
    _write_records(target / WARM_UP, requests if signature.batch is None else requests[:1])
    if model.manifest is not None:
        kept = {key: value for key, value in model.manifest.items() if key not in _OWN}
        write_manifest(str(target), {**kept, "name": name, "version": str(version)})
    expected = outputs_of(source, model, rows)

    def told(what: str) -> Exception:
        return StorageError(f"{target}: {what}; the copy is not the model: export it again")

    gap = largest_gap(expected, outputs_of(target, model, rows), told)
    if gap > 0:
        raise told(f"its outputs are off by {gap:.2g}")
    return {"off by": gap, "batching": BATCHING if batched else "none: it takes fixed batches"}


def request(model: ModelFolder, name: str, rows: Mapping[str, Array]) -> bytes:
    """A serialised `PredictRequest`: TensorFlow has no class for it, and its parts are few."""
    import tensorflow as tf

    spec = field(1, name.encode()) + field(3, model.signature.name.encode())
    made = field(1, spec)
    for key, column in sorted(rows.items()):
        of = model.signature.inputs[key]
        dtype = tf.as_dtype(of.dtype)
        given = column if of.dtype == "string" else column.astype(numpy_dtype(of.dtype))
        proto = tf.make_tensor_proto(given, dtype, column.shape)
        made += field(2, field(1, key.encode()) + field(2, proto.SerializeToString()))
    return made


def _write_records(path: Path, requests: list[bytes]) -> None:
    """`PredictionLog`s of requests, as TFRecord."""
    import tensorflow as tf

    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in requests:
            writer.write(field(6, field(1, one)))  # predict_log.request


def _first(model: ModelFolder, rows: Mapping[str, Array], count: int) -> dict[str, Array]:
    signature = model.signature
    if signature.batch is not None:
        return dict(rows)
    return {k: column if k in signature.whole else column[:count] for k, column in rows.items()}


def _batching() -> str:
    numbers = {
        "max_batch_size": _LARGEST,
        "batch_timeout_micros": 1000,
        "max_enqueued_batches": 100,
        "num_batch_threads": os.cpu_count() or 1,
    }
    return "".join(f"{key} {{ value: {number} }}\n" for key, number in numbers.items())
