"""Images changed in training: where they come from, and that the model is the same."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from tests.images import pictures
from tfspark.config.recipe import Feature, Model, Training
from tfspark.contracts import parse_contract
from tfspark.errors import ConfigError
from tfspark.features.build import build_features
from tfspark.models.build import build_model
from tfspark.training.loop.augment import augmenting
from tfspark.training.ranks.world import World

CONTRACT = b"""
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: path, physicalType: string, primaryKey: true, required: true}
      - {name: image, physicalType: binary, required: true}
      - {name: x, physicalType: double, required: true}
"""
STATISTICS = {"x": {"mean": 0.0, "std": 1.0, "min": 0.0, "max": 1.0, "quantiles": [0.0] * 101}}
PHOTO = {"name": "my photo", "kind": "image", "column": "image", "size": [8, 8]}
AUGMENT = {"flip": True, "shift": 2}


class Batches:
    """A reader of three steps an epoch, of the same rows in each."""

    rows, steps, weighted, fills, element_spec = 6, 3, False, False, None
    once = share = raise_error = close = None

    def batches(self, epoch: int, step: int = 0) -> Any:
        images = [pictures.encoded(1), pictures.encoded(2)]
        row = ({"image": images, "x": np.array([1.0, 2.0])}, np.ones((2, 1), "float32"))
        return tf.data.Dataset.from_tensors(row).repeat()


def made(augment: dict[str, Any], rank: int = 0, **training: Any) -> tuple[Any, Any, Any]:
    """The model, what a step calls, and the reader."""
    listed = [{**PHOTO, "augment": augment}, {"name": "x", "kind": "numeric", "column": "x"}]
    features = TypeAdapter(list[Feature]).validate_python(listed)
    found = build_features(features, parse_contract(CONTRACT, "t"), STATISTICS)
    settings = Model(builder="tfspark.models.images:cnn", params={"filters": [4, 8]})
    model, world = build_model(settings, found, 1), World(rank)
    reader: Any = Batches()
    return model, *augmenting(model, reader, features, Training(**training), world)


def pixels(reader: Any, epoch: int, step: int, count: int) -> list[Any]:
    return [x["my_photo_pixels"].numpy() for x, _ in reader.batches(epoch, step).take(count)]


def test_the_seed_the_epoch_the_step_and_the_rank_decide() -> None:
    _, _, reader = made(AUGMENT)
    whole = pixels(reader, 0, 0, 9)
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(whole))
    for place in (1, 4, 8):  # as a training that was killed goes on
        assert np.array_equal(pixels(reader, *divmod(place, 3), 1)[0], whole[place])
    for other in (made(AUGMENT, rank=1), made(AUGMENT, seed=1)):
        assert not np.array_equal(pixels(other[2], 0, 0, 1)[0], whole[0])


def test_a_step_goes_through_the_layers_of_the_model() -> None:
    model, forward, reader = made(AUGMENT)
    assert isinstance(reader, Batches) is False
    changed, _ = next(iter(reader.batches(0)))
    assert changed.keys() == {"x", "my_photo_pixels"}
    plain = next(iter(Batches().batches(0)))[0]
    layer = next(one for one in model.layers if one.name == "my_photo_pixels")
    given = {"x": plain["x"], "my_photo_pixels": layer(plain["image"])}
    np.testing.assert_allclose(forward(given), model(plain), atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(forward(changed, training=True))
    assert all(g is not None for g in tape.gradient(loss, model.trainable_weights))


def test_where_nothing_is_changed_nothing_stands_between() -> None:
    model, forward, reader = made({})
    assert forward is model
    assert isinstance(reader, Batches)
    with pytest.raises(ConfigError, match="not for the strategy mirrored"):
        made(AUGMENT, strategy="mirrored")
