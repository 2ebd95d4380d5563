"""A contract's checks of a table that is scored: by tasks where they can, else by Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark.compat.spark import to_arrow_schema
from tfspark.config.textoptions import TextForms
from tfspark.contracts.contract import Contract
from tfspark.daycolumn import DayColumn, no_day
from tfspark.rowchecks import DayChecks, RowChecks
from tfspark.scoring.plans.columns import as_text
from tfspark.tables import CORRUPT, RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def task_checks(
    raw: DataFrame,
    contract: Contract | None,
    where: str,
    forms: TextForms,
    by: DayColumn | None,
) -> RowChecks | DayChecks | None:
    """The checks for tasks; None: none, or a raw column has a type that Spark hands to no task.

    Args:
        forms: how text is written.
        by: the column that tells a row's day.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    if contract is None and by is None:
        return None
    try:
        schema = to_arrow_schema(raw.schema, timezone="UTC")
    except Exception:  # Spark has many for it
        return None
    if contract is None:
        return DayChecks(schema, by)
    return RowChecks(contract, schema, where, forms, by=by)


def spark_checks(
    raw: DataFrame, contract: Contract | None, where: str, by: DayColumn | None
) -> DataFrame:
    """The table as Spark checks it: typed columns, reasons and raw text of bad rows."""
    if contract is not None:
        from tfspark.contracts.checks import check

        return check(raw, contract, where, None if by is None else by.name)
    if by is None:
        return raw
    reasons = F.array_compact(F.array(no_day(raw, by.name)))
    text = as_text(raw.schema, [name for name in raw.columns if name != CORRUPT])
    return raw.withColumn(REASONS, reasons).withColumn(RAW, F.when(F.size(REASONS) > 0, text))


def typed_frame(raw: DataFrame, contract: Contract) -> DataFrame:
    """A table without rows of the columns that the checks give."""
    fields = [T.StructField(f.name, f.dataType) for f in contract.spark_schema()]
    return raw.sparkSession.createDataFrame([], T.StructType(fields))
