"""Row groups in a task, as batches that are neither many rows nor large."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.parquet as pq

from tfspark.rowgroups import Group, opened
from tfspark.tensors.arrowtypes import typed

_BATCH_ROWS = 1 << 15
_BATCH_BYTES = 8 << 20  # of Arrow, as read
_MANY_COLUMNS, _MOST_TIMES = 64, 8
"""From so many columns on, batches are larger, up to so many times: calls cost, not only bytes."""
_WORD_BYTES = 2  # a value: as text without a dictionary it takes four and its letters
_CODED = pa.dictionary(pa.int32(), pa.string())


def batches(
    groups: Sequence[Group], schema: pa.Schema, coded: Container[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of row groups, so many at a time that they are neither many nor large.

    Args:
        coded: columns of text that may come as dictionaries, where the file has them so.
    """
    size = _BATCH_BYTES * min(max(1, len(schema) // _MANY_COLUMNS), _MOST_TIMES)
    for path in dict.fromkeys(group.path for group in groups):
        own = [group for group in groups if group.path == path]
        with ExitStack() as files:
            file = files.enter_context(opened(path))
            kinds = schema
            if names := _coded(file, own, schema, coded):
                file = files.enter_context(opened(path, names, file.metadata))
                for name in names:
                    at = kinds.get_field_index(name)
                    kinds = kinds.set(at, kinds.field(at).with_type(_CODED))
            for group in own:
                width = max(1, group.bytes // max(1, group.rows))
                rows = max(1, min(_BATCH_ROWS, size // width))
                # A group at a time: Arrow buffers in advance whatever it is asked for at once.
                for batch in file.iter_batches(
                    rows, row_groups=[group.number], columns=schema.names, use_threads=False
                ):
                    yield from _small(typed(batch, kinds), size)


def _coded(
    file: pq.ParquetFile, groups: Sequence[Group], schema: pa.Schema, coded: Container[str]
) -> list[str]:
    """Columns of text whose values are numbers of few words, by what they take in the file."""
    wanted = {f.name for f in schema if f.name in coded and f.type == pa.string()}
    if not wanted:
        return []
    wanted -= {f.name for f in file.schema_arrow if f.type != pa.string()}
    parts = [file.metadata.row_group(group.number) for group in groups]
    found = []
    for leaf in range(file.metadata.num_columns):
        name = file.metadata.schema.column(leaf).path
        if name in wanted:
            chunks = [part.column(leaf) for part in parts]
            size = sum(chunk.total_uncompressed_size for chunk in chunks)
            if size <= _WORD_BYTES * sum(chunk.num_values for chunk in chunks):
                found.append(name)
    return found


def _small(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """A batch in pieces: Parquet says how large values are encoded, not how large they become."""
    pieces = min(max(1, batch.num_rows), -(-batch.nbytes // (4 * size)) or 1)
    step = -(-batch.num_rows // pieces)
    for start in range(0, batch.num_rows, max(1, step)):
        yield batch.slice(start, step)
