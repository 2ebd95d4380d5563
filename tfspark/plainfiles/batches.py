"""Row groups in a task, as batches that are neither many rows nor large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from tfspark.rowgroups import Group, opened
from tfspark.tensors.arrowtypes import typed

_BATCH_ROWS = 1 << 15
_BATCH_BYTES = 8 << 20  # of Arrow, as read


def batches(groups: Sequence[Group], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of row groups, so many at a time that they are neither many nor large."""
    for path in dict.fromkeys(group.path for group in groups):
        with opened(path) as file:
            for group in (g for g in groups if g.path == path):
                width = max(1, group.bytes // max(1, group.rows))
                rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // width))
                # A group at a time: Arrow buffers in advance whatever it is asked for at once.
                for batch in file.iter_batches(
                    rows, row_groups=[group.number], columns=schema.names, use_threads=False
                ):
                    yield from _small(typed(batch, schema))


def _small(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in pieces: Parquet says how large values are encoded, not how large they become."""
    pieces = min(max(1, batch.num_rows), -(-batch.nbytes // (4 * _BATCH_BYTES)) or 1)
    step = -(-batch.num_rows // pieces)
    for start in range(0, batch.num_rows, max(1, step)):
        yield batch.slice(start, step)
