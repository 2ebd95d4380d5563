"""One optimizer step of all ranks: gradients are summed before they are applied.

Keras 3 ends every way of training in `optimizer.apply`, so that is where ranks meet: `fit`,
`train_on_batch`, a custom loop and a user's own `train_step` all pass through it. Horovod's own
`DistributedOptimizer` misses it, and trains without synchronising.

Each rank weighs its gradients by its share of the step's rows, so that the sum is the gradient of
the whole batch even where the last batch of an epoch does not divide. Gradients go as flat tensors
of up to 32 MiB, last layers first: one exchange instead of one for each variable.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfspark.compat.keras import moving_statistics
from tfspark.errors import TrainingError
from tfspark.training.loop.moments import Moments
from tfspark.training.ranks.world import World

BUCKET_BYTES = 32 << 20


class Sync:
    """Ties a compiled model's optimizer to the other ranks.

    Args:
        model: compiled, its optimizer built.
        compression: `float16` halves what is sent; sums lose digits.
        local_steps: gradients of so many steps are added up before they are sent and applied.
    """

    def __init__(
        self, model: Any, world: World, compression: str = "none", local_steps: int = 1
    ) -> None:
        import tensorflow as tf

        self.model, self.world, self.late = model, world, 0
        self.compression, self.local_steps = compression, local_steps
        with tf.device("CPU:0"):
            self.share = tf.Variable(1.0, trainable=False, name="share")
            self.last = tf.Variable(True, trainable=False, name="last")
            self.scale = tf.Variable(1.0, trainable=False, name="scale")
            self.calls = tf.Variable(0, dtype=tf.int64, trainable=False, name="calls")
            self.bad_step = tf.Variable(-1, dtype=tf.int64, trainable=False, name="bad_step")
            self._bad = tf.Variable(0.0, trainable=False, name="bad")
        self._now = {"share": 1.0, "last": True, "scale": 1.0}
        replicas = model.distribute_strategy.num_replicas_in_sync
        self._dense = world.size > 1 or local_steps > 1 or replicas > 1
        self.statistics = _statistics(model) if world.size > 1 else []
        self.before_step = [tf.Variable(v.value, trainable=False) for v in self.statistics]
        shapes = [v.shape for v in model.trainable_variables]
        self.sums = (
            [tf.Variable(tf.zeros(shape), trainable=False) for shape in shapes]
            if local_steps > 1
            else []
        )
        self.moments = Moments(model, world, self.share) if world.size > 1 else None
        self._meet(model.optimizer)

    def _meet(self, optimizer: Any) -> None:
        """Let the optimizer apply what all ranks have.

        Its class stays as it is: a model that a callback saves names it.
        """
        update = optimizer.apply

        def apply(grads: Any, trainable_variables: Any = None) -> None:
            variables = trainable_variables or optimizer._trainable_variables
            self.apply(update, list(grads), list(variables))

        object.__setattr__(optimizer, "apply", apply)

    def trace(self) -> None:
        """A step is traced anew: its exchanges are numbered from 0 again, as on every rank."""
        if self.moments is not None:
            self.moments.trace()

    def before(self, share: float, step: int, steps: int) -> bool:
        """Say what the next step is, before it runs.

        Args:
            share: this rank's part of its rows; sums to 1 over ranks.
            step, steps: of the epoch, from 0.

        Returns:
            Whether the step updates the weights (with `local_steps`, not each does).
        """
        first = step - step % self.local_steps
        last = min(first + self.local_steps, steps) - 1
        self._set("share", share)
        self._set("last", step == last)
        self._set("scale", 1.0 / (last - first + 1))
        return step == last

    def note(self, loss: Any, late: bool = False) -> None:
        """In a graph: keep the first step whose loss is no number, on any rank.

        Args:
            late: the step's gradients were applied already.
        """
        import tensorflow as tf

        wrong = tf.logical_not(tf.math.is_finite(tf.cast(loss, tf.float32)))
        wrong = tf.logical_and(wrong, self.share > 0)  # a filler's does not count
        self._bad.assign(tf.maximum(self._bad, tf.cast(wrong, tf.float32)))
        if self.world.size == 1:
            self._keep(self._bad.read_value(), 0)
        self.late = int(late)

    def counted(self) -> None:
        """In a graph, once a step, after what it had to `note`."""
        self.calls.assign_add(1)

    def _keep(self, bad: Any, back: int) -> None:
        import tensorflow as tf

        first = tf.logical_and(self.bad_step < 0, bad > 0)
        self.bad_step.assign(tf.where(first, self.calls - back, self.bad_step))

    def apply(self, update: Any, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """In a graph: `update(grads, variables)` with the gradients of all ranks."""
        import tensorflow as tf

        grads = [_by_id(grad, self._dense) for grad in grads]
        if not self.sums:
            update(self._reduced(grads, variables, self.share), variables)
            return
        index = {id(v): i for i, v in enumerate(self.model.trainable_variables)}
        sums = [self.sums[index[id(variable)]] for variable in variables]
        for total, grad in zip(sums, grads, strict=True):
            if grad is not None:
                own = tf.math.multiply_no_nan(tf.cast(grad, total.dtype), self.share)
                total.assign_add(own)

        def meet() -> Any:
            held = [
                None if g is None else tf.cast(s.read_value(), g.dtype)
                for s, g in zip(sums, grads, strict=True)
            ]
            update(self._reduced(held, variables, self.scale), variables)
            for total in sums:
                total.assign(tf.zeros_like(total))
            return tf.constant(True)

        tf.cond(self.last, meet, lambda: tf.constant(False))

    def compare(self, where: str) -> None:
        """All ranks must hold the same weights, to the bit.

        Raises:
            TrainingError: they do not: something updates weights past the optimizer.
        """
        if self.world.size == 1:
            return
        digest = hashlib.sha256()
        for weight in self.model.weights:
            digest.update(np.ascontiguousarray(weight.value.numpy()).tobytes())
        digests = self.world.gather(digest.digest())
        apart = [rank for rank, other in enumerate(digests) if other != digests[0]]
        if apart:
            raise TrainingError(
                f"ranks {', '.join(map(str, apart))} hold other weights than rank 0 {where}: "
                "something updates weights without model.optimizer, so gradients are not "
                "synchronised; let train_step end with self.optimizer.apply(grads, variables)"
            )

    def _reduced(self, grads: Sequence[Any], variables: Sequence[Any], factor: Any) -> list[Any]:
        import tensorflow as tf

        if self.world.size == 1:
            if factor is self.share:  # all of it
                return list(grads)
            return [None if g is None else g * tf.cast(factor, g.dtype) for g in grads]
        out = list(grads)
        present = [i for i in reversed(range(len(out))) if out[i] is not None]
        moved = [v.value - old for v, old in zip(self.statistics, self.before_step, strict=True)]
        for number, bucket in enumerate(_buckets(present, out)):
            # Named by its variables: the same on all ranks, however often each traces.
            name = f"gradients.{variables[bucket[0]].path}.{number}"
            tail = None if number else self._bad
            summed = self._flat([out[i] for i in bucket], factor, name, tail)
            for i, tensor in zip(bucket, summed, strict=True):
                out[i] = tensor
        if moved:
            summed = self._flat(moved, self.share, "statistics")
            for variable, old, change in zip(
                self.statistics, self.before_step, summed, strict=True
            ):
                old.assign_add(change)
                variable.assign(old)
        return out

    def _flat(self, tensors: Sequence[Any], factor: Any, name: str, tail: Any = None) -> list[Any]:
        """The sum over ranks of each tensor × factor, sent as one with the mark of a bad loss."""
        import tensorflow as tf

        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
        # A filler's gradients may be anything: they count 0 times.
        flat = tf.math.multiply_no_nan(flat, tf.cast(factor, flat.dtype))
        if tail is not None:
            flat = tf.concat([flat, tf.cast(tf.reshape(tail, [1]), flat.dtype)], 0)
        flat = self.world.reduce(flat, name, self.compression)
        sizes = [int(tensor.shape.num_elements()) for tensor in tensors]
        *parts, mark = tf.split(flat, [*sizes, 1 if tail is not None else 0])
        if tail is not None:
            self._keep(mark[0], 1 + self.late)  # `calls` has counted this step already
        return [tf.reshape(p, tensor.shape) for p, tensor in zip(parts, tensors, strict=True)]

    def _set(self, name: str, value: Any) -> None:
        if self._now[name] != value:
            getattr(self, name).assign(value)
            self._now[name] = value


def _statistics(model: Any) -> list[Any]:
    """The moving averages that are numbers with a point: counters are equal on all ranks."""
    floats = ("float32", "float64", "bfloat16", "float16")
    return [v for v in moving_statistics(model) if str(v.dtype) in floats]


def _by_id(grad: Any, dense: bool) -> Any:
    """An embedding's gradient with one entry an id, as a tensor where `dense`.

    Keras's optimizers take the square of each entry by itself, so an id that comes twice in a
    batch would count as a² + b² where ranks, which add up first, have (a + b)².
    """
    import tensorflow as tf

    if not isinstance(grad, tf.IndexedSlices):
        return grad
    if dense:
        return tf.convert_to_tensor(grad)
    ids, place = tf.unique(grad.indices)
    values = tf.math.unsorted_segment_sum(grad.values, place, tf.size(ids))
    return tf.IndexedSlices(values, ids, grad.dense_shape)


def _buckets(order: Sequence[int], tensors: Sequence[Any]) -> list[list[int]]:
    """Indices of tensors of one dtype, up to BUCKET_BYTES together."""
    buckets: list[list[int]] = []
    for _, same in itertools.groupby(order, key=lambda i: tensors[i].dtype):
        size = BUCKET_BYTES
        for i in same:
            own = int(tensors[i].shape.num_elements()) * tensors[i].dtype.size
            if size + own > BUCKET_BYTES:
                buckets.append([])
                size = 0
            buckets[-1].append(i)
            size += own
    return buckets
