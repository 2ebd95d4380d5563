"""A contract's checks of a table that is scored: by tasks where they can, else by Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import types as T

from tfspark.compat.spark import to_arrow_schema
from tfspark.config.textoptions import TextForms
from tfspark.contracts.contract import Contract
from tfspark.rowchecks import RowChecks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def task_checks(
    raw: DataFrame, contract: Contract, where: str, forms: TextForms
) -> RowChecks | None:
    """The checks for tasks; None where a raw column has a type that Spark hands to no task.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    try:
        schema = to_arrow_schema(raw.schema, timezone="UTC")
    except Exception:  # Spark has many for it
        return None
    return RowChecks(contract, schema, where, forms)


def typed_frame(raw: DataFrame, contract: Contract) -> DataFrame:
    """A table without rows of the columns that the checks give."""
    fields = [T.StructField(f.name, f.dataType) for f in contract.spark_schema()]
    return raw.sparkSession.createDataFrame([], T.StructType(fields))
