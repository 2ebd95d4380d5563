"""A scored table whose columns change: a newer model has more outputs, an older one lacks them.

A column that was added this way is marked in the table's schema: rows of runs that do not have it
hold null there, and such runs may write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import types as T

from tfspark import storage
from tfspark.dayfiles.target import ADDED, delta_schema
from tfspark.daywrite import ODD, check_columns, target_schema
from tfspark.errors import StorageError
from tfspark.sparkerrors import first_line
from tfspark.tablenames import is_path, quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def fitted(
    old: T.StructType | None, new: T.StructType, target: str, evolve: bool
) -> tuple[list[T.StructField], list[T.StructField]]:
    """What a run's columns do to a table: those that it leaves null, and those that it adds.

    Args:
        old: the table's; None: there is none yet.
        evolve: whether the run may add columns, and leave out others than added ones.

    Raises:
        StorageError: the columns differ otherwise.
    """
    if old is None:
        return [], []
    left = [f for f in old if f.name not in new.names and (evolve or ADDED in f.metadata)]
    added = [f for f in new if f.name not in old.names and evolve]
    todo = "write to a new table, migrate this one, or let it grow: --evolve (score.evolve: true)"
    check_columns(T.StructType([*old, *added]), T.StructType([*new, *left]), target, todo)
    return [T.StructField(f.name, f.dataType) for f in left], added


def grow(spark: SparkSession, target: str, added: list[T.StructField], run_id: str) -> None:
    """Add columns to a Delta table, null in the rows that are there; those it has are left.

    Raises:
        StorageError: the table cannot be changed.
    """
    there = target_schema(spark, target)
    new = [f for f in added if there is not None and f.name not in there.names]
    if not new:
        return
    marked = T.StructType(
        [T.StructField(f.name, f.dataType, True, {**f.metadata, ADDED: run_id}) for f in new]
    )
    try:
        if is_path(target) and not ODD.search(target):
            _add(target, marked)
        else:
            where = f"delta.{quote(target)}" if is_path(target) else target
            columns = ", ".join(f"{quote(f.name)} {f.dataType.simpleString()}" for f in marked)
            spark.sql(f"ALTER TABLE {where} ADD COLUMNS ({columns})")
    except Exception as error:
        raise StorageError(
            f"{target}: the columns {', '.join(marked.names)} could not be added: "
            f"{first_line(error)}"
        ) from error


def _add(target: str, marked: T.StructType) -> None:
    import json

    from deltalake import DeltaTable, Schema

    fields = Schema.from_json(json.dumps(delta_schema(marked))).fields
    DeltaTable(storage.for_delta(target)).alter.add_columns(fields)
