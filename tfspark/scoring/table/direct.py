"""The driver of tasks that write the table's own files: sent out, checked, and committed.

Three plans work so. `scan`: a task reads row groups of its own. `arrow`: Spark hands a task the
rows of a partition. `jvm`: so, and they stay in Spark's process. The files are written once, and
the driver commits them or removes them.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.rowgroups import footers
from tfspark.scoring.frame import feeds_of
from tfspark.scoring.model.binding import Binding
from tfspark.scoring.model.many import AnyModel
from tfspark.scoring.plans import jvm
from tfspark.scoring.plans.columns import as_text
from tfspark.scoring.plans.plain import Plain, PlainFile
from tfspark.scoring.plans.udf import scorer_for
from tfspark.scoring.table.commit import claim, commit_day
from tfspark.scoring.table.planner import delta_schema
from tfspark.scoring.table.sink import Part, TableTask, about_columns
from tfspark.scoring.table.staged import BAD
from tfspark.sparkerrors import running
from tfspark.tables import RAW, REASONS, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class DirectRun:
    """Scored by `score`, then either committed or dropped.

    Args:
        columns: the source's columns that are read, with the types that files get.
        source: the schema of the source, for the text of bad rows.
        staging: this run's folder, which notes what it writes.
    """

    def __init__(
        self,
        spark: SparkSession,
        columns: pa.Schema,
        source: T.StructType,
        target: str,
        day: dt.date,
        staging: str,
    ) -> None:
        self.spark, self.columns, self.source, self.day = spark, columns, source, day
        is_uri = target.startswith("file:")
        self.target = storage.filesystem(target)[1] if is_uri else storage.absolute(target)
        self.folder = storage.join(self.target, f"day={day.isoformat()}")
        self.token = uuid.uuid4().hex
        self.parts: list[Part] = []
        self.staging = staging

    def score(
        self,
        rows: Plain | DataFrame,
        model: AnyModel,
        bound: Sequence[Binding],
        kept: Sequence[str],
        about: Mapping[str, str | dt.datetime],
        what: str,
        plan: str,
    ) -> tuple[int, int]:
        """Score every row once.

        Args:
            rows: files, or a DataFrame of the columns, and as it may be `REASONS` and `RAW`.
            about: columns of one value.
            what: description of the run, used in messages.
            plan: `arrow` or `jvm`, for a DataFrame.

        Returns:
            The rows that were written, and how many of them are bad.

        Raises:
            StorageError: a task failed, or a file is not what its task said.
        """
        claim(self.staging, self.target, self.folder, self.token)
        if plan == "jvm" and not isinstance(rows, Plain):
            with running(what, self.target):
                self.parts = self._by_jvm(rows, model, bound, kept, about)
        else:
            task = TableTask(
                scorer_for(self.spark, model, feeds_of(bound)),
                self.columns,
                tuple(name for binding in bound for name in binding.columns),
                tuple(kept),
                about_columns(about),
                self.folder,
                self.staging,
                self.token,
            )
            with running(what, self.target):
                if isinstance(rows, Plain):
                    self.parts = self._by_scan(rows, task)
                else:
                    self.parts = self._by_arrow(rows, task)
        self._check()
        bad = sum(part.bad for part in self.parts)
        return bad + sum(part.rows for part in self.parts), bad

    def _by_scan(self, files: Plain, task: TableTask) -> list[Part]:
        plain = files.bare()

        def run(shares: Iterable[tuple[PlainFile, ...]]) -> Iterable[Part]:
            yield task(batch for share in shares for batch in plain.batches(share))

        shares = files.shares(self.spark)
        sent = self.spark.sparkContext.parallelize(shares, max(1, len(shares)))
        parts: list[Part] = sent.mapPartitions(run).collect()
        return parts

    def _by_arrow(self, df: DataFrame, task: TableTask) -> list[Part]:
        def run(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pydict({"part": [json.dumps(asdict(task(rows)))]})

        sent: Any = self._needed(df).mapInArrow(run, "part string")
        return [Part(**json.loads(row["part"])) for row in sent.collect()]

    def _by_jvm(
        self,
        df: DataFrame,
        model: AnyModel,
        bound: Sequence[Binding],
        kept: Sequence[str],
        about: Mapping[str, str | dt.datetime],
    ) -> list[Part]:
        names = self.columns.names
        place = (self.folder, self.staging, self.token)
        return jvm.to_files(self._needed(df), model, bound, names, kept, about, *place)

    def _needed(self, df: DataFrame) -> DataFrame:
        extra = [name for name in (REASONS, RAW) if name in df.columns]
        return df.select(*[F.col(quote(name)) for name in [*self.columns.names, *extra]])

    def bad_rows(self) -> DataFrame:
        """The bad rows: their reasons, their text, and 1."""
        used = self.columns.names
        fields = [T.StructField(f"c{i}", self.source[n].dataType) for i, n in enumerate(used)]
        reasons = T.StructField(REASONS, T.ArrayType(T.StringType()))
        schema = T.StructType([*fields, reasons, T.StructField(RAW, T.StringType())])
        if files := self._bad_files():
            rows = self.spark.read.schema(schema).parquet(*files)
        else:
            rows = self.spark.createDataFrame([], schema)
        raw = F.coalesce(F.col(RAW), as_text(self.source, used))
        named = rows.toDF(*used, REASONS, RAW)
        return named.select(REASONS, raw.alias(RAW), F.lit(1).alias(BAD))

    def commit(self, schema: T.StructType, run_id: str) -> int:
        """Replace the day by the files of good rows; the table's new version."""
        return commit_day(
            self.target,
            delta_schema(schema),
            self.parts,
            self.day,
            run_id=run_id,
            token=self.token,
        )

    def _bad_files(self) -> list[str]:
        return [storage.join(self.staging, p.bad_file) for p in self.parts if p.bad_file]

    def _check(self) -> None:
        """Whether the files hold the rows that their tasks counted."""
        good = [part for part in self.parts if part.file]
        files = [storage.join(self.folder, part.file or "") for part in good]
        bad = [part for part in self.parts if part.bad_file]
        said = [part.rows for part in good] + [part.bad for part in bad]
        for footer, rows in zip(footers([*files, *self._bad_files()], []), said, strict=True):
            found = sum(group.rows for group in footer.groups)
            if found != rows:
                raise StorageError(
                    f"{footer.path}: holds {found} rows, its task wrote {rows}; run again"
                )
