"""Encoded images → pixels, inside the graph; and how training changes pixels, outside of it."""

from __future__ import annotations

import base64
from typing import Any

import keras
import tensorflow as tf

from tfspark.features.layers import _Column, _missing

BLANK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNgYGAAAAAEAAHI6uv5AAAAAElFTkSuQmCC"
)
"""A black image, of one pixel."""


@keras.saving.register_keras_serializable("tfspark")
class Images(_Column):
    """Encoded images [rows] → [rows, height, width, channels] float32: `pixel * factor + offset`.

    An image that cannot be decoded fails. A missing one is black.

    Args:
        method: of `tf.image.resize`; smaller images are made with antialiasing.
        null: what stands for a missing image; None: nothing does.
        most_pixels: an image of more fails before it is resized, which takes many times its bytes.
    """

    _settings = (
        *("height", "width", "channels", "method", "factor", "offset", "null"),
        "most_pixels",
    )

    def __init__(
        self,
        height: int,
        width: int,
        channels: int = 3,
        method: str = "bilinear",
        factor: float = 1 / 127.5,
        offset: float = -1.0,
        null: str | None = None,
        most_pixels: int = 50_000_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height, self.width, self.channels = height, width, channels
        self.method, self.factor, self.offset, self.null = method, factor, offset, null
        self.most_pixels = most_pixels

    def call(self, column: tf.Tensor) -> tf.Tensor:
        if self.null is not None:
            column = tf.where(_missing(column, self.null), tf.constant(BLANK), column)
        shape = (self.height, self.width, self.channels)
        pixels = tf.map_fn(self.decode, column, fn_output_signature=tf.TensorSpec(shape))
        return pixels * self.factor + self.offset

    def decode(self, image: tf.Tensor) -> tf.Tensor:
        """One image, 0 to 255."""
        # Not every TensorFlow that may open the model decodes WebP.
        known = tf.not_equal(tf.strings.substr(image, 0, 4), "RIFF")
        # Three channels whatever the file has: only of these every format is decoded.
        pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
        pixels.set_shape([None, None, 3])
        few = tf.reduce_prod(tf.shape(pixels, tf.int64)[:2]) <= self.most_pixels
        refused = f"the image is WebP, or has more than {self.most_pixels:,} pixels"
        with tf.control_dependencies([tf.debugging.Assert(known & few, [refused])]):
            pixels = tf.identity(pixels)
        size = (self.height, self.width)
        pixels = tf.image.resize(pixels, size, self.method, antialias=self.method != "nearest")
        pixels = tf.cast(pixels, tf.float32)
        return tf.image.rgb_to_grayscale(pixels) if self.channels == 1 else pixels

    def compute_output_spec(self, column: Any) -> Any:
        shape = (column.shape[0], self.height, self.width, self.channels)
        return keras.KerasTensor(shape, "float32")


def augmented(pixels: tf.Tensor, flip: bool, shift: int, seed: tf.Tensor) -> tf.Tensor:
    """Images [rows, height, width, channels], each changed by chance.

    Args:
        flip: left to right, every second one.
        shift: moved by at most so many pixels each way; edges are mirrored.
        seed: int64 [2], which alone decides.
    """
    rows, height, width = (tf.shape(pixels)[n] for n in range(3))
    shape = pixels.shape
    seeds = tf.random.split(seed, 2)
    if shift:
        moves = tf.random.stateless_uniform([rows, 2], seeds[0], 0, 2 * shift + 1, tf.int32)
        edge = [shift, shift]
        wide = tf.pad(pixels, [[0, 0], edge, edge, [0, 0]], "REFLECT")
        down = moves[:, :1] + tf.range(height)
        right = moves[:, 1:] + tf.range(width)
        pixels = tf.gather(wide, down, batch_dims=1)
        pixels = tf.gather(tf.transpose(pixels, [0, 2, 1, 3]), right, batch_dims=1)
        pixels = tf.transpose(pixels, [0, 2, 1, 3])
    if flip:
        turned = tf.random.stateless_uniform([rows, 1, 1, 1], seeds[1]) < 0.5
        pixels = tf.where(turned, tf.reverse(pixels, [2]), pixels)
    return tf.ensure_shape(pixels, shape)
