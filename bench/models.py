"""The models of the benchmarks, exported with Keras as a user would."""

from __future__ import annotations


def mlp(folder: str, features: int = 16) -> None:
    """features [n, 16] float32 → score [n, 1]: two hidden layers of 64."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((features,), name="features")
    hidden = keras.layers.Dense(64, activation="relu")(inputs)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(hidden)
    keras.Model(inputs, {"score": score}).export(folder, verbose=False)
