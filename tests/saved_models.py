"""Small SavedModels of plain TensorFlow: they save in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

Spec = tf.TensorSpec


def save(folder: Path, signature: list[Any], function: Callable[..., Any], **state: Any) -> str:
    """A SavedModel of one function; `state` is tracked and handed over as `self`."""
    module = tf.Module()
    for name, value in state.items():
        setattr(module, name, value)
    if state:
        module.serve = tf.function(lambda *a: function(module, *a), signature, autograph=False)
    else:
        module.serve = tf.function(function, signature, autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return str(folder)


def mlp(folder: Path, features: int = 4) -> str:
    """features [n, 4] float32 → score [n, 1]."""
    rng = tf.random.Generator.from_seed(7)
    first = tf.Variable(rng.normal([features, 8]))
    second = tf.Variable(rng.normal([8, 1]))

    def serve(module: Any, features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": tf.sigmoid(tf.nn.relu(features @ module.first) @ module.second)}

    signature = [Spec([None, features], tf.float32, name="features")]
    return save(folder, signature, serve, first=first, second=second)


def linear(folder: Path) -> str:
    """x [n, 2] float32 → y [n, 1]: the regression of docs/scala.md, its weights as trained."""
    weights, bias = tf.Variable([[1.99786], [-1.02963]]), tf.Variable([3.08099])

    def serve(module: Any, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x @ module.weights + module.bias}

    signature = [Spec([None, 2], tf.float32, name="x")]
    return save(folder, signature, serve, weights=weights, bias=bias)


def mixed(folder: Path) -> str:
    """age float32, sex string, siblings int64, paid bool → p, label (text), parts [n, 2]."""

    def serve(age, sex, siblings, paid):  # type: ignore[no-untyped-def]
        known = tf.where(tf.math.is_nan(age), 30.0, age)
        p = known / 100.0 + tf.cast(siblings, tf.float32) + tf.cast(paid, tf.float32) * 10.0
        return {
            "p": p,
            "label": tf.strings.join([sex, "-", tf.strings.as_string(siblings)]),
            "parts": tf.stack([known, tf.cast(siblings, tf.float32)], axis=1),
        }

    signature = [
        Spec([None], tf.float32, name="age"),
        Spec([None], tf.string, name="sex"),
        Spec([None], tf.int64, name="siblings"),
        Spec([None], tf.bool, name="paid"),
    ]
    return save(folder, signature, serve)


def picky(folder: Path) -> str:
    """x float32 → root; the model itself fails for a batch with a negative x."""

    def serve(x):  # type: ignore[no-untyped-def]
        tf.debugging.Assert(tf.logical_not(tf.reduce_any(x < 0.0)), ["negative x"])
        return {"root": tf.sqrt(x)}

    return save(folder, [Spec([None], tf.float32, name="x")], serve)


def hopeless(folder: Path) -> str:
    """x float32 → same; the model fails for every batch of numbers above -1."""

    def serve(x):  # type: ignore[no-untyped-def]
        tf.debugging.Assert(tf.reduce_all(x < -1.0), ["hopeless"])
        return {"same": tf.identity(x)}

    return save(folder, [Spec([None], tf.float32, name="x")], serve)


def tokens(folder: Path) -> str:
    """ids [n, any] int64 → total; lists of any one length."""

    def serve(ids):  # type: ignore[no-untyped-def]
        return {"total": tf.reduce_sum(ids, axis=1), "echo": ids}

    return save(folder, [Spec([None, None], tf.int64, name="ids")], serve)


def quoted(folder: Path) -> str:
    """x float32 → outputs with names that SQL must quote."""

    def serve(x):  # type: ignore[no-untyped-def]
        return {"out`put": x + 1.0, "a.b c": x + 2.0, "it's": x + 3.0}

    return save(folder, [Spec([None], tf.float32, name="x")], serve)


def fixed_batch(folder: Path) -> str:
    """x [3, 2] float32 → total [3]: takes three rows at a time."""

    def serve(x):  # type: ignore[no-untyped-def]
        return {"total": tf.reduce_sum(x, axis=1)}

    return save(folder, [Spec([3, 2], tf.float32, name="x")], serve)


def lookup(folder: Path, words: Path) -> str:
    """word string → place, by a vocabulary file that becomes an asset."""
    words.write_text("red\ngreen\nblue\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(words),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )

    def serve(module: Any, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"place": module.table.lookup(word)}

    return save(folder, [Spec([None], tf.string, name="word")], serve, table=table)


def cnn(folder: Path) -> str:
    """pixels [n, 32, 32, 3] uint8 → score [n, 1]: one convolution, its mean, a layer."""
    rng = tf.random.Generator.from_seed(7)
    kernel = tf.Variable(rng.normal([3, 3, 3, 8]) * 0.2)
    last = tf.Variable(rng.normal([8, 1]))

    def serve(module: Any, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.cast(pixels, tf.float32) / 255.0
        hidden = tf.nn.relu(tf.nn.conv2d(image, module.kernel, strides=2, padding="SAME"))
        return {"score": tf.sigmoid(tf.reduce_mean(hidden, [1, 2]) @ module.last)}

    signature = [Spec([None, 32, 32, 3], tf.uint8, name="pixels")]
    return save(folder, signature, serve, kernel=kernel, last=last)
