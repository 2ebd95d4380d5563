"""Keras model → SavedModel that takes raw columns by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfspark.errors import TrainingError
from tfspark.tensors import Array, TensorSpec
from tfspark.tensors.names import plain_names

SIGNATURE = "serving_default"


def export(model: Any, folder: str, inputs: Mapping[str, TensorSpec], output: str) -> None:
    """Write the SavedModel with one signature, `serving_default`.

    Args:
        model: takes a dictionary of the inputs.
        folder: local; TensorFlow Serving's layout.
        inputs: name → tensor: each [None, *shape], a single value [None].
        output: name of the prediction.
    """
    import keras
    import tensorflow as tf

    from tfspark.compat.tensorflow import argument_name

    # What TensorFlow lets an op be called (`user id` → `user_id`).
    plain = plain_names(inputs, argument_name)
    specs = {
        plain[name]: tf.TensorSpec([None, *spec.shape], spec.dtype, name=plain[name])
        for name, spec in inputs.items()
    }

    def serve(columns: dict[str, Any]) -> dict[str, Any]:
        named = {name: columns[plain[name]] for name in inputs}
        return {output: model(named, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(SIGNATURE, serve, [specs])
    archive.write_out(folder, verbose=False)
    _restore_names(folder, plain)


def _restore_names(folder: str, plain: Mapping[str, str]) -> None:
    """Give the inputs of the signature their columns' names again.

    They stand in two places: TensorFlow Serving and Java read the signature, Python's loader
    the arguments of its function.
    """
    if all(name == other for name, other in plain.items()):
        return
    from tensorflow.core.protobuf import saved_model_pb2

    path = Path(folder, "saved_model.pb")
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    graph = saved.meta_graphs[0]
    found = graph.signature_def[SIGNATURE].inputs
    entries = {name: type(found[other])() for name, other in plain.items()}
    for name, other in plain.items():
        entries[name].CopyFrom(found[other])
    found.clear()
    for name, entry in entries.items():
        found[name].CopyFrom(entry)
    columns = {other: name for name, other in plain.items()}
    for node in graph.object_graph_def.nodes:
        words = node.bare_concrete_function.argument_keywords
        if sorted(words) == sorted(columns):
            words[:] = [columns[word] for word in words]
    path.write_bytes(saved.SerializeToString(deterministic=True))


def check_export(folder: str, inputs: dict[str, Array], output: str, expected: Array) -> float:
    """Compare a SavedModel, loaded bare, with the predictions of the Keras model it came from.

    Returns:
        The largest difference, relative to predictions above 1.

    Raises:
        TrainingError: it is above 1e-6.
    """
    import numpy as np
    import tensorflow as tf

    from tfspark.compat.tensorflow import argument_name

    call = tf.saved_model.load(folder).signatures[SIGNATURE]
    # By their plain names: TensorFlow's loader makes one of `a b` and `a_b`.
    plain = plain_names(inputs, argument_name)
    given = {plain[name]: tf.constant(column) for name, column in inputs.items()}
    found = call(**given)[output].numpy()
    apart = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    worst = float(apart.max(initial=0.0))
    if found.shape != expected.shape or not worst <= 1e-6:
        raise TrainingError(
            f"the exported model's predictions differ from the trained model's by {worst:.2g}; "
            "it is not registered. A layer behaves differently once exported: look at the builder"
        )
    return worst
