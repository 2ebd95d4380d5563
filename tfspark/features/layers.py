"""Keras layers that turn raw columns into numbers and category ids, inside the graph.

Where Keras 3 has the layer (StringLookup, IntegerLookup, Embedding, one-hot) it is used. These
are ours: they know what stands for null, never fail on a value, and keep 64 bits until the
number is scaled (a timestamp in microseconds does not survive float32).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfspark.tensors import INT_NULL

_HUGE = 1e300
_SEPARATOR = "\x1f"


class _Column(keras.layers.Layer):
    """Base: no weights, and settings that the layer is rebuilt from."""

    _settings: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, autocast=False, **kwargs)  # 64 bits stay

    def get_config(self) -> dict[str, Any]:
        base = super().get_config()
        kept = {key: base[key] for key in ("name", "dtype") if key in base}
        return {**kept, **{key: getattr(self, key) for key in self._settings}}


def _missing(column: tf.Tensor, null: float | int | str | None) -> tf.Tensor:
    """True where a column's value stands for null; NaN and the empty string always do."""
    none = tf.zeros_like(column, tf.bool)
    if column.dtype.is_floating:
        none = tf.math.is_nan(column)
    elif column.dtype == tf.string:
        none = tf.equal(column, "")
    if null is None or null != null:
        return none
    return none | tf.equal(column, tf.constant(null, column.dtype))


def _numbers(
    columns: Sequence[tf.Tensor], nulls: Sequence[float | int | None]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Columns [rows] or [rows, k] side by side: float64 [rows, n], and where they are missing."""
    values, missing = [], []
    for column, null in zip(columns, nulls, strict=True):
        wide = column if column.shape.rank == 2 else tf.expand_dims(column, 1)
        missing.append(_missing(wide, null))
        values.append(tf.cast(wide, tf.float64))
    held = tf.clip_by_value(tf.concat(values, 1), -_HUGE, _HUGE)
    return held, tf.concat(missing, 1)


@keras.saving.register_keras_serializable("tfspark")
class Numbers(_Column):
    """Columns of numbers → [rows, n] float32: filled, (summed, log1p,) shifted, scaled, clipped.

    Args:
        nulls: what stands for null, by column.
        fill: what a missing value becomes, by column.
        shift, scale: `(x - shift) * scale`, by column of the result.
        flag: append 1.0 where a value was missing (where any was, for a sum).
    """

    _settings = ("nulls", "fill", "shift", "scale", "clip", "log", "total", "flag")

    def __init__(
        self,
        nulls: Sequence[float | int | None],
        fill: Sequence[float],
        shift: Sequence[float],
        scale: Sequence[float],
        clip: float,
        log: bool = False,
        total: bool = False,
        flag: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nulls, self.fill = list(nulls), list(fill)
        self.shift, self.scale, self.clip = list(shift), list(scale), clip
        self.log, self.total, self.flag = log, total, flag

    def call(self, columns: Sequence[tf.Tensor]) -> tf.Tensor:
        x, missing = _numbers(columns, self.nulls)
        x = tf.where(missing, tf.constant(self.fill, tf.float64), x)
        if self.total:
            x = tf.reduce_sum(x, 1, keepdims=True)
            missing = tf.reduce_any(missing, 1, keepdims=True)
        if self.log:
            x = tf.math.log1p(tf.maximum(x, tf.constant(0, tf.float64)))
        x = (x - tf.constant(self.shift, tf.float64)) * tf.constant(self.scale, tf.float64)
        x = tf.cast(tf.clip_by_value(x, -self.clip, self.clip), tf.float32)
        return tf.concat([x, tf.cast(missing, tf.float32)], 1) if self.flag else x

    def compute_output_spec(self, columns: Sequence[Any]) -> Any:
        width = sum(column.shape[1] if len(column.shape) == 2 else 1 for column in columns)
        width = 1 if self.total else width
        shape = (columns[0].shape[0], width * 2 if self.flag else width)
        return keras.KerasTensor(shape, "float32")


@keras.saving.register_keras_serializable("tfspark")
class Buckets(_Column):
    """A number, or the sum of several → its range's id: 0 missing, 1 below the first bound, ...

    A bound belongs to the range above it.
    """

    _settings = ("nulls", "bounds")

    def __init__(
        self, nulls: Sequence[float | int | None], bounds: Sequence[float], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.nulls, self.bounds = list(nulls), list(bounds)

    def call(self, columns: Sequence[tf.Tensor]) -> tf.Tensor:
        x, missing = _numbers(columns, self.nulls)
        x = tf.reduce_sum(x, 1, keepdims=True)
        above = tf.cast(x >= tf.constant(self.bounds, tf.float64), tf.int64)
        ids = 1 + tf.reduce_sum(above, 1)
        return tf.where(tf.reduce_any(missing, 1), tf.zeros_like(ids), ids)

    def compute_output_spec(self, columns: Sequence[Any]) -> Any:
        return keras.KerasTensor(columns[0].shape[:1], "int64")


@keras.saving.register_keras_serializable("tfspark")
class Text(_Column):
    """Strings or integers → strings; missing is "". With `extract`, the expression's group 1.

    A value that does not match is missing.
    """

    _settings = ("null", "extract")

    def __init__(self, null: int | str | None = None, extract: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.null, self.extract = null, extract

    def call(self, column: tf.Tensor) -> tf.Tensor:
        missing = _missing(column, self.null)
        text = column if column.dtype == tf.string else tf.strings.as_string(column)
        text = tf.where(missing, tf.constant(""), text)
        if self.extract is None:
            return text
        whole = f"(?s:.*?)(?:{self.extract})(?s:.*)"
        found = tf.strings.regex_full_match(text, whole)
        return tf.where(found, tf.strings.regex_replace(text, f"^{whole}$", r"\1"), "")

    def compute_output_spec(self, column: Any) -> Any:
        return keras.KerasTensor(column.shape, "string")


@keras.saving.register_keras_serializable("tfspark")
class HashIds(_Column):
    """Strings or ids, joined → an id below `buckets`; with `missing`, "" is 0 and ids follow."""

    _settings = ("buckets", "missing")

    def __init__(self, buckets: int, missing: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buckets, self.missing = buckets, missing

    def call(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        texts = [p if p.dtype == tf.string else tf.strings.as_string(p) for p in parts]
        text = tf.strings.join(texts, _SEPARATOR) if len(texts) > 1 else texts[0]
        ids = tf.strings.to_hash_bucket_fast(text, self.buckets)
        return tf.where(tf.equal(text, ""), tf.zeros_like(ids), ids + 1) if self.missing else ids

    def compute_output_spec(self, parts: Sequence[Any]) -> Any:
        return keras.KerasTensor(parts[0].shape, "int64")


def lookup_ids(
    column: Any, values: Sequence[str] | Sequence[int], oov: int, name: str, null: Any = None
) -> tuple[Any, int]:
    """Ids of known values and what they are below: 0 missing, `oov` shared ones, the values'.

    Args:
        null: what stands for missing among integers, default INT_NULL; of strings it is "".
    """
    known: dict[str, Any] = {"vocabulary": values, "num_oov_indices": oov, "name": name}
    if column.dtype == "string":
        ids = keras.layers.StringLookup(mask_token="", **known)(column)
    else:
        null = INT_NULL if null is None else null
        lookup = keras.layers.IntegerLookup(mask_token=null, vocabulary_dtype="int64", **known)
        ids = lookup(column)
    return ids, 1 + oov + len(values)


@keras.saving.register_keras_serializable("tfspark")
class OwnIds(_Column):
    """Integers that are ids: 0 … size - 1 → 1 … size; missing and all others → 0."""

    _settings = ("size", "null")

    def __init__(self, size: int, null: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.null = size, null

    def call(self, column: tf.Tensor) -> tf.Tensor:
        known = (column >= 0) & (column < self.size) & ~_missing(column, self.null)
        return tf.where(known, column + 1, tf.zeros_like(column))

    def compute_output_spec(self, column: Any) -> Any:
        return keras.KerasTensor(column.shape, "int64")
