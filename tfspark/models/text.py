"""Models for texts: a bag of words, and a convolution over words in their order.

Both take the other features of the recipe beside the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfspark.errors import ConfigError
from tfspark.features.build import Features
from tfspark.models.output import Output


def bag(features: Features, output: Output, units: Sequence[int] = (), dropout: float = 0.0) -> Any:
    """The mean of the words' vectors, and dense layers.

    Args:
        features: the inputs and encoded features of the recipe.
        output: what the model has to predict.
        units: width of each hidden layer; none is a linear model of the means.
        dropout: share of the values before each dense layer that is left out in training.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """
    _check(features)
    return _head(features, features.encoded, output, units, dropout)


def conv(
    features: Features,
    output: Output,
    filters: int = 64,
    kernel: int = 5,
    units: Sequence[int] = (32,),
    dropout: float = 0.0,
) -> Any:
    """A convolution over the words of each text, its largest answers, and dense layers.

    Args:
        features: the inputs and encoded features of the recipe.
        output: what the model has to predict.
        filters: patterns of words that are looked for.
        kernel: words that a pattern spans.
        units: width of each hidden layer.
        dropout: share of the values before each dense layer that is left out in training.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """
    _check(features)
    parts = [x for name, x in features.by_name.items() if name not in features.texts]
    for text in features.texts.values():
        mask = keras.ops.expand_dims(text.mask, -1)
        look = keras.layers.Conv1D(filters, kernel, padding="same", activation="relu")
        parts.append(keras.layers.GlobalMaxPooling1D()(look(text.embedded * mask) * mask))
    x = keras.layers.Concatenate()(parts) if parts[1:] else parts[0]
    return _head(features, x, output, units, dropout)


def _head(features: Features, x: Any, output: Output, units: Sequence[int], dropout: float) -> Any:
    for width in units:
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
        x = keras.layers.Dense(width, activation="relu")(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(features.inputs, output.layer()(x))


def _check(features: Features) -> None:
    if not features.texts:
        raise ConfigError(
            "model.builder: this one reads texts, and the recipe has no feature of kind text; add "
            "one, or use tfspark.models.structured:mlp"
        )
