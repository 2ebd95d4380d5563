"""Statistics of the training split: what preprocessing inside the model needs.

By column: `type`, `count` (not null), `nulls`, `distinct`, `values` (the most frequent, as
[value, count], by count and then by value); for numbers also `mean`, `std` (population), `min`,
`max`, `quantiles` (101 of them: 0 %, 1 %, ... 100 %), and `log1p_mean`, `log1p_std` where no
value is negative. Booleans count as 0 and 1, dates as days, timestamps as microseconds since
1970. NaN counts as null.

The sums are made within each partition and added up on the driver in their order, so that the
same files give the same bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tfspark.contracts import Column, Contract
from tfspark.contracts.types import family
from tfspark.tables import quote

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

EXACT_ROWS = 1_000_000
"""Above so many rows the quantiles are approximate (to 1/10,000 of the rows)."""
_FLOATS = ("float", "double", "decimal")
_STEPS = 100


def statistics(train: DataFrame, contract: Contract, most_values: int) -> dict[str, Any]:
    """Statistics of every column that is not an array or ignored.

    Args:
        train: the training split, read from the dataset's own files.
        most_values: how many of a column's values are kept, the most frequent first.
    """
    columns = [
        c for c in contract.columns if c.role != "ignore" and family(c.physical_type) != "array"
    ]
    numeric = [c for c in columns if family(c.physical_type) not in ("string", "binary")]
    rows, moments = _moments(train, columns, numeric)
    quantiles = _quantiles(train, numeric, rows)
    values = _values(train, [c for c in columns if not c.key], most_values)
    result: dict[str, Any] = {}
    for column in columns:
        entry = {"type": column.physical_type, **moments[column.name]}
        entry |= values.get(column.name, {})
        if column in numeric:
            entry["quantiles"] = quantiles[column.name]
        result[column.name] = entry
    return result


def as_number(column: Column) -> Expression:
    """A column as the number that statistics are made of, NaN as null."""
    from pyspark.sql import functions as F

    value = F.col(quote(column.name))
    kind = family(column.physical_type)
    if kind == "date":
        return F.unix_date(value)
    if kind == "timestamp":
        return F.unix_micros(value)
    if kind == "boolean":
        return value.cast("int")
    return F.nanvl(value, F.lit(None)) if kind in ("float", "double") else value


def _moments(
    train: DataFrame, columns: list[Column], numeric: list[Column]
) -> tuple[int, dict[str, dict[str, Any]]]:
    from pyspark.sql import functions as F

    sums = [F.count(F.lit(1)).alias("rows")]
    for i, column in enumerate(columns):
        if column not in numeric:
            sums.append(F.count(F.col(quote(column.name))).alias(f"count{i}"))
            continue
        value = as_number(column).cast("double")
        for name, x in (("", value), ("log", F.when(value >= 0, F.log1p(value)))):
            sums += [
                F.count(x).alias(f"{name}count{i}"),
                F.avg(x).alias(f"{name}mean{i}"),
                F.var_pop(x).alias(f"{name}var{i}"),
            ]
        sums += [F.min(value).alias(f"min{i}"), F.max(value).alias(f"max{i}")]
    parts = train.groupBy(F.spark_partition_id().alias("part")).agg(*sums).orderBy("part").collect()
    rows = sum(part["rows"] for part in parts)
    result = {}
    for i, column in enumerate(columns):
        count = sum(part[f"count{i}"] for part in parts)
        entry: dict[str, Any] = {"count": count, "nulls": rows - count}
        if column in numeric:
            _, entry["mean"], entry["std"] = _merge(parts, f"count{i}", f"mean{i}", f"var{i}")
            seen = [part for part in parts if part[f"count{i}"]]
            entry["min"] = min((part[f"min{i}"] for part in seen), default=None)
            entry["max"] = max((part[f"max{i}"] for part in seen), default=None)
            if entry["min"] is not None and entry["min"] >= 0:
                _, entry["log1p_mean"], entry["log1p_std"] = _merge(
                    parts, f"logcount{i}", f"logmean{i}", f"logvar{i}"
                )
        result[column.name] = entry
    return rows, result


def _merge(
    parts: list[Any], count: str, mean: str, var: str
) -> tuple[int, float | None, float | None]:
    """Counts, means and variances of parts as those of the whole (Chan et al., 1979)."""
    seen = [part for part in parts if part[count]]
    total = sum(part[count] for part in seen)
    if not total:
        return 0, None, None
    whole = math.fsum(part[mean] * (part[count] / total) for part in seen)
    square = math.fsum(
        (part[var] + (part[mean] - whole) ** 2) * (part[count] / total) for part in seen
    )
    return total, whole, math.sqrt(square)


def _quantiles(train: DataFrame, numeric: list[Column], rows: int) -> dict[str, list[float] | None]:
    from pyspark.sql import functions as F

    if not numeric:
        return {}
    steps = F.array(*[F.lit(i / _STEPS) for i in range(_STEPS + 1)])
    asked = []
    for i, column in enumerate(numeric):
        value = as_number(column).cast("double")
        exact = F.percentile(value, steps)
        asked.append((exact if rows <= EXACT_ROWS else _approximate(value)).alias(str(i)))
    row = train.agg(*asked).collect()[0]
    return {column.name: row[i] for i, column in enumerate(numeric)}


def _approximate(value: Expression) -> Expression:
    from pyspark.sql import functions as F

    return F.percentile_approx(value, [i / _STEPS for i in range(_STEPS + 1)], 10_000)


def _values(train: DataFrame, columns: list[Column], most: int) -> dict[str, dict[str, Any]]:
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    counted = [c for c in columns if family(c.physical_type) not in (*_FLOATS, "binary")]
    if not counted:
        return {}
    pairs = F.array(
        *[F.struct(F.lit(i).alias("i"), _text(c).alias("value")) for i, c in enumerate(counted)]
    )
    each = train.select(F.explode(pairs).alias("pair")).select("pair.*").where("value IS NOT NULL")
    counts = each.groupBy("i", "value").count()
    whole = Window.partitionBy("i")
    ranked = counts.withColumn(
        "rank", F.row_number().over(whole.orderBy(F.desc("count"), "value"))
    ).withColumn("distinct", F.count(F.lit(1)).over(whole))
    result: dict[str, dict[str, Any]] = {c.name: {"distinct": 0, "values": []} for c in counted}
    for row in ranked.where(F.col("rank") <= most).orderBy("i", "rank").collect():
        column = counted[row["i"]]
        value = row["value"] if family(column.physical_type) == "string" else int(row["value"])
        entry = result[column.name]
        entry["distinct"] = row["distinct"]
        entry["values"].append([value, row["count"]])
    return result


def _text(column: Column) -> Expression:
    from pyspark.sql import functions as F

    if family(column.physical_type) == "string":
        return F.col(quote(column.name))
    return as_number(column).cast("string")
