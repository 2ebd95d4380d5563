"""Statistics of a Parquet file as Delta's log has them, so that queries skip files.

A bound that might be wrong is left out: Delta takes a missing one as unknown.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_COLUMNS = 32  # as many as Delta itself keeps statistics of
_TEXT = 32  # letters of a bound
_MILLISECOND = dt.timedelta(milliseconds=1)


@dataclass
class Counts:
    """What is not read from a footer: nulls, also of nested columns, and bounds of floats.

    Attributes:
        bounds: bounds of float columns; None if a NaN is among the values.
    """

    nulls: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float] | None] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        for kind, array in zip(batch.schema, batch.columns, strict=True):
            name = kind.name
            self.nulls[name] = self.nulls.get(name, 0) + array.null_count
            if not pa.types.is_floating(kind.type) or array.null_count == len(array):
                continue
            before = self.bounds.get(name, (math.inf, -math.inf))
            if before is None or pc.any(pc.is_nan(array)).as_py():
                self.bounds[name] = None
                continue
            found = pc.min_max(array)
            self.bounds[name] = (
                min(before[0], found["min"].as_py()),
                max(before[1], found["max"].as_py()),
            )


def footer_columns(schema: pa.Schema) -> list[str]:
    """The columns of which a Parquet footer may have bounds.

    Of no floats: the bounds of Arrow leave NaN out, Spark sorts it above all numbers, and would
    skip the row group that has it.
    """
    kinds = pa.types
    return [f.name for f in schema if not kinds.is_floating(f.type) and not kinds.is_nested(f.type)]


def delta_stats(footer: pq.FileMetaData, counts: Counts) -> str:
    """The JSON of `numRecords`, `minValues`, `maxValues` and `nullCount` of a file."""
    schema = footer.schema.to_arrow_schema()
    flat = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for column in list(schema)[:_COLUMNS]:
        if pa.types.is_struct(column.type):
            continue  # Delta counts the nulls of its fields
        nulls[column.name] = counts.nulls[column.name]
        if pa.types.is_nested(column.type):
            continue
        if pa.types.is_floating(column.type):
            least, most = counts.bounds.get(column.name) or (None, None)
        else:
            least, most = _bounds(footer, flat[column.name])
        if (bound := _bound(least, up=False)) is not None:
            low[column.name] = bound
        if (bound := _bound(most, up=True)) is not None:
            high[column.name] = bound
    return json.dumps(
        {"numRecords": footer.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}
    )


def _bounds(footer: pq.FileMetaData, leaf: int) -> tuple[Any, Any]:
    """The least and the greatest value of a column; None where a row group does not tell."""
    least: list[Any] = []
    most: list[Any] = []
    for number in range(footer.num_row_groups):
        chunk = footer.row_group(number).column(leaf)
        found = chunk.statistics
        if found is not None and found.has_null_count and found.null_count == chunk.num_values:
            continue
        if found is None or not found.has_min_max:
            return None, None
        try:
            low, high = found.min, found.max
        except (ValueError, OverflowError):  # a date that Python does not have
            return None, None
        least.append(low)
        most.append(high)
    return (min(least), max(most)) if least else (None, None)


def _bound(value: Any, *, up: bool) -> Any:
    """A bound as JSON has it; None for what Delta keeps none of, or JSON cannot say exactly."""
    if isinstance(value, str):
        if len(value) <= _TEXT:
            return value
        return None if up else value[:_TEXT]
    if isinstance(value, dt.datetime):
        zone = "Z" if value.tzinfo else ""
        rest = dt.timedelta(microseconds=value.microsecond % 1000)
        try:
            value = value - rest + (_MILLISECOND if up and rest else dt.timedelta())
        except OverflowError:
            return None
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + zone
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else None
