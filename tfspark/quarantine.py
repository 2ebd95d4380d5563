"""The quarantine: where bad rows go, and when there are too many of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ContractViolation, SourceMissing
from tfspark.tables import RAW, REASONS, is_there, read_table, write_day

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def quarantine(
    bad: DataFrame, target: str, *, table: str, day: dt.date, job: str, run_id: str
) -> None:
    """Replace the bad rows of one table, day and job in the quarantine table.

    Args:
        bad: has `_tfspark_reasons` (array of strings) and `_tfspark_raw` (string).
    """
    from pyspark.sql import functions as F

    rows = bad.select(
        F.lit(table).alias("table"),
        F.lit(job).alias("job"),
        F.col(REASONS).alias("reasons"),
        F.col(RAW).alias("raw"),
        F.lit(run_id).alias("run_id"),
        F.current_timestamp().alias("quarantined_at"),
    )
    if rows.isEmpty() and not _has(bad.sparkSession, target, table, day, job):
        return
    write_day(rows, target, day, run_id=run_id, where={"table": table, "job": job})


def _has(spark: SparkSession, target: str, table: str, day: dt.date, job: str) -> bool:
    """Whether the quarantine has rows of a table, day and job."""
    from pyspark.sql import functions as F

    if not is_there(spark, target):
        return False
    rows = read_table(spark, target)
    of_job = (F.col("table") == table) & (F.col("job") == job)
    return not rows.where((F.col("day") == F.lit(day)) & of_job).isEmpty()


def refuse_above(
    limit: Quarantine, bad_rows: DataFrame, *, where: str, rows: int, bad: int, table: str | None
) -> None:
    """Stop where more rows are bad than the contract allows, before anything is published.

    Args:
        bad_rows: has `_tfspark_reasons`.
        where: the table that was checked.
        table: the quarantine table, which has the rows; None: they are not written.

    Raises:
        ContractViolation: with the most frequent reasons and where the rows are.
    """
    bounds = [rows if limit.max_share is None else int(rows * limit.max_share)]
    bounds += [] if limit.max_rows is None else [limit.max_rows]
    if bad <= min(bounds):
        return
    from pyspark.sql import functions as F

    each = bad_rows.select(F.explode(REASONS).alias("reason")).groupBy("reason").count()
    most = each.orderBy(F.desc("count"), "reason").limit(3).collect()
    said = "; ".join(f"{row['reason']} ({row['count']} rows)" for row in most)
    kept = f"All of them, with their reasons, are in {table}; nothing" if table else "Nothing"
    raise ContractViolation(
        f"{where}: {bad} of {rows} rows are bad, at most {min(bounds)} may be; most frequent: "
        f"{said}. {kept} was published"
    )


def refuse_count(limit: Quarantine, *, where: str, rows: int) -> None:
    """Stop where a table has fewer or more rows than the contract allows.

    Raises:
        ContractViolation: it has.
    """
    least, most = limit.least_rows, limit.most_rows
    few = least is not None and rows < least
    if few or (most is not None and rows > most):
        bound = f"at least {least}" if few else f"at most {most}"
        raise ContractViolation(
            f"{where}: has {rows} rows, the contract wants {bound}; nothing was published"
        )


class NoRows(SourceMissing):
    """A day's source is there, and has no rows."""


def may_be_empty(contract: Contract | None) -> bool:
    """Whether a contract says that a table without rows is as it should be: `leastRows: 0`."""
    return contract is not None and contract.table.quarantine.least_rows == 0


def refuse_empty(where: str, source: Source | None, day: dt.date) -> None:
    """A table without rows is a day that is not there yet, or no table to work on.

    Args:
        where: the table.
        source: None where it was given as a DataFrame.

    Raises:
        NoRows: the source is by day.
        ContractViolation: it is not.
    """
    if source is not None and (source.day_column or "{date}" in source.path):
        raise NoRows(f"{where}: has no rows for {day}; try again when they have arrived")
    raise ContractViolation(f"{where}: the table has no rows; there is nothing to do")
