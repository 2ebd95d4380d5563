"""A model of Keras again: built from its recipe and dataset, with the SavedModel's weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfspark.config import Settings
from tfspark.errors import ConfigError
from tfspark.exports.reference import outputs_of, unpacked
from tfspark.exports.rows import largest_gap, parts_of
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.worker.opened import set_up_tensorflow
from tfspark.tensors import Array

KERAS, WEIGHTS = "model.keras", "model.weights.h5"
_MOST = 1e-6
_KEY = "variables/{}/.ATTRIBUTES/VARIABLE_VALUE"


def write(
    folder: Path, model: ModelFolder, settings: Settings, rows: Mapping[str, Array], whole: bool
) -> dict[str, Any]:
    """Write `model.keras`, or the weights alone, into a folder; read it, and compare.

    Raises:
        ConfigError: the model cannot be built again, or gives something else.
    """
    parts = parts_of(model, settings)
    set_up_tensorflow(1)
    import keras

    source = unpacked(model)
    name = parts.spec.model.output_name  # a signature may have others beside it
    expected = {name: outputs_of(source, model, rows)[name]}
    built = parts.model()
    _take_weights(built, source, model)
    _compare(built, model, rows, expected, "the model that its recipe builds now")
    if whole:
        built.save(folder / KERAS)
        try:
            again = keras.models.load_model(folder / KERAS)
        except Exception as error:
            raise ConfigError(
                f"model {model.path}: Keras cannot load what it has saved: "
                f"{str(error).strip().splitlines()[0]}. A layer of your own needs "
                "@keras.saving.register_keras_serializable() and get_config; or export --to weights"
            ) from None
    else:
        built.save_weights(folder / WEIGHTS)
        again = parts.model()
        again.load_weights(folder / WEIGHTS)
    gap = _compare(again, model, rows, expected, "what was saved")
    return {"off by": gap, "weights": built.count_params()}


def _take_weights(built: Any, source: Path, model: ModelFolder) -> None:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(source / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    for number, variable in enumerate(built.variables):
        key = _KEY.format(number)
        if key not in shapes or tuple(shapes[key]) != tuple(variable.shape):
            raise ConfigError(
                f"model {model.path}: its recipe builds another model now: weight {number} is "
                f"{variable.path} {tuple(variable.shape)}, and the SavedModel has "
                f"{tuple(shapes[key]) if key in shapes else 'none'}; use the code of "
                f"{built.name}'s builder as it was trained (its manifest has the commit)"
            )
        variable.assign(reader.get_tensor(key))


def _compare(
    built: Any,
    model: ModelFolder,
    rows: Mapping[str, Array],
    expected: Mapping[str, Array],
    what: str,
) -> float:
    import tensorflow as tf

    given = {name: tf.constant(column) for name, column in rows.items()}

    def told(said: str) -> Exception:
        return ConfigError(f"model {model.path}: {what} differs from the SavedModel: {said}")

    found = {name: built(given, training=False).numpy() for name in expected}
    gap = largest_gap(expected, found, told)
    if not gap <= _MOST:
        raise told(f"off by {gap:.2g}, more than {_MOST:g}")
    return gap
