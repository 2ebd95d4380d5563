"""Keras model → SavedModel that takes raw columns by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfspark.errors import TrainingError
from tfspark.tensors import Array, TensorSpec
from tfspark.tensors.names import plain_names

SIGNATURE = "serving_default"
CLASSES, CLASSES_AT = "classes", "classes_at"
PREDICTED, THRESHOLD = "predicted", "threshold"


@dataclass(frozen=True)
class Classes:
    """The classes of a model, in the order of its output.

    Attributes:
        values: none of a number.
        threshold: of two classes: above it a row is of the second one.
    """

    values: Sequence[Any]
    threshold: float

    def of(self, prediction: Any, threshold: Any) -> Any:
        """The class of each row, in a graph: strings, int64, booleans or doubles [rows]."""
        import tensorflow as tf

        values = list(self.values)
        plain = isinstance(values[0], bool | int | float | str)
        kinds = {bool: tf.bool, int: tf.int64, float: tf.float64}
        names = tf.constant(
            values if plain else [str(value) for value in values],
            kinds.get(type(values[0]), tf.string),
        )
        if len(values) == 2:
            ids = tf.cast(prediction[:, 0] > tf.cast(threshold, prediction.dtype), tf.int64)
        else:
            ids = tf.argmax(prediction, 1)
        return tf.gather(names, ids)


def export(
    model: Any,
    folder: str,
    inputs: Mapping[str, TensorSpec],
    output: str,
    classes: Classes | None = None,
) -> None:
    """Write the SavedModel with the signature `serving_default`.

    A model of classes also has `classes`, which gives the class of a row beside the prediction, and
    one of two classes has `classes_at`, which takes the threshold.

    Args:
        model: takes a dictionary of the inputs.
        folder: local; TensorFlow Serving's layout.
        inputs: name → tensor: each [None, *shape], a single value [None].
        output: name of the prediction.
        classes: of the label.
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
    if classes is not None and classes.values and output != PREDICTED:
        _add_classes(archive, serve, specs, output, classes)
    archive.write_out(folder, verbose=False)
    _restore_names(folder, plain)


def _add_classes(
    archive: Any,
    serve: Callable[[dict[str, Any]], dict[str, Any]],
    specs: dict[str, Any],
    output: str,
    classes: Classes,
) -> None:
    import tensorflow as tf

    def with_class(columns: dict[str, Any]) -> dict[str, Any]:
        given = serve(columns)
        return {**given, PREDICTED: classes.of(given[output], classes.threshold)}

    def with_class_at(columns: dict[str, Any]) -> dict[str, Any]:
        given = serve({name: columns[name] for name in specs})
        return {**given, PREDICTED: classes.of(given[output], columns[THRESHOLD])}

    archive.add_endpoint(CLASSES, with_class, [specs])
    if len(classes.values) == 2 and THRESHOLD not in specs:
        threshold = tf.TensorSpec([], tf.float32, name=THRESHOLD)
        archive.add_endpoint(CLASSES_AT, with_class_at, [{**specs, THRESHOLD: threshold}])


def _restore_names(folder: str, plain: Mapping[str, str]) -> None:
    """Give the inputs of the signatures their columns' names again.

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
    columns = {other: name for name, other in plain.items()}
    for signature in {SIGNATURE, CLASSES, CLASSES_AT} & set(graph.signature_def):
        found = graph.signature_def[signature].inputs
        entries = {columns.get(key, key): type(entry)() for key, entry in found.items()}
        for key, entry in found.items():
            entries[columns.get(key, key)].CopyFrom(entry)
        found.clear()
        for name, entry in entries.items():
            found[name].CopyFrom(entry)
    for node in graph.object_graph_def.nodes:
        words = node.bare_concrete_function.argument_keywords
        if sorted({*words} - {THRESHOLD}) == sorted({*columns} - {THRESHOLD}):
            words[:] = [columns.get(word, word) for word in words]
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
