"""Keras layers that turn texts into ids of words, inside the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfspark.features.layers import HashIds, _Column, _missing, lookup_ids
from tfspark.features.words import LOCALE, lowers, replacements


@dataclass(frozen=True)
class InOrder:
    """A text or a list, for builders that read its words or values in their order.

    Attributes:
        ids: int64 [rows, n]; 0 is none. None for a list of numbers.
        depth: ids are below it.
        embedded: float32 [rows, n, size]; of numbers the size is 1.
        mask: float32 [rows, n]: 1 where there is one.
    """

    ids: Any
    depth: int
    embedded: Any
    mask: Any

    def mean(self) -> Any:
        """The mean of the vectors: float32 [rows, size]; 0 where there is none."""
        ops = keras.ops
        total = ops.einsum("rw,rwk->rk", self.mask, self.embedded)
        return total / ops.maximum(ops.sum(self.mask, 1, keepdims=True), 1.0)


@keras.saving.register_keras_serializable("tfspark")
class Words(_Column):
    """Texts → their first `length` words, then runs of 2 to `ngrams` of these; "" fills up.

    Standardised as `features.words` says; missing is a text without words.
    """

    _settings = ("length", "standardize", "ngrams", "null")

    def __init__(
        self, length: int, standardize: str, ngrams: int = 1, null: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.length, self.standardize, self.ngrams = length, standardize, ngrams
        self.null = null

    def call(self, column: tf.Tensor) -> tf.Tensor:
        text = tf.where(_missing(column, self.null), tf.constant(""), column)
        for pattern, by in replacements(self.standardize):
            text = tf.strings.regex_replace(text, pattern, by)
        if lowers(self.standardize):
            text = _lower(text)
        words = tf.strings.split(text).to_tensor("", shape=[None, self.length])
        found = [words]
        for size in range(2, self.ngrams + 1):
            width = self.length - size + 1
            parts = [words[:, start : start + width] for start in range(size)]
            whole = tf.not_equal(parts[-1], "")
            found.append(tf.where(whole, tf.strings.join(parts, " "), tf.constant("")))
        return tf.concat(found, 1) if self.ngrams > 1 else words

    def compute_output_spec(self, column: Any) -> Any:
        width = sum(self.length - size for size in range(self.ngrams))
        return keras.KerasTensor((column.shape[0], width), "string")


def _lower(text: tf.Tensor) -> tf.Tensor:
    """ICU's, made the same in every locale: what locales differ in is lower-cased before."""
    text = tf.strings.lower(text)  # ASCII
    for letter, low in LOCALE.items():
        text = tf.strings.regex_replace(text, letter, low)
    return tf.strings.lower(text, encoding="utf-8")


def word_ids(
    words: Any, name: str, vocabulary: list[str] | None, oov: int, buckets: int
) -> tuple[Any, int]:
    """Ids of words, and what they are below; 0 is no word.

    Args:
        vocabulary: None: words are hashed to `buckets` ids.
    """
    if vocabulary is None:
        return HashIds(buckets, True, name=f"{name}_ids")([words]), buckets + 1
    return lookup_ids(words, vocabulary, oov, f"{name}_ids")
