"""The one reader: windows of rows as tensors, cut into batches by tf.data.

Python runs once a window, in a thread of its own that is ahead; batches are slices that TensorFlow
makes. So at most three windows are in memory: one in use, one that waits, one that is read.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfspark.errors import TrainingError
from tfspark.tensors import Array
from tfspark.training.readers.blocks import Blocks
from tfspark.training.readers.layout import Layout
from tfspark.training.readers.order import BlockRows, Order
from tfspark.training.readers.source import BlockSource

if TYPE_CHECKING:
    from tfspark.training.readers.encoder import Encoder

_END_SECONDS = 5.0  # for the thread of a pass that was read to its end
_CLOSE_SECONDS = 30.0  # for a window that is being read
Loaded = tuple[Iterator[Any], int]


class BlockReader:
    """See `Reader`; made by `open_reader`."""

    def __init__(
        self,
        source: BlockSource,
        encoder: Encoder,
        order: Order,
        place: tuple[int, int],
        where: str,
        train: bool,
        draw: Array | None,
        keep_bytes: int,
    ) -> None:
        """
        Args:
            place: rank and size.
            where: the dataset and split, used in messages.
            train: whether class weights count.
            draw: how often each class is drawn, relative to its rows; None: no resampling.
        """
        self.rows, self.steps = order.rows, order.steps
        self._source, self._encoder, self._order = source, encoder, order
        self._rank, self._size = place
        self._where, self._train, self._draw = where, train, draw
        self._blocks = Blocks(source, encoder.schema, keep_bytes)
        self.weighted = encoder.weighs(train)
        self.fills = order.has_fillers(*place)
        self.element_spec = encoder.element_spec(self.weighted)
        self._error: BaseException | None = None
        self._producers: list[_Producer] = []

    def batches(self, epoch: int, step: int = 0) -> Any:
        if not self.rows:
            raise TrainingError(f"{self._where}: there are no rows to train on")
        epoch, step = epoch + step // self.steps, step % self.steps
        order = self._order
        first = epoch * order.windows + step // order.window_steps
        skipped = step % order.window_steps

        def load(number: int) -> Loaded:
            skip = skipped if number == first else 0
            return self._window(*divmod(number, order.windows), skip)

        return self._dataset(load, first, None)

    def once(self) -> Any:
        order = self._order
        start, stop = (self.rows * rank // self._size for rank in (self._rank, self._rank + 1))
        chunk = order.window_steps * order.batch

        def load(number: int) -> Loaded:
            begin = start + number * chunk
            return self._straight(begin, min(begin + chunk, stop))

        return self._dataset(load, 0, -(-(stop - start) // chunk))

    def share(self, step: int) -> float:
        step %= self.steps
        return self._order.count(step, self._rank, self._size) / self._order.batch_rows(step)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        for producer in self._producers:
            producer.close()
        self._source.close()

    def _window(self, epoch: int, window: int, skip: int) -> Loaded:
        """A window's columns, in the order of its steps, and the rows of a step."""
        cut = self._order.window(epoch, window, self._rank, self._size, skip)
        table, run = self._table(cut.parts)
        index = cut.index
        if self._draw is not None and cut.fillers < len(index):
            # By the weights of the rows' classes.
            classes = self._encoder.class_ids(table.take(pa.array(run)), self._where)
            weights = self._draw[classes]
            index = self._order.draw(weights, len(index), epoch, window, self._rank)
        index = np.take(run, index, mode="clip")
        return self._encode(table, cut.parts, index), cut.step_rows

    def _straight(self, start: int, stop: int) -> Loaded:
        parts = self._order.straight(start, stop)
        tables = self._blocks.read([part.block for part in parts])
        pairs = zip(tables, parts, strict=True)
        table = pa.concat_tables([t.slice(part.rows[0], len(part.rows)) for t, part in pairs])
        return self._encode(table, parts, None), self._order.batch

    def _table(self, parts: list[BlockRows]) -> tuple[pa.Table, Array]:
        """The blocks of a run one after the other, and where in them the run's rows are."""
        tables = self._blocks.read([part.block for part in parts])
        begins = np.cumsum([0, *(table.num_rows for table in tables[:-1])])
        run = [part.rows + begin for part, begin in zip(parts, begins, strict=True)]
        return pa.concat_tables(tables), np.concatenate(run)

    def _encode(self, table: pa.Table, parts: list[BlockRows], rows: Array | None) -> Iterator[Any]:
        try:
            yield from self._encoder.encode(table, self._where, self._train, rows)
        except TrainingError:
            for part in parts:  # which file is it?
                [alone] = self._blocks.read([part.block])
                file = self._source.blocks[part.block].file
                list(self._encoder.encode(alone, file, self._train))
            raise

    def _dataset(self, load: Callable[[int], Loaded], first: int, count: int | None) -> Any:
        import tensorflow as tf

        layout = Layout(self.element_spec)

        def loaded() -> Iterator[Loaded]:
            numbers = itertools.count(first) if count is None else range(first, first + count)
            return (load(number) for number in numbers)

        producer = _Producer(layout, loaded, self._failed)
        self._producers.append(producer)

        def window(_: Any) -> Any:
            tensors = producer.queue.dequeue()
            for tensor, spec in zip(tensors, layout.specs, strict=True):
                tensor.set_shape(spec.shape)
            return tuple(tensors)

        def steps(*tensors: Any) -> Any:
            full, rest = tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]
            left = tf.minimum(tf.shape(rest[-1], tf.int64)[0], 1)
            body = tf.data.Dataset.from_tensor_slices(layout.pack(full))
            return body.concatenate(tf.data.Dataset.from_tensors(layout.pack(rest)).take(left))

        def windows(started: Any) -> Any:
            last = tf.int64.max if count is None else count
            return tf.data.Dataset.range(started, last).map(window)

        start = tf.data.Dataset.range(1).map(
            lambda _: tf.ensure_shape(tf.py_function(producer.start, [], tf.int64), [])
        )
        batches = start.flat_map(windows).flat_map(steps)
        options = tf.data.Options()
        options.autotune.enabled = False  # it costs as much a batch as all else
        # There is nothing to rewrite here, and looking for it costs 0.1 s a pass.
        options.experimental_optimization.apply_default_optimizations = False
        return batches.with_options(options)

    def _failed(self, error: BaseException) -> None:
        self._error = error


class _Producer:
    """Puts windows into a queue, from a thread that is a window ahead.

    tf.data calls Python only to start it. A pipeline that calls Python for every window can
    block for ever when its iterator is dropped: TensorFlow then waits for the pipeline's thread
    with Python's lock held, and that thread waits for the lock.
    """

    def __init__(
        self,
        layout: Layout,
        windows: Callable[[], Iterator[Loaded]],
        failed: Callable[[BaseException], None],
    ) -> None:
        import tensorflow as tf

        self._layout, self._windows, self._failed = layout, windows, failed
        self._thread: threading.Thread | None = None
        self._closed = False
        with tf.device("CPU:0"):
            self.queue = tf.queue.FIFOQueue(1, [spec.dtype for spec in layout.specs])

    def start(self) -> Any:
        """Called by the pipeline where a pass begins; gives 0.

        Raises:
            RuntimeError: the pass before was not read to its end.
        """
        import tensorflow as tf

        if self._thread is not None:
            self._thread.join(_END_SECONDS)
            if self._thread.is_alive():
                raise RuntimeError(
                    "another pass of this dataset is not over: ask for a new dataset"
                )
        self._thread = threading.Thread(target=self._run, name="tfspark-read", daemon=True)
        self._thread.start()
        return tf.constant(0, tf.int64)

    def close(self) -> None:
        """End the thread: it reads no file any more."""
        self._closed = True
        self.queue.close(cancel_pending_enqueues=True)
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        import tensorflow as tf

        try:
            for columns, rows in self._windows():
                if self._closed:
                    return
                with tf.device("CPU:0"):
                    self.queue.enqueue(self._layout.cut(columns, rows))
        except tf.errors.CancelledError:
            return  # nobody reads on
        except BaseException as error:
            if self._closed:
                return
            self._failed(error)
            self.queue.close()  # who reads on gets an error, and asks for the cause
