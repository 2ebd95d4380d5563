"""Spark's "tfrecord" source: `spark.read.format("tfrecord")`, `df.write.format("tfrecord")`.

    register(spark)             # spark_session() has done it
    write_tfrecord(df, "folder", mode="overwrite", partition_by=["day"], compression="gzip")
    spark.read.format("tfrecord").load("folder")

`docs/tfrecord.md` lists the options.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceWriter
from pyspark.sql.types import StructType

from tfspark import errors, storage
from tfspark.compat.catalyst import root_paths
from tfspark.errors import ConfigError, StorageError
from tfspark.sparkerrors import failed, first_line
from tfspark.targets import refuse_others, refuse_overlap
from tfspark.tfrecord.folder.manifest import Folder, list_folder, look
from tfspark.tfrecord.spark.options import Options
from tfspark.tfrecord.spark.scan import Reader, schema_of
from tfspark.tfrecord.spark.sink import Writer
from tfspark.wording import BESIDE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT = "tfspark_tfrecord"
_log = logging.getLogger("tfspark.tfrecord")


class TFRecordDataSource(DataSource):
    """Folders of TFRecord files as a Spark source."""

    @classmethod
    def name(cls) -> str:
        return "tfrecord"

    def schema(self) -> StructType:
        options = Options(self.options)
        # Spark asks for a schema where the user gave none, and keeps this object.
        self._inferred = True
        return schema_of(_folder(options), options)

    def reader(self, schema: StructType) -> DataSourceReader:
        options = Options(self.options)
        return Reader(_folder(options), schema, options, getattr(self, "_inferred", False))

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        return Writer(schema, Options(self.options), overwrite)


class _OwnName(TFRecordDataSource):
    """The same, by a name that no jar has."""

    @classmethod
    def name(cls) -> str:
        return FORMAT


class _Plural(TFRecordDataSource):
    """The same, by the name that spark-tensorflow-connector has."""

    @classmethod
    def name(cls) -> str:
        return "tfrecords"


def register(spark: SparkSession) -> None:
    """Make the source known to a session: as "tfrecord", "tfrecords" and "tfspark_tfrecord".

    Where a jar on Spark's class path has one of the first two names it keeps it, and a line in the
    log says so; tfspark itself uses the third name. The session becomes the active one of this
    thread if there is none: Spark looks there for the source of a write.

    Args:
        spark: a session that `spark_session` did not make.

    Raises:
        AnalysisException: Spark cannot register it, for another reason than its name.
    """
    from pyspark.errors import AnalysisException

    from tfspark.compat.spark import make_active

    make_active(spark)
    spark.dataSource.register(_OwnName)
    for kind in (TFRecordDataSource, _Plural):
        try:
            spark.dataSource.register(kind)
        except AnalysisException as error:
            if error.getCondition() != "DATA_SOURCE_ALREADY_EXISTS":
                raise
            name = kind.name()
            _log.warning('a jar has the name "%s": use format("%s") for tfspark\'s', name, FORMAT)


def write_tfrecord(
    df: DataFrame,
    path: str,
    mode: str = "error",
    partition_by: Sequence[str] = (),
    **options: Any,
) -> None:
    """Write a DataFrame as a TFRecord folder, by one commit.

    It knows all save modes and partition columns; Spark's own `df.write` takes only "append" and
    "overwrite" of a Python source, and the partition columns as the option `partitionBy`.

    Args:
        df: the rows.
        path: the folder to write.
        mode: "error" (or "errorifexists"), "ignore", "append" or "overwrite".
        partition_by: columns that become folders `name=value`.
        options: those of the source: compression="gzip", narrow={"price": "float"}, ...

    Raises:
        ConfigError: the folder holds data and the mode is "error", or it holds other columns; a
            column that no Example holds without loss; an unknown option.
        StorageError: a value that the file cannot hold, a file cannot be written, a task failed.
        In each case the folder is as it was.
    """
    mode = mode.lower()
    if mode not in ("error", "errorifexists", "ignore", "append", "overwrite"):
        raise ConfigError(f"mode {mode!r} is unknown: use error, ignore, append or overwrite")
    if mode == "ignore" and holds_data(path):
        return
    refuse_overlap(path, root_paths(df), "path")
    if not holds_records(path):
        refuse_others(path, "path")
    from tfspark.compat.spark import make_active

    texts = {
        name: json.dumps(v) if isinstance(v, Mapping) else str(v) for name, v in options.items()
    }
    if mode in ("error", "errorifexists", "ignore"):
        texts["mustBeNew"] = "true"
    if partition_by:
        texts["partitionBy"] = ",".join(partition_by)
    make_active(df.sparkSession)  # in a thread of a pool there is none
    writer = df.write.format(FORMAT).options(**texts)
    with own_errors(f"writing {path}"):
        writer.mode("overwrite" if mode == "overwrite" else "append").save(path)


@contextmanager
def own_errors(what: str) -> Iterator[None]:
    """Spark's errors as the ones that the tasks raised; any other as a StorageError."""
    from tfspark.compat.spark import ERRORS

    try:
        yield
    except ERRORS as error:
        for name, message in reversed(re.findall(r"tfspark\.errors\.(\w+): (.+)", str(error))):
            raise getattr(errors, name, StorageError)(message) from error
        raise failed(f"{what} failed: {first_line(error)}", error) from error


def _folder(options: Options) -> Folder:
    skips = options.on_corrupt == "skip"
    folders = [list_folder(path, check=not skips) for path in options.paths]
    first = folders[0]
    for other in folders[1:]:
        layouts = [folder.layout and folder.layout.schema for folder in (first, other)]
        if layouts[0] != layouts[1] or first.partition_by != other.partition_by:
            raise ConfigError(
                f"{other.path} has other columns than {first.path}: read them one by one"
            )
    files = [entry for folder in folders for entry in folder.files]
    return Folder(first.path, first.layout, first.manifest, files, first.partition_by)


def holds_data(path: str) -> bool:
    """Whether a write of mode "error" would be refused."""
    if not storage.exists(path):
        return False
    there, _ = look(storage.absolute(path))
    return bool(there.files or there.layout)


def holds_records(path: str) -> bool:
    """Whether a folder is one of TFRecord files, and not of tables and texts of others."""
    if not storage.is_dir(path):
        return False
    there, is_ours = look(storage.absolute(path))
    return (
        is_ours
        or there.layout is not None
        or any(not name.lower().endswith(BESIDE) for name in there.files)
    )
