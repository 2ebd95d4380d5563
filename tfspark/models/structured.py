"""Models for tables: a multilayer perceptron over encoded features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfspark.features.build import Features
from tfspark.models.output import Output


def mlp(
    features: Features,
    output: Output,
    units: Sequence[int] = (64, 32),
    activation: str = "relu",
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    l2: float = 0.0,
    linear: bool = False,
    members: int = 1,
) -> Any:
    """A multilayer perceptron, or the average of several in one graph.

    Args:
        features: the inputs and encoded features of the recipe.
        output: what the model has to predict.
        units: width of each hidden layer; none is logistic regression.
        activation: of the hidden layers.
        dropout: share of hidden units left out in training.
        input_dropout: share of encoded features left out in training.
        l2: penalty on the weights of every layer.
        linear: add a linear path around the hidden layers ("wide and deep").
        members: so many networks that differ by their initial weights and dropout.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """
    penalty = keras.regularizers.L2(l2) if l2 else None
    predictions = []
    for _ in range(members):
        x = features.encoded
        if input_dropout:
            x = keras.layers.Dropout(input_dropout)(x)
        start = x
        for width in units:
            x = keras.layers.Dense(width, activation=activation, kernel_regularizer=penalty)(x)
            if dropout:
                x = keras.layers.Dropout(dropout)(x)
        if linear and units:
            x = keras.layers.Concatenate()([x, start])
        predictions.append(output.layer(kernel_regularizer=penalty)(x))
    average = keras.layers.Average()(predictions) if members > 1 else predictions[0]
    return keras.Model(features.inputs, average)
