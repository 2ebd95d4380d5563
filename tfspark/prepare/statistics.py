"""Statistics of the training split: what preprocessing inside the model needs.

By column: `type`, `count` (not null), `nulls`, `distinct`, `values` (the most frequent, as
[value, count], by count and then by value); for numbers also `mean`, `std` (population), `min`,
`max`, `quantiles` (101 of them: 0 %, 1 %, ... 100 %), and `log1p_mean`, `log1p_std` where no
value is negative. Booleans count as 0 and 1, dates as days, timestamps as microseconds since
1970. NaN and infinities count as null.
Of a text whose words a feature asks for: `words`, by the feature's way to split, each with
`distinct` and `values`.

The tasks that write the files say it of their rows (`summary`), and it is put together in the order
of the files, so that the same files give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfspark.contracts import Contract
from tfspark.contracts.types import family
from tfspark.exchange.duplicates import slice_numbers
from tfspark.exchange.hashes import row_hashes
from tfspark.exchange.slices import Slice, read_slices
from tfspark.features.words import Counted
from tfspark.prepare.summary import (
    BITS,
    COUNTS,
    Summary,
    column_of,
    described,
    is_counted,
    is_number,
    one_array,
    part_of,
)
from tfspark.tensors import Array

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXACT_ROWS = 1_000_000
"""Above so many rows the quantiles are approximate (to 1/10,000 of the rows)."""
_STEPS = 100
_LARGE = 2.0**1020
_HELD = 1_000_000  # counts that the driver puts together itself


def statistics(
    spark: SparkSession,
    parts: Sequence[Summary],
    contract: Contract,
    most_values: int,
    words: Sequence[Counted] = (),
) -> dict[str, Any]:
    """Statistics of every column that is not an array or ignored.

    Args:
        parts: summaries of all rows, in the order of the files.
        most_values: how many of a column's values are kept, the most frequent first.
        words: that were counted.

    Raises:
        StorageError: a file of a summary cannot be read.
    """
    rows = sum(part.rows for part in parts)
    exact = all(part.exact for part in parts)
    columns = described(contract)
    most = {n: most_values for n, column in enumerate(columns) if is_counted(column, words)}
    most |= {number: one.most for number, one in enumerate(words, len(columns))}
    values = _values(spark, parts, most)
    points = _by_number((one for part in parts for one in part.points), lambda one: one.number)
    result: dict[str, Any] = {}
    for number, column in enumerate(columns):
        entry = {"type": column.physical_type, **_moments(parts, number, rows, is_number(column))}
        if number in values:
            entry |= _told(*values[number], family(column.physical_type) == "string")
        if is_number(column):
            own = points.get(number, [])
            entry["quantiles"] = _quantiles(own, exact, entry["min"], entry["max"])
        result[column.name] = entry
    for number, one in enumerate(words, len(columns)):
        found = result[one.column].setdefault("words", {})
        found[one.key] = _told(*values[number], text=True)
    return result


def _by_number(slices: Iterable[Slice], number: Callable[[Slice], int]) -> dict[int, list[Slice]]:
    """In one pass: a table may have thousands of columns."""
    found: dict[int, list[Slice]] = {}
    for one in slices:
        found.setdefault(number(one), []).append(one)
    return found


def _told(distinct: int, most: pa.Table, text: bool) -> dict[str, Any]:
    counts = zip(
        most["text" if text else "whole"].to_pylist(), most["count"].to_pylist(), strict=True
    )
    return {"distinct": distinct, "values": [[value, count] for value, count in counts]}


def _moments(parts: Sequence[Summary], number: int, rows: int, numeric: bool) -> dict[str, Any]:
    seen = [part.moments[number] for part in parts if part.moments[number].given]
    count = sum(one.given for one in seen)
    entry: dict[str, Any] = {"count": count, "nulls": rows - count}
    if not numeric:
        return entry
    entry["mean"], entry["std"] = _merged(
        [(one.given, one.mean, one.var, one.unit) for one in seen]
    )
    entry["min"] = min((one.least for one in seen if one.least is not None), default=None)
    entry["max"] = max((one.most for one in seen if one.most is not None), default=None)
    if entry["min"] is not None and entry["min"] >= 0:
        logs = [(one.given, one.log_mean or 0.0, one.log_var or 0.0, 1.0) for one in seen]
        entry["log1p_mean"], entry["log1p_std"] = _merged(logs)
    return entry


def _merged(
    parts: Sequence[tuple[int, float, float, float]],
) -> tuple[float | None, float | None]:
    """Counts, means, variances and units of parts as the whole's (Chan et al., 1979)."""
    total = sum(count for count, *_ in parts)
    if not total:
        return None, None
    unit = max(unit for *_, unit in parts)
    alike = [(n / total, mean * (u / unit), var * (u / unit) ** 2) for n, mean, var, u in parts]
    whole = math.fsum(mean * share for share, mean, _ in alike)
    square = math.fsum((var + (mean - whole) ** 2) * share for share, mean, var in alike)
    return whole * unit, math.sqrt(square) * unit


def _quantiles(
    points: Sequence[Slice], exact: bool, least: float | None, most: float | None
) -> list[float] | None:
    if not points:
        return None
    table = pa.Table.from_batches(read_slices(points))
    steps = np.linspace(0, 1, _STEPS + 1)
    values = table["value"].to_numpy()
    if exact:
        # Between values near the largest doubles lies more than a double holds.
        part = 0.25 if max(abs(least or 0.0), abs(most or 0.0)) > _LARGE else 1.0
        return [float(value) for value in np.quantile(values * part, steps) / part]
    order = np.argsort(values, kind="stable")
    weights = np.cumsum(table["weight"].to_numpy()[order])
    places = np.searchsorted(weights, steps * weights[-1])
    found = values[order][np.minimum(places, len(values) - 1)].tolist()
    return [least, *found[1:-1], most]


def _values(
    spark: SparkSession, parts: Sequence[Summary], most: dict[int, int]
) -> dict[int, tuple[int, pa.Table]]:
    """Column → how many values it has, and the most frequent ones, so many as are asked for."""
    result: dict[int, tuple[int, pa.Table]] = {}
    shares: list[tuple[int, int, list[Slice], list[Slice]]] = []
    counts = _by_number((one for part in parts for one in part.counts), column_of)
    for number in most:
        slices = counts.get(number, [])
        if sum(one.rows for one in slices) <= _HELD:
            result[number] = _counted(_read(slices), most[number])
            continue
        whole = [one for one in slices if part_of(one) is None]
        shares += [
            (number, bits, whole, [one for one in slices if part_of(one) == bits])
            for bits in range(1 << BITS)
        ]

    def run(inside: Any) -> Any:
        for number, bits, whole, cut in inside:
            rest = _read(whole)
            rest = rest.filter(pa.array(_bits(rest) == bits))
            yield number, *_counted(pa.concat_tables([rest, _read(cut)]), most[number])

    if shares:
        sent = spark.sparkContext.parallelize(shares, min(len(shares), 1 << BITS))
        for number, distinct, table in sent.mapPartitions(run).toLocalIterator():
            before = result.get(number, (0, table.slice(0, 0)))
            both = pa.concat_tables([before[1], table])
            result[number] = before[0] + distinct, _most(both, most[number])
    return result


def _read(slices: Sequence[Slice]) -> pa.Table:
    return pa.Table.from_batches(read_slices(slices), COUNTS)


def _bits(table: pa.Table) -> Array:
    """Of the values' hashes, as `summary` cuts them."""
    values = table["text"] if table["text"].null_count == 0 else table["whole"]
    return slice_numbers(row_hashes([one_array(values)]), BITS)


def _counted(table: pa.Table, most: int) -> tuple[int, pa.Table]:
    """The number of values, and the most frequent ones with their counts."""
    summed = table.group_by(["text", "whole"], use_threads=False).aggregate([("count", "sum")])
    return summed.num_rows, _most(summed.rename_columns(["text", "whole", "count"]), most)


def _most(table: pa.Table, most: int) -> pa.Table:
    """By count, then by value as text."""
    shown = pc.coalesce(table["text"], table["whole"].cast(pa.string()))
    order = [("count", "descending"), ("shown", "ascending")]
    return table.append_column("shown", shown).sort_by(order).slice(0, most).select(COUNTS.names)
