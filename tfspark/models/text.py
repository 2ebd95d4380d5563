"""Models for texts and lists: means, a convolution, and a recurrent layer over what is in order.

All take the other features of the recipe beside these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfspark.errors import ConfigError
from tfspark.features.build import Features
from tfspark.models.output import Output


def bag(features: Features, output: Output, units: Sequence[int] = (), dropout: float = 0.0) -> Any:
    """The mean of the vectors of each text and list, and dense layers.

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
    """A convolution over each text and list, its largest answers, and dense layers.

    Args:
        features: the inputs and encoded features of the recipe.
        output: what the model has to predict.
        filters: patterns that are looked for.
        kernel: words, or values of a list, that a pattern spans.
        units: width of each hidden layer.
        dropout: share of the values before each dense layer that is left out in training.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """
    _check(features)
    parts = []
    for one in features.ordered.values():
        mask = keras.ops.expand_dims(one.mask, -1)
        look = keras.layers.Conv1D(filters, kernel, padding="same", activation="relu")
        parts.append(keras.layers.GlobalMaxPooling1D()(look(one.embedded * mask) * mask))
    return _head(features, _beside(features, parts), output, units, dropout)


def recurrent(
    features: Features,
    output: Output,
    cell: str = "gru",
    size: int = 32,
    both_ways: bool = False,
    units: Sequence[int] = (32,),
    dropout: float = 0.0,
) -> Any:
    """A recurrent layer over each text and list, from its first to its last, and dense layers.

    Args:
        features: the inputs and encoded features of the recipe.
        output: what the model has to predict.
        cell: `gru` or `lstm`.
        size: numbers that are carried from one step to the next.
        both_ways: read from the last to the first as well.
        units: width of each hidden layer.
        dropout: share of the values before each dense layer that is left out in training.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].

    Raises:
        ConfigError: another cell, or the recipe has neither texts nor lists.
    """
    _check(features)
    cells = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
    if cell not in cells:
        raise ConfigError(f"model.params: cell is {cell!r}; there are gru and lstm")
    parts = []
    for one in features.ordered.values():
        # A kernel of cuDNN would bind the model to GPUs.
        layer = cells[cell](size, use_cudnn=False)
        layer = keras.layers.Bidirectional(layer) if both_ways else layer
        parts.append(layer(one.embedded, mask=one.mask > 0))
    return _head(features, _beside(features, parts), output, units, dropout)


def _beside(features: Features, parts: list[Any]) -> Any:
    """The recipe's other features, and what was made of those in order."""
    all_ = [x for name, x in features.by_name.items() if name not in features.ordered] + parts
    return keras.layers.Concatenate()(all_) if all_[1:] else all_[0]


def _head(features: Features, x: Any, output: Output, units: Sequence[int], dropout: float) -> Any:
    for width in units:
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
        x = keras.layers.Dense(width, activation="relu")(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(features.inputs, output.layer()(x))


def _check(features: Features) -> None:
    if not features.ordered:
        raise ConfigError(
            "model.builder: this one reads texts and lists, and the recipe has no feature of kind "
            "text or sequence; add one, or use tfspark.models.structured:mlp"
        )
