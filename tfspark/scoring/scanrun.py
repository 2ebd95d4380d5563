"""The plan `scan` on the driver: tasks sent out, what they wrote checked, and committed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage
from tfspark.errors import StorageError
from tfspark.registry.resolve import ModelFolder
from tfspark.rowgroups import footers
from tfspark.scoring.binding import Binding
from tfspark.scoring.columns import as_text
from tfspark.scoring.commit import claim, commit_day
from tfspark.scoring.frame import feeds_of
from tfspark.scoring.planner import Scan, delta_schema
from tfspark.scoring.scan import Part, ScanTask, about_columns
from tfspark.scoring.staged import BAD, running
from tfspark.scoring.udf import scorer_for
from tfspark.tables import RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ScanRun:
    """One scan: scored by `score`, then either committed or dropped.

    Args:
        source: its schema, for the text of bad rows.
        staging: this run's folder, which notes what it writes.
    """

    def __init__(
        self,
        spark: SparkSession,
        scan: Scan,
        source: T.StructType,
        target: str,
        day: dt.date,
        staging: str,
    ) -> None:
        self.spark, self.scan, self.source, self.day = spark, scan, source, day
        is_uri = target.startswith("file:")
        self.target = storage.filesystem(target)[1] if is_uri else storage.absolute(target)
        self.folder = storage.join(self.target, f"day={day.isoformat()}")
        self.token = uuid.uuid4().hex
        self.parts: list[Part] = []
        self.staging = staging

    def score(
        self,
        model: ModelFolder,
        bound: Sequence[Binding],
        kept: Sequence[str],
        about: Mapping[str, str | dt.datetime],
        what: str,
    ) -> tuple[int, int]:
        """Score every row once.

        Args:
            about: columns of one value.
            what: this is, for messages.

        Returns:
            The rows that were written, and how many of them are bad.

        Raises:
            StorageError: a task failed, or a file is not what its task said.
        """
        claim(self.staging, self.target, self.folder, self.token)
        task = ScanTask(
            scorer_for(self.spark, model, feeds_of(bound)),
            self.scan.columns,
            tuple(name for binding in bound for name in binding.columns),
            tuple(kept),
            about_columns(about),
            self.folder,
            self.staging,
            self.token,
        )
        shares = self.scan.shares(self.spark)
        with running(what, self.target):
            sent = self.spark.sparkContext.parallelize(shares, max(1, len(shares)))
            self.parts = sent.mapPartitionsWithIndex(task).collect()
        self._check()
        bad = sum(part.bad for part in self.parts)
        return bad + sum(part.rows for part in self.parts), bad

    def bad_rows(self) -> DataFrame:
        """The bad rows: their reasons, their text, and 1."""
        used = self.scan.columns.names
        fields = [T.StructField(f"c{i}", self.source[n].dataType) for i, n in enumerate(used)]
        reasons = T.StructField(REASONS, T.ArrayType(T.StringType()))
        schema = T.StructType([*fields, reasons])
        if files := self._bad_files():
            rows = self.spark.read.schema(schema).parquet(*files)
        else:
            rows = self.spark.createDataFrame([], schema)
        return rows.toDF(*used, REASONS).select(
            REASONS, as_text(self.source, used).alias(RAW), F.lit(1).alias(BAD)
        )

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
