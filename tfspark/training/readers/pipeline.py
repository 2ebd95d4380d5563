"""The one reader: windows of rows as tensors, cut into batches by tf.data.

Python runs once a window, in a thread that is a window ahead; batches are slices that TensorFlow
makes. So at most two windows are in memory, and the batches that wait.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfspark.errors import TrainingError
from tfspark.tensors import Array
from tfspark.training.readers.blocks import Blocks
from tfspark.training.readers.layout import Layout
from tfspark.training.readers.order import Order, Part
from tfspark.training.readers.source import Source

if TYPE_CHECKING:
    from tfspark.training.data import Encoder

_WAITING = 2  # batches
Loaded = tuple[Iterator[Any], int]


class BlockReader:
    """See `Reader`; made by `open_reader`."""

    def __init__(
        self,
        source: Source,
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
            where: the dataset and split, for messages.
            train: whether class weights count.
            draw: how often each class is drawn, relative to its rows; None: no resampling.
        """
        self.rows, self.steps = order.rows, order.steps
        self._source, self._encoder, self._order = source, encoder, order
        self._rank, self._size = place
        self._where, self._train, self._draw = where, train, draw
        self._blocks = Blocks(source, encoder.schema, keep_bytes)
        self._own_weight = encoder.weighs(train)
        self.weighted = self._own_weight or order.has_fillers(*place)
        self._error: BaseException | None = None
        self._ahead = _Ahead()

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

        return self._dataset(load, first, None, self.weighted)

    def once(self) -> Any:
        order = self._order
        start, stop = (self.rows * rank // self._size for rank in (self._rank, self._rank + 1))
        chunk = order.window_steps * order.batch

        def load(number: int) -> Loaded:
            begin = start + number * chunk
            return self._straight(begin, min(begin + chunk, stop))

        return self._dataset(load, 0, -(-(stop - start) // chunk), self._own_weight)

    def share(self, step: int) -> float:
        step %= self.steps
        return self._order.count(step, self._rank, self._size) / self._order.batch_rows(step)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._ahead.close()
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
        index = run[index]
        columns = self._encode(table, cut.parts, index)
        if self.weighted:
            columns = self._without_fillers(columns, len(index), cut.fillers)
        return columns, cut.step_rows

    def _without_fillers(self, columns: Iterator[Any], rows: int, fillers: int) -> Iterator[Any]:
        """The columns with a weight, which is 0 for the last rows."""
        yield from itertools.islice(columns, len(self._encoder.specs) + 1)
        weight = np.array(next(columns, np.ones(rows, "float32")))
        weight[rows - fillers :] = 0
        yield weight

    def _straight(self, start: int, stop: int) -> Loaded:
        parts = self._order.straight(start, stop)
        tables = self._blocks.read([part.block for part in parts])
        pairs = zip(tables, parts, strict=True)
        table = pa.concat_tables([t.slice(part.rows[0], len(part.rows)) for t, part in pairs])
        return self._encode(table, parts, None), self._order.batch

    def _table(self, parts: list[Part]) -> tuple[pa.Table, Array]:
        """The blocks of a run one after the other, and where in them the run's rows are."""
        tables = self._blocks.read([part.block for part in parts])
        begins = np.cumsum([0, *(table.num_rows for table in tables[:-1])])
        run = [part.rows + begin for part, begin in zip(parts, begins, strict=True)]
        return pa.concat_tables(tables), np.concatenate(run)

    def _encode(self, table: pa.Table, parts: list[Part], rows: Array | None) -> Iterator[Any]:
        try:
            yield from self._encoder.encode(table, self._where, self._train, rows)
        except TrainingError:
            for part in parts:  # which file is it?
                [alone] = self._blocks.read([part.block])
                file = self._source.blocks[part.block].file
                list(self._encoder.encode(alone, file, self._train))
            raise

    def _dataset(
        self, load: Callable[[int], Loaded], first: int, count: int | None, weighted: bool
    ) -> Any:
        import tensorflow as tf

        layout = Layout(self._encoder.element_spec(weighted))
        last = None if count is None else first + count - 1

        def cut(number: int) -> list[Any]:
            columns, rows = load(number)
            return layout.cut(columns, rows)

        def read(number: Any) -> Any:
            try:
                return self._ahead.get(cut, int(number), last)
            except BaseException as error:
                self._error = error
                raise

        def window(number: Any) -> Any:
            tensors = tf.py_function(read, [number], [spec.dtype for spec in layout.specs])
            for tensor, spec in zip(tensors, layout.specs, strict=True):
                tensor.set_shape(spec.shape)
            return tuple(tensors)

        def steps(*tensors: Any) -> Any:
            full, rest = tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]
            left = tf.minimum(tf.shape(rest[-1], tf.int64)[0], 1)
            body = tf.data.Dataset.from_tensor_slices(full)
            return body.concatenate(tf.data.Dataset.from_tensors(rest).take(left))

        stop = tf.int64.max if count is None else first + count
        windows = tf.data.Dataset.range(first, stop).map(window)
        return windows.flat_map(steps).map(lambda *batch: layout.unpack(batch)).prefetch(_WAITING)


class _Ahead:
    """Loads a window in a thread of its own while the one before is used."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "tfspark-read")
        self._lock = threading.Lock()
        self._next: tuple[Any, int, Future[list[Any]]] | None = None

    def get(self, load: Callable[[int], list[Any]], number: int, last: int | None) -> list[Any]:
        """What `load(number)` gives; `load(number + 1)` is begun, unless that is past the last."""
        with self._lock:
            if self._next is not None and self._next[:2] == (load, number):
                future = self._next[2]
            else:
                if self._next is not None:
                    self._next[2].cancel()
                future = self._thread.submit(load, number)
            self._next = None
            loaded = future.result()
            if last is None or number < last:
                self._next = load, number + 1, self._thread.submit(load, number + 1)
        return loaded

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
