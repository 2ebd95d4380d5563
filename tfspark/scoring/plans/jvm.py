"""The plan `jvm`: rows are scored by the Scala module, in Spark's own processes.

The session needs the module's jars. Models are found, verified and bound here, as for every plan;
what the module refuses comes as the same errors.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tfspark import errors
from tfspark.compat.spark import JavaError, frame_of, java_frame, java_map, java_object
from tfspark.errors import ConfigError, TfsparkError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.kinds.model import AnyModel
from tfspark.scoring.plans.plan import RESULT, FilesPlan, Results, TableFiles, needed
from tfspark.scoring.plans.trial import tried
from tfspark.scoring.worker.sink import FilePart

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Jvm(FilesPlan):
    name = "jvm"

    def check(self, spark: SparkSession, model: AnyModel) -> None:
        """Whether the Scala module is there and can score the model.

        Raises:
            ConfigError: its jars are not on the session's classpath; or there are several models.
        """
        found = _single(model)
        if left := [name for name, spec in found.signature.outputs.items() if spec.binary]:
            raise ConfigError(
                f"plan 'jvm' gives the output {', '.join(left)} as text, not as bytes: use plan "
                "'auto', 'scan', 'arrow' or 'pandas'"
            )
        _interop(spark)

    def settings(self, spark: SparkSession) -> dict[str, Any]:
        """A task of the JVM can neither be watched nor isolated."""
        settings = super().settings(spark)
        return {name: settings[name] for name in ("threads", "batch_bytes", "batch_rows")}

    def results(self, df: DataFrame, bound: BoundModel, kept: Sequence[str]) -> Results:
        """Score every row once.

        Raises:
            ConfigError: see `check`; or a setting is wrong.
            ModelNotFound, IntegrityError, UnsafeModelError: the model has changed meanwhile.
            SignatureError: the module has no tensors of a dtype.
        """
        spark, found = df.sparkSession, _single(bound.model)
        tried(spark, found)
        with _as_ours():
            frame = _interop(spark).scoreNumbered(
                java_frame(df),
                found.path,
                _columns(bound),
                list(kept),
                found.signature.name,
                RESULT,
            )
        return Results.of(frame_of(frame, spark), found.signature)

    def write(self, df: DataFrame, files: TableFiles) -> list[FilePart]:
        """Score every row once, in tasks that write the table's own files: see `TableTask`.

        Raises:
            As `results`; and what Spark raises where a task fails.
        """
        spark, found = df.sparkSession, _single(files.bound.model)
        tried(spark, found)
        alike = java_map(
            spark,
            {
                name: value if isinstance(value, str) else (value - _EPOCH) // _MICROSECOND
                for name, value in files.about.items()
            },
        )
        with _as_ours():
            parts = _interop(spark).scoreToFiles(
                java_frame(needed(df, files)),
                found.path,
                _columns(files.bound),
                found.signature.name,
                files.columns.names,
                list(files.bound.kept),
                alike,
                files.folder,
                files.staging,
                files.token,
                java_map(spark, {own: name for name, own in found.signature.renamed.items()}),
            )
        return [FilePart(**part) for part in json.loads(parts)]


def _single(model: AnyModel) -> ModelFolder:
    found = model.single()
    if found is None:
        raise ConfigError(
            "plan 'jvm' takes one model, not several: use plan 'auto', 'scan', 'arrow' or 'pandas'"
        )
    return found


def _interop(spark: SparkSession) -> Any:
    """The module's object for Python."""
    module = java_object(spark, "tfspark.Interop")
    if module is None:
        raise ConfigError(
            "plan 'jvm': the Scala module is not on the classpath of this session; start Spark "
            "with its jars: spark-submit --jars (make package builds them; or --packages, "
            "spark.jars, spark.jars.packages), see docs/scala.md; or use plan 'auto'"
        )
    return module


def _columns(bound: BoundModel) -> dict[str, list[str]]:
    if fixed := [binding.name for binding in bound.bindings if not binding.columns]:
        raise ConfigError(
            f"plan 'jvm' feeds columns alone, and the input {', '.join(fixed)} is a constant: use "
            "plan 'auto', 'scan', 'arrow' or 'pandas'"
        )
    return {binding.name: list(binding.columns) for binding in bound.bindings}


@contextmanager
def _as_ours() -> Iterator[None]:
    """What the module raises on purpose as the same error of this side.

    Raises:
        TfsparkError: the one of the same name and with the same message.
    """
    try:
        yield
    except JavaError as error:
        java = error.java_exception
        package, _, name = str(java.getClass().getName()).rpartition(".")
        ours = getattr(errors, name, None) if package == "tfspark" else None
        if not (isinstance(ours, type) and issubclass(ours, TfsparkError)):
            raise
        raise ours(str(java.getMessage())) from None
