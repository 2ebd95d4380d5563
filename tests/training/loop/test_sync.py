"""The optimizer that meets other ranks, as far as one process shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfspark.errors import ConfigError, TrainingError
from tfspark.training.loop.compile import watch_steps
from tfspark.training.loop.sync import BUCKET_BYTES, Sync, _buckets
from tfspark.training.ranks.world import World


class Twins(World):
    """Two ranks that always hold the same: a sum is twice the value."""

    def __init__(self) -> None:
        super().__init__(0, 2, 0, 2)
        self.names: list[str] = []

    def reduce(self, tensor: Any, name: str, compression: str = "none") -> Any:
        self.names.append(name)
        return tensor * 2

    def gather(self, data: bytes) -> list[bytes]:
        return [data, data[::-1]]


def a_model(statistics: bool = False, **optimizer: Any) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu")(x)
    if statistics:
        hidden = keras.layers.BatchNormalization()(hidden)
    model = keras.Model(x, keras.layers.Dense(1)(hidden))
    model.compile(keras.optimizers.SGD(0.1, **optimizer), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def batch(rows: int = 8, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3)).astype("float32")
    return x, x.sum(1, keepdims=True)


def weights(model: Any) -> list[Any]:
    return [weight.value.numpy() for weight in model.weights]


@pytest.mark.parametrize("statistics", [False, True])
def test_equal_ranks_train_as_one(statistics: bool) -> None:
    alone, tied = a_model(statistics), a_model(statistics)
    world = Twins()
    sync = Sync(tied, world)
    for number in range(3):
        sync.before(0.5, number, 3)
        alone.train_on_batch(*batch(seed=number))
        tied.train_on_batch(*batch(seed=number))
    for one, two in zip(weights(alone), weights(tied), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)
    moments = ["moments.0.0", "moments.0.0.gradient"] if statistics else []
    exchanges = ["statistics"] if statistics else []
    last = tied.trainable_variables[-1].path
    assert list(dict.fromkeys(world.names)) == [*moments, f"gradients.{last}.0", *exchanges]


def an_embedding(name: str) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((), dtype="int32")
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Embedding(5, 3)(x)))
    model.compile(getattr(keras.optimizers, name)(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad", "SGD", "Lion"])
def test_an_id_that_comes_twice_counts_once(name: str, tmp_path: Path) -> None:
    """On one rank as on several, and a model that is saved names an optimizer of Keras."""
    import keras

    alone, tied = an_embedding(name), an_embedding(name)
    Sync(alone, World())
    twins = Sync(tied, Twins())
    for number in range(3):
        twins.before(0.5, number, 3)
        random = np.random.default_rng(number)
        x, y = random.integers(0, 5, 16), random.normal(size=(16, 1)).astype("float32")
        alone.train_on_batch(x, y)
        tied.train_on_batch(x, y)
    for one, two in zip(weights(alone), weights(tied), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)
    tied.save(tmp_path / "tied.keras")
    assert type(keras.models.load_model(tmp_path / "tied.keras").optimizer).__name__ == name


def test_batches_are_normalised_by_all_rows_with_a_mask_and_without() -> None:
    import keras
    import tensorflow as tf

    x = np.random.default_rng(0).normal(100, 1, (6, 4, 3)).astype("float32")
    mask = np.arange(4)[None] < np.array([1, 2, 3, 4, 4, 2])[:, None]
    for given in (None, tf.constant(mask)):
        plain, tied = keras.layers.BatchNormalization(), keras.layers.BatchNormalization()
        model = keras.Sequential([keras.Input((4, 3)), tied])
        model.compile("sgd", "mse")
        Sync(model, Twins())
        expected = plain(x, training=True, mask=given)
        np.testing.assert_allclose(tied(x, training=True, mask=given), expected, atol=2e-3)
        np.testing.assert_allclose(tied.moving_mean, plain.moving_mean, rtol=1e-5)


def test_xla_cannot_normalise_with_other_ranks() -> None:
    model = a_model(statistics=True)
    with pytest.raises(ConfigError, match=r"training.xla: ranks normalise a batch together"):
        watch_steps(model, Sync(model, Twins()), xla=True)


def test_a_rank_without_rows_adds_nothing() -> None:
    model = a_model()
    before = weights(model)
    sync = Sync(model, Twins())
    sync.before(0.0, 0, 1)
    x, y = batch()
    model.train_on_batch(x * np.inf, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))


def test_local_steps_are_one_step_of_their_mean() -> None:
    alone, tied = a_model(), a_model()
    sync = Sync(tied, World(), local_steps=3)
    parts = [batch(seed=number) for number in range(5)]
    updates = []
    for number, (x, y) in enumerate(parts):
        updates.append(sync.before(1.0, number, len(parts)))
        tied.train_on_batch(x, y)
    assert updates == [False, False, True, False, True]
    for group in (parts[:3], parts[3:]):
        alone.train_on_batch(*(np.concatenate(column) for column in zip(*group, strict=True)))
    for one, two in zip(weights(alone), weights(tied), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert int(tied.optimizer.iterations.numpy()) == 2


def test_ranks_that_drifted_apart_are_named() -> None:
    model = a_model()
    with pytest.raises(TrainingError, match="ranks 1 hold other weights than rank 0 after step 1"):
        Sync(model, Twins()).compare("after step 1")


def test_a_frozen_layer_is_not_sent() -> None:
    model = a_model(statistics=True)
    assert len(Sync(model, Twins()).statistics) == 2
    frozen = a_model(statistics=True)
    frozen.layers[2].trainable = False
    assert Sync(frozen, Twins()).statistics == []


def test_buckets_are_of_one_dtype_and_bounded() -> None:
    import tensorflow as tf

    large = tf.zeros(BUCKET_BYTES // 4 - 1)
    small, half = tf.zeros(1), tf.zeros(1, tf.float16)
    assert _buckets([0, 1, 2], [small, small, half]) == [[0, 1], [2]]
    assert _buckets([0, 1, 2], [large, small, small]) == [[0, 1], [2]]
    assert _buckets([2, 1, 0], [large, large, large]) == [[2], [1], [0]]
