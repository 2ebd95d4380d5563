"""The quarantine: where bad rows go, and when there are too many of them."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tfspark import storage
from tfspark.config import Source
from tfspark.contracts import Contract
from tfspark.contracts.contract import Quarantine
from tfspark.dayfiles.commit import OPEN, claim, commit_day, created, day_folder, table_place
from tfspark.dayfiles.target import NotByFiles, check_target, delta_schema
from tfspark.deltalog import is_empty
from tfspark.errors import ContractViolation, SourceMissing, StorageError
from tfspark.rowgroups import opened
from tfspark.sparkerrors import running
from tfspark.tables import RAW, REASONS, is_there, read_table, write_day

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_FILE = pa.schema(
    [
        ("reasons", pa.list_(pa.field("element", pa.string()))),
        ("raw", pa.string()),
        ("run_id", pa.string()),
        ("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
_TABLE = "`table` string, job string, reasons array<string>, raw string, run_id string, "
_TABLE += "quarantined_at timestamp, day date"


class Ready(NamedTuple):
    """Bad rows as tasks wrote them.

    Attributes:
        files: Parquet files of `REASONS` and `RAW`, and others.
        staging: the run's staging folder, which `dayfiles.end` ends.
    """

    files: tuple[str, ...]
    staging: str


def quarantine(
    bad: DataFrame,
    target: str,
    about: Mapping[str, str],
    *,
    day: dt.date,
    run_id: str,
    ready: Ready | None = None,
) -> None:
    """Replace the bad rows of one table, day and job in the quarantine table.

    Args:
        bad: has `_tfspark_reasons` (array of strings) and `_tfspark_raw` (string).
        about: `table` and `job`.
        ready: the same rows, which tasks write into the table's files themselves where it takes
            such.
    """
    from pyspark.sql import functions as F

    if ready and _takes_files(target, about):
        return _by_files(bad.sparkSession, ready, target, about, day, run_id)
    rows = bad.select(
        *[F.lit(value).alias(name) for name, value in about.items()],
        F.col(REASONS).alias("reasons"),
        F.col(RAW).alias("raw"),
        F.lit(run_id).alias("run_id"),
        F.current_timestamp().alias("quarantined_at"),
    )
    if not rows.isEmpty() or _has(bad.sparkSession, target, about, day):
        write_day(rows, target, day, run_id=run_id, where=dict(about))


def _schema() -> StructType:
    """Of the table of bad rows."""
    from pyspark.sql.types import StructType

    return cast("StructType", StructType.fromDDL(_TABLE))


def _takes_files(target: str, about: Mapping[str, str]) -> bool:
    try:
        check_target(target, _schema(), ("day", *about))
    except NotByFiles:
        return False
    return all(map(_PLAIN.fullmatch, about.values()))


def _by_files(
    spark: SparkSession,
    ready: Ready,
    target: str,
    about: Mapping[str, str],
    day: dt.date,
    run_id: str,
) -> None:
    place, token = table_place(target), uuid.uuid4().hex
    if not ready.files and not _has_files(place, {"day": day.isoformat(), **about}):
        return
    folder = storage.join(place, day_folder(day, about))
    staging = storage.join(ready.staging, "quarantine")
    claim(staging, place, folder, token)
    task = _FileTask(folder, storage.join(staging, OPEN), token, run_id, dt.datetime.now(dt.UTC))
    with running("writing bad rows", target):
        sent = spark.sparkContext.parallelize(ready.files, max(1, len(ready.files)))
        parts = sent.map(task).collect() if ready.files else []
    commit_day(place, delta_schema(_schema()), parts, day, run_id=run_id, token=token, where=about)


def _has_files(place: str, where: Mapping[str, str]) -> bool:
    """Whether a Delta table has a file of these values of its partition columns."""
    from deltalake import DeltaTable

    if is_empty(place):
        return False
    files = pa.table(DeltaTable(storage.for_delta(place)).get_add_actions(flatten=True)).to_pylist()
    return any(all(str(one[f"partition.{k}"]) == v for k, v in where.items()) for one in files)


class _File(NamedTuple):
    """See `DayFile`."""

    file: str
    bytes: int
    stats: str


@dataclass(frozen=True)
class _FileTask:
    """Bad rows of a file into one of the quarantine.

    Attributes:
        folder: of the day, table and job in the quarantine.
        marker: the path of `OPEN`.
    """

    folder: str
    marker: str
    token: str
    run_id: str
    at: dt.datetime

    def __call__(self, path: str) -> _File:
        """Within a Spark task.

        Raises:
            StorageError: a file cannot be read or written, or the run has ended meanwhile.
        """
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        name = f"part-{context.partitionId():05d}-{self.token}-{context.taskAttemptId()}.parquet"
        to = storage.join(self.folder, name)
        self._check(to)
        try:
            written = self._write(path, to)
            self._check(to)
        except BaseException:
            with suppress(Exception):  # the attempt's own error is the one to tell
                storage.delete_file(to)
            raise
        return _File(name, *written)

    def _write(self, path: str, to: str) -> tuple[int, str]:
        rows = 0
        try:
            with opened(path) as file, created(to) as stream:
                # No text of a row is there twice.
                alike = ["run_id", "reasons.list.element"]
                with pq.ParquetWriter(
                    stream, _FILE, store_schema=False, use_dictionary=alike
                ) as writer:
                    for batch in file.iter_batches(columns=[REASONS, RAW], use_threads=False):
                        writer.write_batch(self._rows(batch))
                        rows += batch.num_rows
                size = stream.tell()
        except (OSError, pa.ArrowException) as error:
            raise storage.failure("write", to, error) from error
        return size, json.dumps({"numRecords": rows})

    def _rows(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        alike = [pa.scalar(self.run_id), pa.scalar(self.at, _FILE.field("quarantined_at").type)]
        arrays = [batch.column(REASONS).cast(_FILE.field("reasons").type), batch.column(RAW)]
        arrays += [pa.repeat(value, batch.num_rows) for value in alike]
        return pa.RecordBatch.from_arrays(arrays, schema=_FILE)

    def _check(self, to: str) -> None:
        if not storage.exists(self.marker):
            raise StorageError(f"{to}: written too late, the run has ended")


def _has(spark: SparkSession, target: str, about: Mapping[str, str], day: dt.date) -> bool:
    """Whether the quarantine has rows of a table, day and job."""
    from pyspark.sql import functions as F

    if not is_there(spark, target):
        return False
    rows = read_table(spark, target)
    of_job = (F.col("table") == about["table"]) & (F.col("job") == about["job"])
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
