"""Which values are there more than once where rows come in the order of the values: at no cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from tfspark.tensors import Array


class OutOfOrder(Exception):
    """Rows did not come in the order of their values."""


_MOST = 1 << 16  # rows of one value


def whole_groups(batches: Iterable[pa.RecordBatch], column: str) -> Iterator[pa.RecordBatch]:
    """The same rows, cut so that equal neighbours in a column of integers are in one batch.

    Only where a cut has to move are rows copied.

    Raises:
        OutOfOrder: one value has more rows than are worth holding.
    """
    held: pa.RecordBatch | None = None
    for batch in batches:
        if held is None:
            held = batch
            continue
        values, others = (b.column(column).drop_null() for b in (held, batch))
        if not len(values) or not len(others) or values[-1] != others[0]:
            yield held
            held = batch
            continue
        start = held.column(column).index(values[-1]).as_py()
        if held.num_rows - start > _MOST:
            raise OutOfOrder
        if start:
            yield held.slice(0, start)
        held = pa.concat_batches([held.slice(start), batch])
    if held is not None:
        yield held


class InOrder:
    """Counts in the rows of one task, batch after batch (see `whole_groups`).

    Each task has its own. No other task may have the same values.

    Args:
        name: for messages.

    Attributes:
        column: of integers.
    """

    def __init__(self, name: str, column: str) -> None:
        self._name, self.column = name, column
        self._last: int | None = None

    def times(self, rows: pa.RecordBatch) -> dict[str, pa.Array]:
        """As `Duplicates.times`.

        Raises:
            OutOfOrder: only looking at all rows tells.
        """
        column = rows.column(self.column)
        places: Array | None = None
        if column.null_count:
            places = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
            column = column.drop_null()
        values = column.to_numpy()
        if not len(values):
            return {}
        if self._last is not None and values[0] <= self._last:
            raise OutOfOrder
        self._last = int(values[-1])
        rising = values[1:] > values[:-1]
        if rising.all():
            return {}
        if (values[1:] < values[:-1]).any():
            raise OutOfOrder
        starts = np.flatnonzero(np.concatenate([[True], rising]))
        lengths = np.diff(starts, append=len(values))
        counts = np.zeros(rows.num_rows, np.int64)
        counts[slice(None) if places is None else places] = np.repeat(lengths, lengths)
        return {self._name: pa.array(counts, mask=counts < 2)}
