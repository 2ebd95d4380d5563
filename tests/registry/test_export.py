"""Keras model → SavedModel: equal predictions, raw columns by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfspark.errors import TrainingError
from tfspark.registry.export import check_export, export
from tfspark.registry.safety import check_ops
from tfspark.registry.signature import read_signature
from tfspark.tensors import INT_NULL, TensorSpec

SPECS = {
    "amount": TensorSpec("float64", (), math.nan),
    "count": TensorSpec("int64", (), INT_NULL),
    "word": TensorSpec("string", (), ""),
    "vector": TensorSpec("float32", (3,)),
}
ROWS: dict[str, Any] = {
    "amount": np.array([1.5, math.nan, -2.0]),
    "count": np.array([1, INT_NULL, 7]),
    "word": np.array([b"a", b"", b"\xff"], object),
    "vector": np.arange(9, dtype="float32").reshape(3, 3),
}


def a_model(units: int = 1) -> Any:
    import keras

    from tfspark.features import layers

    inputs = {n: keras.Input(s.shape, dtype=s.dtype, name=n) for n, s in SPECS.items()}
    numbers = layers.Numbers(
        [math.nan, INT_NULL, None], [0.0] * 5, [0.0] * 5, [1.0] * 5, 9.0, flag=True
    )([inputs["amount"], inputs["count"], inputs["vector"]])
    text = layers.Text(extract="(.*)")(inputs["word"])
    known = keras.layers.StringLookup(vocabulary=["a", "b"], mask_token="")(text)
    parts = [
        numbers,
        keras.layers.Embedding(4, 2)(known),
        keras.ops.one_hot(layers.HashIds(5, False)([text, known]), 5),
        keras.ops.one_hot(layers.Buckets([INT_NULL], [0, 3])([inputs["count"]]), 4),
        keras.ops.one_hot(layers.OwnIds(3, INT_NULL)(inputs["count"]), 4),
    ]
    x = keras.layers.Dropout(0.5)(keras.layers.Concatenate()(parts))
    return keras.Model(inputs, keras.layers.Dense(units)(x))


def test_the_reloaded_model_gives_equal_predictions(tmp_path: Path) -> None:
    model = a_model()
    folder = str(tmp_path / "model")
    export(model, folder, SPECS, "p")
    expected = np.asarray(model(ROWS))
    assert check_export(folder, ROWS, "p", expected) <= 1e-6
    with pytest.raises(TrainingError, match="differ from the trained model's"):
        check_export(folder, ROWS, "p", expected + 1e-5)


@pytest.mark.parametrize("units", [1, 4])
def test_the_signature_has_raw_columns_and_named_outputs(tmp_path: Path, units: int) -> None:
    folder = str(tmp_path / "model")
    export(a_model(units), folder, SPECS, "p")
    signature = read_signature(folder)
    assert {n: (s.dtype, s.shape) for n, s in signature.inputs.items()} == {
        "amount": ("float64", ()),
        "count": ("int64", ()),
        "word": ("string", ()),
        "vector": ("float32", (3,)),
    }
    assert {n: (s.dtype, s.shape) for n, s in signature.outputs.items()} == {
        "p": ("float32", (units,))
    }


def test_the_ops_of_every_layer_are_allowed(tmp_path: Path) -> None:
    folder = str(tmp_path / "model")
    export(a_model(), folder, SPECS, "p")
    check_ops(folder)


def test_the_layers_are_rebuilt_from_their_settings() -> None:
    import keras

    model = a_model()
    again = keras.Model.from_config(model.get_config())
    for old, new in zip(model.weights, again.weights, strict=True):
        new.assign(old)
    np.testing.assert_array_equal(np.asarray(model(ROWS)), np.asarray(again(ROWS)))


def named(*names: str) -> tuple[Any, dict[str, TensorSpec]]:
    import keras

    inputs = {name: keras.Input((), dtype="float32", name=name) for name in names}
    parts = [keras.ops.expand_dims(x, 1) for x in inputs.values()]
    x = keras.layers.Concatenate()(parts) if parts[1:] else parts[0]
    return keras.Model(inputs, keras.layers.Dense(1)(x)), {n: TensorSpec("float32") for n in names}


def test_inputs_keep_names_that_tensorflow_would_change(tmp_path: Path) -> None:
    names = ["user id", "price.eur", "größe", "1st", "select", "Ünder_score", 'q"uote']
    names += ["年龄", "性别", "a b", "a_b", "a_b_2"]
    model, specs = named(*names)
    folder = str(tmp_path / "model")
    export(model, folder, specs, "p")
    assert set(read_signature(folder).inputs) == set(names)
    rows = {name: np.array([1.0 + i, 2.0], "float32") for i, name in enumerate(names)}
    assert check_export(folder, rows, "p", np.asarray(model(rows))) <= 1e-6


def test_one_input_with_an_odd_name(tmp_path: Path) -> None:
    model, specs = named("user id")
    folder = str(tmp_path / "model")
    export(model, folder, specs, "p")
    rows = {"user id": np.array([1.0], "float32")}
    assert check_export(folder, rows, "p", np.asarray(model(rows))) <= 1e-6
