"""Images changed by chance in training: decoded and changed in the input pipeline.

The model keeps its decoding layers: validation, the export and scoring go through these. A step of
training takes pixels in their place, by a second model of the same layers and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfspark.compat.keras import is_functional
from tfspark.config.recipe import Feature, Image, Training
from tfspark.errors import ConfigError
from tfspark.training.loop.encoding import ByName
from tfspark.training.loop.metrics import own_step
from tfspark.training.ranks.world import World
from tfspark.training.readers import Reader

_AHEAD = 2


class AugmentedReader:
    """A reader whose batches for training have pixels, changed by chance, for encoded images.

    What comes is decided by the seed, the epoch, the step and the rank.

    Args:
        layers: feature → the model's layer that decodes.
    """

    def __init__(
        self,
        reader: Reader,
        features: Sequence[Image],
        layers: Mapping[str, Any],
        seed: int,
        rank: int,
        columns: Sequence[str],
    ) -> None:
        self._reader, self._features, self._layers = reader, features, layers
        self._seed, self._columns = seed * 65_537 + rank, columns
        self.rows, self.steps = reader.rows, reader.steps
        self.weighted, self.fills = reader.weighted, reader.fills
        self.element_spec = reader.element_spec
        self.once, self.share = reader.once, reader.share
        self.raise_error, self.close = reader.raise_error, reader.close

    def batches(self, epoch: int, step: int = 0) -> Any:
        """See `Reader`."""
        import tensorflow as tf

        first = epoch * self.steps + step
        numbers = tf.data.Dataset.range(first, tf.int64.max)
        pairs = tf.data.Dataset.zip(numbers, self._reader.batches(epoch, step))
        return pairs.map(self._changed).prefetch(_AHEAD)  # beside the steps

    def _changed(self, number: Any, batch: Any) -> Any:
        import tensorflow as tf

        from tfspark.features.images import augmented

        inputs, *rest = batch
        given = {name: inputs[name] for name in self._columns}
        for place, feature in enumerate(self._features):
            layer, asked = self._layers[feature.name], feature.augment
            pixels = layer(inputs[feature.column])
            seed = tf.stack([tf.constant(self._seed + (place << 40), tf.int64), number])
            given[layer.name] = augmented(pixels, asked.flip, asked.shift, seed)
        return (given, *rest)


def augments(features: Sequence[Feature]) -> bool:
    """Whether rows are changed by chance."""
    return any(isinstance(feature, Image) and feature.augment.changes for feature in features)


def augmenting(
    model: Any, reader: Reader, features: Sequence[Feature], training: Training, world: World
) -> tuple[Any, Reader]:
    """What a step of training calls, and the reader for it; both as they are without augmentation.

    Raises:
        ConfigError: the model cannot be given pixels.
    """
    import keras

    if not augments(features):
        return model, reader
    images = [feature for feature in features if isinstance(feature, Image)]
    place = "features: augment: "
    if training.strategy != "none":
        raise ConfigError(f"{place}is for ranks, not for the strategy {training.strategy}")
    if not is_functional(model) or own_step(model, "train_step"):
        raise ConfigError(
            f"{place}needs a model that is made of the features' tensors, without a train_step of "
            "its own; change the images there instead"
        )
    layers = {}
    for feature in images:
        found = [one for one in model.layers if getattr(one, "feature", "") == feature.name]
        if not found:
            raise ConfigError(f"{place}the model does not use the feature {feature.name}")
        layers[feature.name] = found[0]
    decoded = {feature.column for feature in images}
    others = {name for f in features if not isinstance(f, Image) for name in f.columns}
    given = model.input
    if not isinstance(given, dict):
        given = {tensor.name: tensor for tensor in keras.tree.flatten(given)}
    columns = [name for name in given if name not in decoded or name in others]
    inputs = {name: given[name] for name in columns}
    inputs |= {layer.name: layer.output for layer in layers.values()}
    of_pixels = keras.Model(list(inputs.values()), model.output)
    changed = AugmentedReader(reader, images, layers, training.seed, world.rank, columns)
    return ByName(of_pixels, tuple(inputs)), changed
