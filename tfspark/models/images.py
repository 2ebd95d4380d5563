"""Models for images: a small convolutional network, and a small residual one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfspark.errors import ConfigError
from tfspark.features.build import Features
from tfspark.models.output import Output

_L = keras.layers


def cnn(
    features: Features,
    output: Output,
    filters: Sequence[int] = (32, 64, 128),
    convolutions: int = 2,
    units: Sequence[int] = (),
    dropout: float = 0.2,
    batch_norm: bool = True,
) -> Any:
    """Convolutions of 3 x 3, each stage at half the size of the one before.

    Args:
        features: the inputs and features of the recipe: one image at least. Other features join
            behind the convolutions.
        output: what the model has to predict.
        filters: of each stage.
        convolutions: in a stage.
        units: width of each hidden layer behind the convolutions.
        dropout: share left out in training, after each stage and hidden layer.
        batch_norm: normalise every convolution.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """

    def pooled(x: Any) -> Any:
        for width in filters:
            for _ in range(convolutions):
                x = _convolved(x, width, 1, batch_norm)
            x = _L.MaxPooling2D(padding="same")(x)
            x = _L.Dropout(dropout)(x) if dropout else x
        return _L.GlobalAveragePooling2D()(x)

    return _ended(features, output, pooled, units, dropout)


def resnet(
    features: Features,
    output: Output,
    filters: Sequence[int] = (32, 64, 128),
    blocks: int = 1,
    units: Sequence[int] = (),
    dropout: float = 0.2,
    batch_norm: bool = True,
) -> Any:
    """Residual blocks (He et al. 2016), each stage but the first at half the size.

    Args:
        features: the inputs and features of the recipe: one image at least. Other features join
            behind the blocks.
        output: what the model has to predict.
        filters: of each stage.
        blocks: of two convolutions, in a stage.
        units: width of each hidden layer behind the blocks.
        dropout: share left out in training, before the output and after each hidden layer.
        batch_norm: normalise every convolution.

    Returns:
        keras.Model from `features.inputs` to one tensor [rows, output.units].
    """

    def pooled(x: Any) -> Any:
        x = _convolved(x, filters[0], 1, batch_norm)
        for stage, width in enumerate(filters):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                y = _convolved(x, width, stride, batch_norm)
                y = _convolved(y, width, 1, batch_norm, active=False)
                if stride > 1 or x.shape[-1] != width:
                    x = _L.Conv2D(width, 1, strides=stride)(x)
                x = _L.ReLU()(_L.Add()([x, y]))
        x = _L.GlobalAveragePooling2D()(x)
        return _L.Dropout(dropout)(x) if dropout else x

    return _ended(features, output, pooled, units, dropout)


def _convolved(x: Any, width: int, stride: int, batch_norm: bool, active: bool = True) -> Any:
    x = _L.Conv2D(width, 3, strides=stride, padding="same", use_bias=not batch_norm)(x)
    # The averages of short trainings must follow fast: 0.99 takes hundreds of steps.
    x = _L.BatchNormalization(momentum=0.9)(x) if batch_norm else x
    return _L.ReLU()(x) if active else x


def _ended(
    features: Features, output: Output, pooled: Any, units: Sequence[int], dropout: float
) -> Any:
    images = [t for t in features.by_name.values() if len(t.shape) == 4]
    others = [t for t in features.by_name.values() if len(t.shape) == 2]
    if not images:
        raise ConfigError(
            "model.builder: it takes images, and the recipe has no feature of kind image"
        )
    vectors = [*map(pooled, images), *others]
    x = _L.Concatenate()(vectors) if vectors[1:] else vectors[0]
    for width in units:
        x = _L.Dense(width, activation="relu")(x)
        x = _L.Dropout(dropout)(x) if dropout else x
    return keras.Model(features.inputs, output.layer()(x))
