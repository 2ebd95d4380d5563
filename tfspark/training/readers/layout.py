"""How a window lies in memory, so that a batch costs TensorFlow one slice a kind of column.

Columns of one number a row and one dtype lie side by side as [steps, columns, rows of a step]: one
slice is the batch of all of them, and taking it apart again copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfspark.tensors import Array

_ALIGNMENT = 64  # what TensorFlow takes without a copy


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
        together: dict[str, list[int]] = {}
        for i, spec in enumerate(flat):
            alone = spec.shape.rank != 1 or spec.dtype == tf.string
            # By name: TensorFlow says that the dtype float32 equals the number 1.
            together.setdefault(str(i) if alone else spec.dtype.name, []).append(i)
        # A lone column last: its first dimension says how many rows are left.
        self._groups = sorted(together.values(), key=lambda group: len(group) == 1)
        self._places = {
            i: (g, at) for g, some in enumerate(self._groups) for at, i in enumerate(some)
        }
        self.specs = []
        for lead in ([None], []):
            for group in self._groups:
                spec = flat[group[0]]
                inner = spec.shape if len(group) == 1 else [len(group), None]
                self.specs.append(tf.TensorSpec([*lead, *inner], spec.dtype))

    def cut(self, columns: Iterable[Any], rows: int) -> list[Any]:
        """A window's columns as steps of `rows` rows, and then what is left.

        A column is taken when the one before is in its place: their memory is used again.
        """
        import tensorflow as tf

        body, tail = {}, {}
        with tf.device("CPU:0"):
            for number, column in enumerate(columns):
                group, at = self._places[number]
                steps = len(column) // rows
                full, size = steps * rows, len(self._groups[group])
                if size == 1:
                    tensor = as_tensor(column)
                    body[group] = tf.reshape(tensor[:full], [steps, rows, *tensor.shape[1:]])
                    tail[group] = tensor[full:]
                    continue
                if group not in body:
                    body[group] = aligned((steps, size, rows), column.dtype)
                    tail[group] = aligned((size, len(column) - full), column.dtype)
                body[group][:, at] = column[:full].reshape(steps, rows)
                tail[group][at] = column[full:]
            order = range(len(self._groups))
            return [as_tensor(lead[group]) for lead in (body, tail) for group in order]

    def unpack(self, batch: tuple[Any, ...]) -> Any:
        """A step's slices as the element."""
        import tensorflow as tf

        flat: dict[int, Any] = {}
        for group, tensor in zip(self._groups, batch, strict=True):
            flat |= zip(group, tf.unstack(tensor) if len(group) > 1 else [tensor], strict=True)
        return tf.nest.pack_sequence_as(self._element, [flat[i] for i in range(len(flat))])


def as_tensor(array: Any) -> Any:
    """An array as a tensor, which shares its memory where that can be."""
    import tensorflow as tf

    if not isinstance(array, np.ndarray):
        return array
    shareable = array.flags.c_contiguous and array.flags.writeable and array.size
    if array.dtype == object or not shareable or array.ctypes.data % _ALIGNMENT:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An empty array in memory that TensorFlow can share."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, "uint8")
    begin = -memory.ctypes.data % _ALIGNMENT
    array: Array = memory[begin : begin + size].view(dtype).reshape(shape)
    return array
