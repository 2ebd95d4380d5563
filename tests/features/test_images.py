"""The feature of images: what encoded bytes become in the graph, and what training makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

from tests.images import pictures
from tfspark.config.recipe import Feature, Model
from tfspark.contracts import parse_contract
from tfspark.errors import ConfigError
from tfspark.features.build import Features, build_features
from tfspark.features.images import augmented
from tfspark.models.build import build_model

CONTRACT = """
kind: DataContract
id: t
version: 1
schema:
  - name: t
    properties:
      - {name: path, physicalType: string, primaryKey: true, required: true}
      - {name: image, physicalType: binary, required: true}
      - {name: maybe, physicalType: binary}
      - {name: x, physicalType: double, required: true}
"""
STATISTICS = {"x": {"mean": 0.0, "std": 1.0, "min": 0.0, "max": 1.0, "quantiles": [0.0] * 101}}
PHOTO = {"name": "photo", "kind": "image", "size": [8, 10]}


def built(*features: dict[str, Any]) -> Features:
    given = TypeAdapter(list[Feature]).validate_python(list(features))
    return build_features(given, parse_contract(CONTRACT.encode(), "t"), STATISTICS)


def pixels(feature: dict[str, Any], images: list[bytes]) -> Any:
    import keras

    found = built(feature)
    model = keras.Model(found.inputs, found.by_name[feature["name"]])
    return model({feature.get("column", "image"): tf.constant(images)}).numpy()


def test_images_of_every_form_are_decoded_resized_and_scaled() -> None:
    images = [pictures.encoded(2, *form) for form in pictures.FORMS.values()]
    found = pixels(PHOTO, images)
    assert found.shape == (len(images), 8, 10, 3)
    assert found.dtype == np.float32
    assert found.min() >= -1
    assert found.max() <= 1
    decoded = tf.io.decode_image(images[0], channels=3, expand_animations=False)
    whole = tf.image.resize(decoded, [8, 10], antialias=True).numpy()
    np.testing.assert_allclose(found[0], whole / 127.5 - 1, atol=1e-6)
    grey = pixels({**PHOTO, "channels": 1, "scale": "0..1"}, images)
    assert grey.shape == (len(images), 8, 10, 1)
    assert (grey[:, :3].mean((1, 2, 3)) > grey[:, 5:].mean((1, 2, 3)) + 0.2).all()  # bright above
    same = pixels({**PHOTO, "size": [12, 16], "scale": "0..255"}, images[:1])
    np.testing.assert_allclose(same[0], decoded.numpy(), atol=1e-3)


def test_a_missing_image_is_black_and_a_bad_one_fails() -> None:
    image = pictures.encoded(1)
    found = pixels({**PHOTO, "column": "maybe"}, [b"", image])
    assert (found[0] == -1).all()
    assert (found[1] != -1).any()
    webp = pictures.encoded(1, "WEBP")
    for content in (b"", b"hello", image[:50], webp):  # of a required column
        with pytest.raises(tf.errors.InvalidArgumentError):
            pixels(PHOTO, [image, content])
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 100 pixels"):
        pixels({**PHOTO, "most_pixels": 100}, [image])


def test_training_flips_and_shifts_by_chance_that_the_seed_decides() -> None:
    one = np.random.default_rng(0).normal(size=(6, 5, 3)).astype("float32")
    many = tf.constant(np.stack([one] * 64))
    seed = tf.constant([3, 7], tf.int64)
    flipped = augmented(many, True, 0, seed).numpy()
    turned = [np.array_equal(image, one[:, ::-1]) for image in flipped]
    assert 10 < sum(turned) < 54
    assert all(t or np.array_equal(i, one) for t, i in zip(turned, flipped, strict=True))
    shifted = augmented(many, False, 2, seed).numpy()
    wide = np.pad(one, [(2, 2), (2, 2), (0, 0)], "reflect")
    ways = {wide[y : y + 6, x : x + 5].tobytes() for y in range(5) for x in range(5)}
    seen = {image.tobytes() for image in shifted}
    assert seen <= ways
    assert len(seen) > 12
    again = augmented(many, False, 2, seed).numpy()
    other = augmented(many, False, 2, seed + 1).numpy()
    assert np.array_equal(shifted, again)
    assert not np.array_equal(shifted, other)


@pytest.mark.parametrize("builder", ["cnn", "resnet"])
def test_builders_take_images_and_other_features(builder: str) -> None:
    params = {"filters": [4, 8], "units": [5], "dropout": 0.1}
    settings = Model(builder=f"tfspark.models.images:{builder}", params=params)
    number = {"name": "x", "kind": "numeric", "column": "x"}
    model = build_model(settings, built(PHOTO, number), 1)
    given = {
        "image": tf.constant([pictures.encoded(1)] * 2),
        "x": tf.constant([1.0, 2.0], "double"),
    }
    assert model(given).shape == (2, 1)
    assert built(PHOTO, number).encoded.shape == (None, 8 * 10 * 3 + 1)
    with pytest.raises(ConfigError, match="no feature of kind image"):
        build_model(settings, built(number), 1)


def test_what_no_feature_of_images_can_be() -> None:
    for wrong in ({"size": [0, 8]}, {"size": [8]}, {"augment": {"shift": 8}}, {"channels": 4}):
        with pytest.raises(ValidationError):
            built({**PHOTO, **wrong})
    with pytest.raises(ConfigError, match="needs encoded images: a column of binary"):
        built({**PHOTO, "column": "x"})
