"""How a window lies in memory: a tensor a column, [steps, rows of a step, ...]."""

from __future__ import annotations

import math
import mmap
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfspark.tensors import Array

_ALIGNMENT = 64  # what TensorFlow takes without a copy
_PAGES = 1 << 16  # bytes that are had at once


class Layout:
    """Of the windows of one tf.data.Dataset.

    Attributes:
        specs: tf.TensorSpecs of what `cut` gives.
    """

    def __init__(self, element: Any) -> None:
        """
        Args:
            element: tf.TensorSpecs of a batch.
        """
        import tensorflow as tf

        self._element = element
        flat = tf.nest.flatten(element)
        self.specs = [tf.TensorSpec([None, *spec.shape], spec.dtype) for spec in flat] + flat
        with tf.device("CPU:0"):
            self._no_rows = [tf.zeros([0, *(n or 0 for n in s.shape[1:])], s.dtype) for s in flat]

    def cut(self, columns: Iterable[Any], rows: int) -> list[Any]:
        """A window's columns as steps of `rows` rows, and then what is left.

        A column is taken when the one before is in its place: their memory is used again.
        """
        import tensorflow as tf

        steps, rest = [], []
        with tf.device("CPU:0"):
            for column, no_rows in zip(columns, self._no_rows, strict=True):
                full = len(column) // rows * rows
                shape = [full // rows, rows, *column.shape[1:]]
                if isinstance(column, np.ndarray):
                    steps.append(as_tensor(column[:full].reshape(shape)))
                else:
                    steps.append(tf.reshape(column[:full], shape))
                rest.append(no_rows if full == len(column) else as_tensor(column[full:]))
        return steps + rest

    def pack(self, step: tuple[Any, ...]) -> Any:
        """A step's tensors as the element."""
        import tensorflow as tf

        return tf.nest.pack_sequence_as(self._element, list(step))


def as_tensor(array: Any) -> Any:
    """An array as a tensor, which shares its memory where that can be."""
    import tensorflow as tf

    if not isinstance(array, np.ndarray):
        return array
    if array.dtype == object or not array.size:
        return tf.constant(array)
    shareable = array.flags.c_contiguous and array.flags.writeable
    if not shareable or array.ctypes.data % _ALIGNMENT:
        copy = aligned(array.shape, array.dtype)
        copy[...] = array
        array = copy
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An empty array in memory that TensorFlow can share, and that is used again after it.

    The kernel takes longer to hand out new pages than a column takes to be filled.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = _FREE.take(size)
    lease = np.frombuffer(memory, "uint8")  # what is made of it keeps it alive
    weakref.finalize(lease, _FREE.give, memory).atexit = False
    array: Array = lease[:size].view(dtype).reshape(shape)
    return array


class _Free:
    """Pages that were used and are no more: at most `most` bytes of them."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._by_size: dict[int, list[mmap.mmap]] = {}
        self._lock = threading.RLock()  # a finalizer may run within another call

    def take(self, size: int) -> mmap.mmap:
        pages = max(1, -(-size // _PAGES)) * _PAGES
        with self._lock:
            if found := self._by_size.get(pages):
                self._held -= pages
                return found.pop()
        return mmap.mmap(-1, pages)

    def give(self, memory: mmap.mmap) -> None:
        with self._lock:
            if self._held + len(memory) <= self._most:
                self._held += len(memory)
                self._by_size.setdefault(len(memory), []).append(memory)


_FREE = _Free(256 << 20)
