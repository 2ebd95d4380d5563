"""The plan `jvm`: rows are scored by the Scala module, in Spark's own processes.

The session needs the module's jars. Models are found, verified and bound here, as for every plan;
what the module refuses comes as the same errors.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from tfspark import errors
from tfspark.compat.spark import JavaError, frame_of, java_frame, java_map, java_object
from tfspark.errors import ConfigError, TfsparkError
from tfspark.registry.resolve import ModelFolder
from tfspark.scoring.model.binding import Binding
from tfspark.scoring.model.many import AnyModel
from tfspark.scoring.table.sink import Part

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def check_module(spark: SparkSession, model: AnyModel) -> ModelFolder:
    """The model, if the Scala module is there and can score it.

    Raises:
        ConfigError: its jars are not on the session's classpath; or there are several models.
    """
    if not isinstance(model, ModelFolder):
        raise ConfigError(
            "plan 'jvm' takes one model, not several: use plan 'auto', 'scan', 'arrow' or 'pandas'"
        )
    _interop(spark)
    return model


def results(
    df: DataFrame, model: AnyModel, bound: Sequence[Binding], kept: Sequence[str], name: str
) -> DataFrame:
    """The kept columns and a struct of the outputs by number (`o0`, `o1`...) and `error`.

    Args:
        name: the struct's name.

    Raises:
        ConfigError: see `check_module`; or a setting is wrong.
        ModelNotFound, IntegrityError, UnsafeModelError: the model has changed meanwhile.
        SignatureError: the module has no tensors of a dtype.
    """
    spark = df.sparkSession
    found = check_module(spark, model)
    with _as_ours():
        frame = _interop(spark).scoreNumbered(
            java_frame(df),
            found.path,
            _columns(bound),
            list(kept),
            found.signature.name,
            name,
        )
    return frame_of(frame, spark)


def to_files(
    df: DataFrame,
    model: AnyModel,
    bound: Sequence[Binding],
    columns: Sequence[str],
    kept: Sequence[str],
    about: Mapping[str, str | dt.datetime],
    folder: str,
    staging: str,
    token: str,
) -> list[Part]:
    """Score every row once, in tasks that write the table's own files: see `TableTask`.

    Args:
        df: the columns, and as it may be `REASONS` and `RAW`.

    Raises:
        As `results`; and what Spark raises where a task fails.
    """
    spark = df.sparkSession
    found = check_module(spark, model)
    alike = java_map(
        spark,
        {
            name: value if isinstance(value, str) else (value - _EPOCH) // _MICROSECOND
            for name, value in about.items()
        },
    )
    with _as_ours():
        parts = _interop(spark).scoreToFiles(
            java_frame(df),
            found.path,
            _columns(bound),
            found.signature.name,
            list(columns),
            list(kept),
            alike,
            folder,
            staging,
            token,
        )
    return [Part(**part) for part in json.loads(parts)]


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


def _columns(bound: Sequence[Binding]) -> dict[str, list[str]]:
    return {binding.name: list(binding.columns) for binding in bound}


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
