"""A contract's checks of a table that is scored: by tasks where they can, else by Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark.compat.spark import to_arrow_schema
from tfspark.contracts.checks import typed_columns
from tfspark.contracts.contract import Contract
from tfspark.contracts.fit import unique
from tfspark.rowchecks import RowChecks
from tfspark.tables import RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ROW, _COUNT = "_tfspark_row", "_tfspark_count"


def task_checks(raw: DataFrame, contract: Contract, where: str) -> RowChecks | None:
    """The checks for tasks; None where a raw column has a type that Spark hands to no task.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    try:
        schema = to_arrow_schema(raw.schema, timezone="UTC")
    except Exception:  # Spark has many for it
        return None
    return RowChecks(contract, schema, where)


def typed_frame(raw: DataFrame, contract: Contract) -> DataFrame:
    """A table without rows of the columns that the checks give."""
    fields = [T.StructField(f.name, f.dataType) for f in contract.spark_schema()]
    told = [T.StructField(REASONS, T.ArrayType(T.StringType())), T.StructField(RAW, T.StringType())]
    return raw.sparkSession.createDataFrame([], T.StructType([*fields, *told]))


@dataclass(frozen=True)
class Duplicates:
    """The keys of a table that are there more than once: see `Times`.

    Attributes:
        keys: name of what is unique → its columns' positions, and their values with the counts.
    """

    keys: Mapping[str, tuple[tuple[int, ...], pa.Table]]

    def times(self, rows: pa.RecordBatch) -> dict[str, pa.Array | None]:
        """How often the table has the values of a row, where it has them twice."""
        return {name: self._times(rows, *about) for name, about in self.keys.items()}

    def _times(self, rows: pa.RecordBatch, places: tuple[int, ...], keys: pa.Table) -> pa.Array:
        names = keys.column_names[:-1]
        numbers = pa.array(range(rows.num_rows), pa.int64())
        asked = pa.table([rows.column(i) for i in places], names=names).append_column(_ROW, numbers)
        found = asked.join(keys, names, join_type="inner")
        counts = pa.nulls(rows.num_rows, pa.int64())
        if not found.num_rows:
            return counts
        at = pc.is_in(numbers, found[_ROW])
        return pc.replace_with_mask(counts, at, found.sort_by(_ROW)[_COUNT].combine_chunks())


def duplicates(raw: DataFrame, contract: Contract) -> Duplicates | None:
    """The keys and unique values that a table has more than once; None where there are none."""
    found = {}
    typed = typed_columns(raw, contract)
    for name, places in unique(contract).items():
        names = [str(i) for i in places]
        there = typed.select(*[F.col(n) for n in names]).dropna()
        counts = there.groupBy(*names).agg(F.count("*").alias(_COUNT))
        keys = counts.where(F.col(_COUNT) > 1).toArrow()
        if keys.num_rows:
            found[name] = tuple(places), keys
    return Duplicates(found) if found else None
