"""Spark's private Python classes and its JVM, by py4j."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_schema, to_arrow_type

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import types as T

__all__ = [
    "ERRORS",
    "LITERAL",
    "JavaError",
    "arrow_of",
    "concurrent_tasks",
    "frame_of",
    "from_arrow_type",
    "java_frame",
    "java_map",
    "java_object",
    "make_active",
    "start_jvm",
    "to_arrow_schema",
    "to_arrow_type",
]

LITERAL = {"__globPaths__": "false"}
"""Spark's own option to read a path as it is written, whatever characters it has."""
ERRORS = (PySparkException, Py4JError)
"""What a call into Spark raises."""
JavaError = Py4JJavaError


def arrow_of(kind: T.DataType) -> pa.DataType:
    """The Arrow type in which Spark hands over a column."""
    return to_arrow_type(kind, timezone="UTC")


def java_map(spark: SparkSession, entries: Mapping[str, Any]) -> Any:
    """A map of the JVM in the order of the entries; py4j's own have none."""
    view: Any = spark._jvm
    made = view.java.util.LinkedHashMap()
    for name, value in entries.items():
        made.put(name, value)
    return made


def java_object(spark: SparkSession, name: str) -> Any:
    """A class of the session's classpath by its whole name; None where it is not there."""
    from py4j.java_gateway import JavaClass

    found: Any = getattr(spark, "_jvm", None)
    for part in name.split(".") if found is not None else ():
        found = getattr(found, part)
    # py4j takes a name that it does not know for a package.
    return found if isinstance(found, JavaClass) else None


def java_frame(df: DataFrame) -> Any:
    """The JVM's side of a DataFrame."""
    return df._jdf


def make_active(spark: SparkSession) -> None:
    """Let a thread that has no active session have this one: threads of a pool have none."""
    sessions = java_object(spark, "org.apache.spark.sql.classic.SparkSession")
    if sessions is not None and not sessions.getActiveSession().isDefined():
        sessions.setActiveSession(spark._jsparkSession)


def frame_of(java: Any, spark: SparkSession) -> DataFrame:
    """A DataFrame of the JVM as one of Python."""
    from pyspark.sql import DataFrame

    return DataFrame(java, spark)


def concurrent_tasks(sc: SparkContext) -> int:
    """Tasks that Spark can run at once now, by cores and by GPUs."""
    scheduler: Any = sc._jsc.sc()
    profile = scheduler.resourceProfileManager().defaultResourceProfile()
    return int(scheduler.maxNumConcurrentTasks(profile))


def start_jvm(settings: Mapping[str, Any]) -> None:
    """Start Spark's JVM, if it does not run, with these settings on its command line."""
    from pyspark import SparkConf, SparkContext

    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, str(value))
    SparkContext._ensure_initialized(conf=conf)
