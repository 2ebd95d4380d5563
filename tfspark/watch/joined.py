"""Scored rows and labels joined by key, and counted by day, score and label: one query."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tfspark.config.labels import Labels
from tfspark.errors import ConfigError
from tfspark.tablenames import quote
from tfspark.watch.metric import FINE

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Columns:
    """What is joined and compared.

    Attributes:
        score: the column of the scored table.
        classes: of the label, in the order of the model's output.
    """

    keys: tuple[str, ...]
    label: str
    score: str
    task: str
    classes: tuple[Any, ...]


def counted(
    scored: DataFrame,
    late: DataFrame,
    columns: Columns,
    asked: Labels,
    since: dt.date,
    day: dt.date,
) -> pa.Table:
    """Rows by `day`, `version`, `bin` of the score and `truth`.

    `truth` is 1 or 0 (of several classes: whether the model was right; of numbers: 0), null
    without a label. `total` and `squares` are of what each row costs.

    Raises:
        ConfigError: a column is missing.
    """
    from pyspark.sql import functions as F

    _refuse_missing(scored, [*columns.keys, columns.score], "the scored table")
    named = [*columns.keys, columns.label, *filter(None, [asked.day, asked.updated])]
    _refuse_missing(late, named, asked.path)
    version = F.col("model_version") if "model_version" in scored.columns else F.lit("")
    keys = [f"k{number}" for number in range(len(columns.keys))]
    rows = scored.where(F.col("day").between(F.lit(since), F.lit(day))).select(
        *[F.col(quote(name)).alias(key) for name, key in zip(columns.keys, keys, strict=True)],
        F.col("day"),
        F.coalesce(version.cast("string"), F.lit("")).alias("version"),
        F.col(quote(columns.score)).alias("score"),
    )
    known = late.where(F.col(quote(columns.label)).isNotNull()).select(
        *[
            F.col(quote(name)).try_cast(rows.schema[key].dataType).alias(key)
            for name, key in zip(columns.keys, keys, strict=True)
        ],
        F.col(quote(columns.label)).cast("string").alias("label"),
        *([F.col(quote(asked.day)).try_cast("date").alias("day")] if asked.day else []),
        *([F.col(quote(asked.updated)).alias("updated")] if asked.updated else []),
    )
    by = [*keys, *(["day"] if asked.day else [])]
    if asked.updated:
        last, differ = F.max_by("label", "updated"), F.lit(False)
    else:
        last, differ = F.min("label"), F.min("label") != F.max("label")
    one_each = known.groupBy(*by).agg(last.alias("label"), differ.alias("differ"))
    joined = rows.join(one_each, by, "left")
    label = F.when(~F.coalesce("differ", F.lit(False)), F.col("label"))
    truth, cost, place = _compared(columns, label)
    told = joined.select(
        "day",
        "version",
        F.least(F.greatest(F.floor(place), F.lit(0)), F.lit(FINE - 1)).cast("int").alias("bin"),
        truth.cast("int").alias("truth"),
        cost.cast("double").alias("cost"),
        F.coalesce("differ", F.lit(False)).cast("int").alias("differ"),
    )
    return (
        told.groupBy("day", "version", "bin", "truth")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.coalesce(F.sum("cost"), F.lit(0.0)).alias("total"),
            F.coalesce(F.sum(F.col("cost") * F.col("cost")), F.lit(0.0)).alias("squares"),
            F.sum("differ").alias("conflicting"),
        )
        .toArrow()
    )


def _compared(columns: Columns, label: Column) -> tuple[Column, Column, Column]:
    """Of a row: its truth, what it costs, and the place of its score."""
    from pyspark.sql import functions as F

    score = F.col("score")
    if columns.task == "multilabel":
        raise ConfigError("labels: the metrics of several labels at once are not followed by day")
    if columns.task == "regression":
        error = score.cast("double") - label.try_cast("double")
        return F.when(error.isNotNull(), F.lit(0)), error * error, F.lit(0.0)
    classes = [_is(label, value) for value in columns.classes]
    if columns.task == "binary":
        if len(classes) != 2:
            raise ConfigError("the model's manifest does not name the two classes of its label")
        truth = F.when(classes[1], F.lit(1)).when(classes[0], F.lit(0))
        return truth, F.lit(0.0), score.cast("double") * FINE
    best = F.array_max(score)
    said = F.array_position(score, best)
    number = F.lit(None).cast("int")
    for place, is_it in enumerate(classes, 1):
        number = F.when(is_it, F.lit(place)).otherwise(number)
    right = F.when(number.isNotNull(), (said == number).cast("int"))
    return right, right, best.cast("double") * FINE


def _is(label: Column, value: Any) -> Column:
    """Whether a label, as text, is a class."""
    from pyspark.sql import functions as F

    if isinstance(value, bool):
        return F.lower(label) == F.lit(str(value).lower())
    if isinstance(value, int | float):
        return label.try_cast("double") == F.lit(float(value))
    return label == F.lit(str(value))


def _refuse_missing(df: DataFrame, names: list[str], where: str) -> None:
    if missing := [name for name in names if name not in df.columns]:
        raise ConfigError(
            f"{where} has no column {', '.join(missing)}; there are: {', '.join(df.columns)}"
        )
