"""Tasks write the table's own files, once; the driver commits them or removes them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from tfspark import storage
from tfspark.compat.spark import LITERAL
from tfspark.dayfiles.commit import claim, commit_day, day_folder, table_place
from tfspark.dayfiles.target import delta_schema
from tfspark.errors import StorageError
from tfspark.quarantine import Ready
from tfspark.rowgroups import footers
from tfspark.scoring.plans.columns import as_text
from tfspark.scoring.plans.plan import ByTasks, TableFiles
from tfspark.scoring.table.way import Output
from tfspark.scoring.worker.sink import FilePart
from tfspark.sparkerrors import running
from tfspark.tables import RAW, REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class FilesRun:
    """The way of a plan whose tasks write the table's own files: see `Way`.

    Args:
        plan: how they are written.
        source: the columns that are scored and kept, and others, with Spark's types.
        staging: this run's folder, which notes what it writes.
    """

    def __init__(
        self,
        output: Output,
        plan: ByTasks,
        source: T.StructType,
        staging: str,
    ) -> None:
        self._output, self._plan, self._source = output, plan, source
        self._staging = staging
        self._target = table_place(output.target)
        self._folder = storage.join(self._target, day_folder(output.day, {}))
        self._token = uuid.uuid4().hex
        self._parts: list[FilePart] = []

    def score(self, checked: DataFrame) -> tuple[int, int]:
        out, checks = self._output, self._plan.checks
        claim(self._staging, self._target, self._folder, self._token)
        files = TableFiles(
            out.bound,
            self._plan.columns,
            out.about,
            self._folder,
            self._staging,
            self._token,
            checks and checks.giving(self._plan.columns.names),
            out.counter,
        )
        with running(out.doing, self._target):
            self._parts = self._plan.write(checked, files)
        self._check()
        if out.counter is not None:
            out.counter.take(part.counts for part in self._parts)
        bad = sum(part.bad for part in self._parts)
        return bad + sum(part.rows for part in self._parts), bad

    def bad_rows(self) -> DataFrame:
        used, spark = self._plan.columns.names, self._output.spark
        fields = [T.StructField(f"c{i}", self._source[n].dataType) for i, n in enumerate(used)]
        reasons = T.StructField(REASONS, T.ArrayType(T.StringType()))
        schema = T.StructType([*fields, reasons, T.StructField(RAW, T.StringType())])
        if files := self._bad_files():
            rows = spark.read.options(**LITERAL).schema(schema).parquet(*files)
        else:
            rows = spark.createDataFrame([], schema)
        raw = F.coalesce(F.col(RAW), as_text(self._source, used))
        named = rows.toDF(*used, REASONS, RAW)
        return named.select(REASONS, raw.alias(RAW))

    def ready(self) -> Ready | None:
        told = all(part.told for part in self._parts if part.bad_file)
        return Ready(tuple(self._bad_files()), self._staging) if told else None

    def commit(self, allowed: Callable[[], None]) -> int:
        out = self._output
        return commit_day(
            self._target,
            delta_schema(out.schema),
            self._parts,
            out.day,
            run_id=out.run_id,
            token=self._token,
            allowed=allowed,
        )

    def _bad_files(self) -> list[str]:
        return [storage.join(self._staging, p.bad_file) for p in self._parts if p.bad_file]

    def _check(self) -> None:
        """Whether the files hold the rows that their tasks counted."""
        good = [part for part in self._parts if part.file]
        files = [storage.join(self._folder, part.file or "") for part in good]
        bad = [part for part in self._parts if part.bad_file]
        said = [part.rows for part in good] + [part.bad for part in bad]
        for footer, rows in zip(footers([*files, *self._bad_files()], []), said, strict=True):
            found = sum(group.rows for group in footer.groups)
            if found != rows:
                raise StorageError(
                    f"{footer.path}: holds {found} rows, its task wrote {rows}; run again"
                )
