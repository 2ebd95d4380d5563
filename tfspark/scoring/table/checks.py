"""A contract's checks of a table that is scored: of batches, in tasks, whatever the plan is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark.compat.spark import to_arrow_schema
from tfspark.config.textoptions import TextForms
from tfspark.contracts.contract import Contract
from tfspark.daycolumn import DayColumn
from tfspark.plainfiles.asread import NotPlain, arrow_field
from tfspark.plainfiles.raw import RawTable
from tfspark.rowchecks import Checked, DayChecks, RowChecks, Times
from tfspark.tables import RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def for_tasks(raw: DataFrame) -> DataFrame:
    """A table that Spark hands to tasks: columns of types of its own are text."""
    own = set()
    for field in raw.schema:
        try:
            arrow_field(field)
        except NotPlain:
            own.add(field.name)
    if not own:
        return raw
    columns = {name: F.col(quote(name)).cast("string") for name in own}
    return raw.select(*[columns.get(n, F.col(quote(n))).alias(n) for n in raw.columns])


def task_checks(
    raw: DataFrame,
    contract: Contract | None,
    where: str,
    forms: TextForms,
    by: DayColumn | None,
) -> RowChecks | DayChecks | None:
    """The checks for tasks; None: none.

    Args:
        raw: see `for_tasks`.
        forms: how text is written.
        by: the column that tells a row's day.

    Raises:
        ContractViolation: a column is missing or has a type that cannot be taken without loss.
    """
    if contract is None and by is None:
        return None
    if contract is None:
        return DayChecks(to_arrow_schema(raw.schema, timezone="UTC"), by)
    return contract_checks(raw, contract, where, forms, by)


def contract_checks(
    raw: DataFrame, contract: Contract, where: str, forms: TextForms, by: DayColumn | None
) -> RowChecks:
    """As `task_checks`."""
    schema = to_arrow_schema(raw.schema, timezone="UTC")
    return RowChecks(contract, schema, where, forms, by=by)


def checked_frame(
    table: RawTable, checks: RowChecks | DayChecks, typed: T.StructType, times: Times | None
) -> DataFrame:
    """The rows as the checks give them, with `REASONS`, none of a good row, and `RAW`, its null.

    Args:
        typed: the schema of the columns that the checks give.
    """
    schema = T.StructType(
        [
            *typed.fields,
            T.StructField(REASONS, T.ArrayType(T.StringType())),
            T.StructField(RAW, T.StringType()),
        ]
    )

    def change(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _told(checks(batch, times), schema.names)

    return table.frame(change, schema)


def _told(found: Checked, names: list[str]) -> pa.RecordBatch:
    """Reasons and raw text beside all rows."""
    count = found.rows.num_rows
    bad = np.zeros(count, bool)
    if found.bad is not None:
        bad = found.bad.to_numpy(zero_copy_only=False)
    lengths = np.zeros(count, np.int32)
    lengths[bad] = np.diff(found.reasons.offsets.to_numpy())
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    kind = found.reasons.type
    reasons = pa.ListArray.from_arrays(offsets, found.reasons.flatten(), kind)
    raw = found.raw.take(pa.array(np.cumsum(bad) - 1, mask=~bad))
    return pa.RecordBatch.from_arrays([*found.rows.columns, reasons, raw], names=names)


def typed_frame(raw: DataFrame, contract: Contract) -> DataFrame:
    """A table without rows of the columns that the checks give."""
    fields = [T.StructField(f.name, f.dataType) for f in contract.spark_schema()]
    return raw.sparkSession.createDataFrame([], T.StructType(fields))
