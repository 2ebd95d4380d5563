"""Keras layers that read lists in their order, inside the graph."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfspark.config.recipe import Sequence
from tfspark.errors import ConfigError
from tfspark.features.layers import _HUGE, HashIds, OwnIds, Text, _Column, _missing, lookup_ids
from tfspark.features.text import InOrder
from tfspark.features.vocabulary import given_values
from tfspark.tensors import INT_NULL, TensorSpec

_Value = float | int | str | None


@keras.saving.register_keras_serializable("tfspark")
class Items(_Column):
    """Lists [rows, n] of strings or integers: what is null or fills up becomes "" or INT_NULL."""

    _settings = ("null", "pad")

    def __init__(self, null: _Value, pad: _Value, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.null, self.pad = null, pad

    def call(self, column: tf.Tensor) -> tf.Tensor:
        missing = _missing(column, self.null) | _missing(column, self.pad)
        if column.dtype == tf.string:
            return tf.where(missing, tf.constant(""), column)
        return tf.where(missing, tf.constant(INT_NULL, tf.int64), tf.cast(column, tf.int64))

    def compute_output_spec(self, column: Any) -> Any:
        return keras.KerasTensor(column.shape, "string" if column.dtype == "string" else "int64")


@keras.saving.register_keras_serializable("tfspark")
class Last(_Column):
    """Ids [rows, n] → the last `length` of each row that are not followed by zeros alone.

    Without a length all of them, and one 0 more: a batch of empty lists has a place, too.
    """

    _settings = ("length",)

    def __init__(self, length: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        return _last(ids, tf.not_equal(ids, 0), self.length)

    def compute_output_spec(self, ids: Any) -> Any:
        return keras.KerasTensor((ids.shape[0], self.length), ids.dtype)


@keras.saving.register_keras_serializable("tfspark")
class Series(_Column):
    """Numbers [rows, n] → float32 [rows, length, 2]: (x - shift) / scale, and whether one is there.

    `length` is as for `Last`.
    """

    _settings = ("null", "pad", "shift", "scale", "length")

    def __init__(
        self,
        null: _Value,
        pad: _Value,
        shift: float,
        scale: float,
        length: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.null, self.pad, self.shift, self.scale = null, pad, shift, scale
        self.length = length

    def call(self, column: tf.Tensor) -> tf.Tensor:
        there = ~(_missing(column, self.null) | _missing(column, self.pad))
        x = tf.where(there, tf.cast(column, tf.float64), tf.constant(0, tf.float64))
        x = (tf.clip_by_value(x, -_HUGE, _HUGE) - self.shift) / self.scale
        x = tf.cast(tf.clip_by_value(x, tf.float32.min, tf.float32.max), tf.float32)
        mask = tf.cast(there, tf.float32)
        return _last(tf.stack([x * mask, mask], -1), there, self.length)

    def compute_output_spec(self, column: Any) -> Any:
        return keras.KerasTensor((column.shape[0], self.length, 2), "float32")


def _last(values: tf.Tensor, there: tf.Tensor, length: int | None) -> tf.Tensor:
    """Of values [rows, n, ...] the last so many up to the last that is there, and zeros."""
    rest = [[0, 0]] * (values.shape.rank - 2)
    filled = tf.pad(values, [[0, 0], [0, length or 1], *rest])
    if length is None:
        return filled
    places = tf.range(1, tf.shape(there)[1] + 1)
    used = tf.reduce_max(tf.where(there, places, 0), 1)
    used = tf.maximum(used, 0)  # of no place the maximum is the least integer
    first = tf.maximum(used - length, 0)
    return tf.gather(filled, first[:, None] + tf.range(length), batch_dims=1)


def item_ids(column: Any, feature: Sequence, spec: TensorSpec, name: str) -> tuple[Any, int, Any]:
    """Ids int64 [rows, items] of a list of categories, what they are below, and what they mean."""
    items = Items(spec.null, spec.pad, name=f"{name}_items")(column)
    depth: int
    if feature.buckets is not None:
        text = Text(INT_NULL if spec.dtype != "string" else None, name=f"{name}_text")(items)
        ids, depth = HashIds(feature.buckets, True, name=f"{name}_ids")([text]), feature.buckets + 1
        meaning: Any = depth
    elif feature.size is not None:
        ids = OwnIds(feature.size, INT_NULL, name=f"{name}_ids")(items)
        meaning = depth = feature.size + 1
    else:
        values = given_values(feature, spec)
        ids, depth = lookup_ids(items, values, feature.oov, f"{name}_ids")
        meaning = (feature.oov, tuple(values))
    return Last(feature.length, name=f"{name}_last")(ids), depth, meaning


def numbers_in_order(column: Any, feature: Sequence, spec: TensorSpec, name: str) -> InOrder:
    """A list of numbers: vectors of one number each."""
    settings = (spec.null, spec.pad, feature.shift, feature.scale, feature.length)
    series = Series(*settings, name=f"{name}_series")(column)
    return InOrder(None, 0, series[..., :1], series[..., 1])


def check_sequence(feature: Sequence, spec: TensorSpec) -> None:
    """Refuse what does not fit, and say what does.

    Raises:
        ConfigError: the column is no list, is read otherwise, or nothing says what fills it up.
    """
    place = f"feature {feature.name}: column {feature.column}"
    if len(spec.shape) != 1:
        raise ConfigError(f"{place} is {spec.dtype}{list(spec.shape)}, and sequence takes lists")
    if spec.pad is None and spec.shape[0] is None:
        raise ConfigError(
            f"{place} has lists of any length, and nothing says what fills up the shorter ones; "
            "say it in the contract, for example tensor: {shape: [null], padValue: "
            f"{'-1' if spec.dtype != 'string' else repr('')}}}"
        )
    floats = spec.dtype.startswith(("float", "bfloat"))
    if floats and feature.ways:
        raise ConfigError(f"{place} holds numbers; leave {feature.ways[0]} out")
    if feature.size is not None and spec.dtype == "string":
        raise ConfigError(f"{place} holds strings; use values, file or buckets")
    if not floats and not feature.ways:
        raise ConfigError(
            f"{place} holds categories, and the statistics do not cover lists; give values, file "
            f"or buckets{'' if spec.dtype == 'string' else ', or size for integers that are ids'}"
        )
