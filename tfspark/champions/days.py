"""Which days of a scored table a version has written."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pyarrow.compute as pc

from tfspark.query import DuckDB
from tfspark.question import Question
from tfspark.tablenames import is_delta, is_path


def days_of(table: str, name: str, version: int) -> dict[dt.date, int] | None:
    """Day → rows that a version of a model has scored; None where the table cannot be read here.

    Args:
        table: folder of a scored table; one that Spark's catalog names can only be read by Spark.

    Raises:
        ConfigError: DuckDB is not installed, or it is no scored table.
        StorageError: the table cannot be read.
    """
    if not is_path(table) or not is_delta(table):
        return None
    where = {"model_name": name, "model_version": str(version)}
    counts: Counter[dt.date] = Counter()
    for batch in DuckDB().answer(table, Question(["day"], where=where)):
        for entry in pc.value_counts(batch.column("day")).to_pylist():
            counts[entry["values"]] += entry["counts"]
    return dict(sorted(counts.items()))
