"""Spark writes: scored rows go to a staging folder, are counted there, and then to the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage, tables
from tfspark.compat.spark import LITERAL
from tfspark.quarantine import Ready
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.plans.columns import as_text
from tfspark.scoring.plans.plan import Results
from tfspark.scoring.table.way import Output
from tfspark.sparkerrors import running
from tfspark.tables import RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BAD = "_tfspark_bad"
"""1 in a bad row, null in a good one: the footers of Parquet files count nulls."""

Score = Callable[["DataFrame", BoundModel, Sequence[str]], Results]


class StagedRun:
    """The way of a plan whose results Spark writes: see `Way`.

    Args:
        score: see `RowsPlan.results`.
        folder: takes the rows until they are committed.
    """

    def __init__(self, output: Output, score: Score, folder: str) -> None:
        self._output, self._score, self._folder = output, score, folder

    def score(self, checked: DataFrame) -> tuple[int, int]:
        out = self._output
        self._staged = stage(
            self._score, checked, out.bound, out.kept, self._folder, out.doing, out.target
        )
        return self._staged.rows, self._staged.bad

    def bad_rows(self) -> DataFrame:
        return self._staged.refused()

    def ready(self) -> Ready | None:
        return None

    def commit(self, allowed: Callable[[], None]) -> int:
        out = self._output
        alike = [F.lit(value).alias(name) for name, value in out.about.items()]
        null = [F.lit(None).cast(field.dataType).alias(field.name) for field in out.null]
        rows = self._staged.good().select("*", *alike, *null)
        return tables.write_day(rows, out.target, out.day, run_id=out.run_id, allowed=allowed)


@dataclass(frozen=True)
class Staged:
    """Scored rows in a folder.

    Attributes:
        files: a column of the target by number (`c0`, `c1`...), `REASONS`, `RAW` and `BAD`.
        names: the names of these columns.
    """

    files: DataFrame
    names: tuple[str, ...]
    rows: int
    bad: int

    def good(self) -> DataFrame:
        """The good rows, with their names."""
        rows = self.files.where(F.col(BAD).isNull())
        return rows.select(*[F.col(f"c{i}").alias(name) for i, name in enumerate(self.names)])

    def refused(self) -> DataFrame:
        """The bad rows: their reasons and their text."""
        return self.files.where(F.col(BAD).isNotNull())


def stage(
    score: Score,
    df: DataFrame,
    bound: BoundModel,
    kept: Sequence[T.StructField],
    folder: str,
    doing: str,
    target: str,
) -> Staged:
    """Score every row once into a folder, and count what lies there.

    Args:
        df: as it may be with `REASONS` and `RAW`, of a row that is bad before it is scored.
        kept: the fields of the kept columns.

    Raises:
        StorageError: the rows cannot be scored or written.
    """
    checked = [name for name in (REASONS, RAW) if name in df.columns]
    found = score(df, bound, [*bound.used, *checked])
    text = as_text(df.schema, bound.used)
    bad, reasons = found.error.isNotNull(), F.array(found.error)
    if checked:
        refused = F.size(REASONS) > 0
        bad, reasons = refused | bad, F.when(refused, F.col(REASONS)).otherwise(reasons)
        text = F.coalesce(F.col(RAW), text)
    columns = [F.col(quote(field.name)) for field in kept] + list(found.outputs.values())
    about = [field.metadata for field in kept] + [{}] * len(found.outputs)
    # By number: Parquet's names are Spark's business, and ours may have any character.
    rows = found.df.select(
        *[
            F.when(~bad, column).alias(f"c{i}", metadata=metadata)
            for i, (column, metadata) in enumerate(zip(columns, about, strict=True))
        ],
        F.when(bad, reasons).alias(REASONS),
        F.when(bad, text).alias(RAW),
        F.when(bad, F.lit(1)).alias(BAD),
    )
    with running(doing, target):
        rows.write.mode("overwrite").parquet(folder)
    files = df.sparkSession.read.options(**LITERAL).schema(rows.schema).parquet(folder)
    names = (*(field.name for field in kept), *found.outputs)
    return Staged(files, names, *count_staged(folder))


def count_staged(folder: str) -> tuple[int, int]:
    """Rows of the Parquet files of a folder, and how many of them are bad.

    Raises:
        StorageError: a file cannot be read.
    """
    names = [name for name, _ in storage.files(folder) if name.endswith(".parquet")]
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda name: _count(storage.join(folder, name)), names))
    return sum(rows for rows, _ in counts), sum(bad for _, bad in counts)


def _count(path: str) -> tuple[int, int]:
    fs, inner = storage.filesystem(path)
    try:
        with fs.open_input_file(inner) as file:
            footer = pq.ParquetFile(file).metadata
            rows = bad = 0
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                columns = (group.column(i) for i in range(group.num_columns))
                flag = next(column for column in columns if column.path_in_schema == BAD)
                rows += group.num_rows
                bad += group.num_rows - flag.statistics.null_count
            return rows, bad
    except Exception as error:
        raise storage.kind_of(path, error)(
            f"{path}: the rows of a staged file cannot be counted: {error}"
        ) from error
