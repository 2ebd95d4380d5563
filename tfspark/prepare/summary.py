"""What one task says of its rows, so that the driver can tell the statistics of all rows.

Sums are small and travel as they are. Points (for quantiles) and counts of values stand in a file
of slices, by column, so that whoever merges them holds one column at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts import Column, Contract
from tfspark.contracts.types import family
from tfspark.exchange.duplicates import slice_numbers
from tfspark.exchange.hashes import row_hashes
from tfspark.exchange.slices import Slice, SliceWriter
from tfspark.features.words import Counted, words_of
from tfspark.prepare import kernels
from tfspark.tensors import Array

POINTS = pa.schema({"value": pa.float64(), "weight": pa.float64()})
COUNTS = pa.schema({"text": pa.string(), "whole": pa.int64(), "count": pa.int64()})
MOST_POINTS = 5_000
"""Of a column and a task, where the quantiles are approximate: each stands for as many values, so
that a quantile is off by at most 1/10,000 of the rows."""
BITS = 6
"""The counts of many values are cut by so many bits of the values' hashes."""

_FLOATS = ("float", "double", "decimal")
_HUGE, _UNIT = 1e150, 2.0**600
_MANY = 1 << 16
_PIECE = 16 << 20  # bytes of texts


class Moments(NamedTuple):
    """Of a column's numbers in the rows of one task; NaN and infinities count as null.

    Attributes:
        mean, var: in units of `unit`, and of its square, which no double has room for.
        least, most: None where there are none.
        log_mean, log_var: of log(1 + x); None where a value is negative.
    """

    given: int
    mean: float = 0.0
    var: float = 0.0
    least: float | None = None
    most: float | None = None
    log_mean: float | None = None
    log_var: float | None = None
    unit: float = 1.0


@dataclass(frozen=True)
class Summary:
    """Of the rows of one task.

    Attributes:
        moments: by number of the described column; of a text only the count.
        points: slices (value, weight), `number` is the column's.
        exact: whether there is a point for every value.
        counts: slices (text, whole, count); for `number` see `column_of` and `part_of`.
    """

    rows: int
    exact: bool
    moments: tuple[Moments, ...]
    points: tuple[Slice, ...]
    counts: tuple[Slice, ...]


def described(contract: Contract) -> list[Column]:
    """The columns that have statistics: all but arrays and what is ignored."""
    return [
        c for c in contract.columns if c.role != "ignore" and family(c.physical_type) != "array"
    ]


def is_number(column: Column) -> bool:
    return family(column.physical_type) not in ("string", "binary")


def is_counted(column: Column, words: Sequence[Counted] = ()) -> bool:
    """Whether its values are counted: not where only its words are asked for."""
    if column.key or any(one.alone and one.column == column.name for one in words):
        return False
    return family(column.physical_type) not in (*_FLOATS, "binary")


def summarise(
    rows: pa.Table, contract: Contract, path: str, exact: bool, words: Sequence[Counted] = ()
) -> Summary:
    """The summary of rows; its slices are written to two files.

    Args:
        path: of the files, without their endings.
        exact: give every value as a point, for exact quantiles.
        words: that are counted; their numbers follow those of the columns.

    Raises:
        StorageError: a file cannot be written.
    """
    columns = described(contract)
    moments = []
    points = SliceWriter(f"{path}.points", POINTS)
    counts = SliceWriter(f"{path}.counts", COUNTS)
    with points, counts:
        for number, column in enumerate(columns):
            array = one_array(rows[column.name])
            if is_number(column):
                values = numbers(array)
                found = _moments(values)
                if len(values):
                    points.write(_points(values, exact), np.full(_size(values, exact), number))
            else:
                found = Moments(len(array) - array.null_count)
            moments.append(found)
            if is_counted(column, words):
                _write_counts(counts, array, number)
        for number, one in enumerate(words, len(columns)):
            _write_words(counts, one_array(rows[one.column]), one, number)
    return Summary(rows.num_rows, exact, tuple(moments), tuple(points.slices), tuple(counts.slices))


def one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def whole_numbers(array: pa.Array) -> pa.Array:
    """Booleans as 0 and 1, dates as days, timestamps as microseconds: int64."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.int64())
    if pa.types.is_date32(kind):
        return array.cast(pa.int32()).cast(pa.int64())
    return array.cast(pa.int64())


def numbers(array: pa.Array) -> Array:
    """The values as float64, without nulls, NaN and infinities: no mean is told of these."""
    kind = array.type
    if not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        array = whole_numbers(array)
    found: Array = pc.cast(array.drop_null(), pa.float64(), safe=False).to_numpy()
    finite = np.isfinite(found)
    return found if finite.all() else found[finite]


def _moments(values: Array) -> Moments:
    if not len(values):
        return Moments(0)
    least, most = float(values.min()), float(values.max())
    unit = _UNIT if max(-least, most) > _HUGE else 1.0
    scaled = values if unit == 1 else values / unit
    found = Moments(len(values), *kernels.moments(scaled), least, most, unit=unit)
    if least < 0:
        return found
    logs = np.empty(len(values))
    kernels.logs(values, logs)
    mean, var = kernels.moments(logs)
    return found._replace(log_mean=mean, log_var=var)


def _size(values: Array, exact: bool) -> int:
    return len(values) if exact else min(len(values), MOST_POINTS)


def _points(values: Array, exact: bool) -> pa.RecordBatch:
    """Values in order, each with the number of values that it stands for."""
    ordered, size = np.sort(values), _size(values, exact)
    middles = ((np.arange(size) + 0.5) * (len(values) / size)).astype(np.int64)
    return pa.record_batch({"value": ordered[middles], "weight": np.full(size, len(values) / size)})


def _write_counts(writer: SliceWriter, array: pa.Array, number: int) -> None:
    text = pa.types.is_string(array.type)
    found = pc.value_counts((array if text else whole_numbers(array)).drop_null())
    _write_found(writer, found.field("values"), found.field("counts"), number)


def _write_words(writer: SliceWriter, array: pa.Array, asked: Counted, number: int) -> None:
    """Piece by piece: a text's words take several times its room."""
    texts, parts = array.drop_null(), list[pa.Table]()
    step = max(1, len(texts) * _PIECE // max(1, texts.nbytes))
    for start in range(0, len(texts), step):
        piece = texts.slice(start, step)
        found = pc.value_counts(words_of(piece, asked.standardize, asked.ngrams))
        parts.append(pa.table({"word": found.field("values"), "count": found.field("counts")}))
        if sum(part.num_rows for part in parts[1:]) > parts[0].num_rows + _MANY:
            parts = [_summed(parts)]
    if parts:
        whole = _summed(parts).combine_chunks()
        _write_found(writer, one_array(whole["word"]), one_array(whole["count"]), number)


def _summed(parts: Sequence[pa.Table]) -> pa.Table:
    together = pa.concat_tables(parts).group_by("word", use_threads=False)
    return together.aggregate([("count", "sum")]).rename_columns(["word", "count"])


def _write_found(writer: SliceWriter, values: pa.Array, count: pa.Array, number: int) -> None:
    text = pa.types.is_string(values.type)
    none = pa.nulls(len(values), pa.int64() if text else pa.string())
    rows = pa.record_batch(
        {"text": values if text else none, "whole": none if text else values, "count": count}
    )
    part: Array = np.full(len(values), 1 << BITS)
    if len(values) > _MANY:
        part = slice_numbers(row_hashes([values]), BITS)
    if len(values):
        writer.write(rows, number * 2 * (1 << BITS) + part)


def column_of(counts: Slice) -> int:
    """The column that is counted."""
    return counts.number >> (BITS + 1)


def part_of(counts: Slice) -> int | None:
    """The upper bits of the values' hashes; None: the counts are not cut."""
    part = counts.number & ((2 << BITS) - 1)
    return None if part == 1 << BITS else part
