"""The ranks of a training, and what they say to each other: Horovod where there are several."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tfspark.extras import need
from tfspark.tensors import Array


class World:
    """One rank's view of all of them. With one rank every exchange is a copy.

    Every method but `count` is collective: all ranks call it, in the same order.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, local_rank: int = 0, local_size: int = 1
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self._exchanges = 0

    def sum(self, arrays: Sequence[Array]) -> list[Array]:
        """Sums over ranks, float64, of arrays whose shapes are the same on every rank."""
        wide = [np.asarray(array, "float64") for array in arrays]
        if self.size == 1 or not wide:
            return wide
        flat = np.concatenate([array.reshape(-1) for array in wide])
        summed = self._hvd().allreduce(self._enter(flat), op=self._hvd().Sum, name="world.sum")
        parts = np.split(summed.numpy(), np.cumsum([array.size for array in wide])[:-1])
        return [part.reshape(array.shape) for part, array in zip(parts, wide, strict=True)]

    def tell(self, value: Any) -> Any:
        """Rank 0's value (anything JSON holds), on every rank."""
        if self.size == 1:
            return value
        said = np.frombuffer(json.dumps(value).encode(), "uint8")
        length = self._broadcast(np.array([said.size], "int64"), "world.length")
        text = said if self.rank == 0 else np.zeros(int(length[0]), "uint8")
        return json.loads(self._broadcast(text, "world.tell").tobytes())

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give Keras variables of any dtype rank 0's values, to the bit."""
        if self.size == 1:
            return
        for variable in variables:
            value = np.asarray(variable.value.numpy())
            own = np.ascontiguousarray(value).reshape(-1).view("uint8")
            raw = self._broadcast(own, "world.variable")
            variable.assign(raw.view(value.dtype).reshape(value.shape))

    def gather(self, data: bytes) -> list[bytes]:
        """What each rank gave, in the order of ranks; the same length everywhere."""
        if self.size == 1:
            return [data]
        row = np.frombuffer(data, "uint8")[None]
        rows = self._hvd().allgather(self._enter(row), name="world.gather").numpy()
        return [row.tobytes() for row in rows]

    def reduce(self, tensor: Any, name: str, compression: str = "none") -> Any:
        """In a graph: the sum over ranks. `name` must be the same on every rank, in every trace."""
        import tensorflow as tf

        if self.size == 1:
            return tensor
        with tf.control_dependencies([self.entered.assign_add(1)]):
            sent = tf.cast(tensor, tf.float16) if compression == "float16" else tensor
            if sent.dtype == tf.bfloat16:  # Horovod adds up none
                sent = tf.cast(sent, tf.float32)
            summed = self._hvd().allreduce(sent, op=self._hvd().Sum, name=name)
        return tf.cast(summed, tensor.dtype)

    @cached_property
    def entered(self) -> Any:
        """Collectives that this rank has come to within graphs."""
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU:0"):
            return tf.Variable(0, dtype=tf.int64, trainable=False, name="entered")

    def count(self) -> int:
        """Grows with every exchange that this rank comes to: who hangs has the least."""
        in_graphs = int(self.entered.numpy()) if "entered" in self.__dict__ else 0
        return self._exchanges + in_graphs

    def close(self) -> None:
        if self.size > 1:
            self._hvd().shutdown()

    def _broadcast(self, array: Array, name: str) -> Array:
        sent: Array = self._hvd().broadcast(self._enter(array), root_rank=0, name=name).numpy()
        return sent

    def _enter(self, array: Array) -> Any:
        import tensorflow as tf

        self._exchanges += 1
        return tf.constant(array)

    @staticmethod
    def _hvd() -> Any:
        import horovod.tensorflow as hvd

        return hvd


def started_by_horovodrun() -> bool:
    """Whether this very job is one of several that horovodrun started."""
    return "HOROVOD_RANK" in os.environ


def join_ranks() -> World:
    """Meet the other ranks that the HOROVOD_ variables name; without any, be the only one."""
    if int(os.environ.get("HOROVOD_SIZE", "1")) == 1:
        return World()
    need("horovod", "a training on several ranks")
    import horovod.tensorflow as hvd

    hvd.init()
    return World(hvd.rank(), hvd.size(), hvd.local_rank(), hvd.local_size())
