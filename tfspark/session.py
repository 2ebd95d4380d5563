"""The SparkSession: the only place that sets Spark's settings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.console import Steps, watched
from tfspark.errors import ConfigError
from tfspark.mask import SENSITIVE
from tfspark.quiet import jvm_filtered
from tfspark.storage import s3

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"

_LOGGING = Path(__file__).with_name("log4j2.properties")
_ALWAYS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A day is a day: not the day of whoever started the driver.
    "spark.sql.session.timeZone": "UTC",
    # The default, INT96, is read as nanoseconds and overflows outside 1677 to 2262.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_UNLESS_SET = {
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    # Spark's own pages and logs hide what ours do.
    "spark.redaction.regex": f"(?i){SENSITIVE}",
}
_LOCAL = {
    "spark.driver.memory": "2g",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
    # Delta reads its log in so many tasks; the default, 50, is for large tables on a cluster.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


def spark_session(app: str, **conf: Any) -> SparkSession:
    """The configured session; started, or the running one with these settings added.

    Under `spark-submit` the master and the resources are spark-submit's. Elsewhere Spark runs
    in this process's own machine, `local[*]`, unless `conf` names a master.

    Args:
        app: the application's name.
        conf: Spark settings, `**{"spark.sql.shuffle.partitions": "64"}`; they win over ours.

    Example:
        spark = tfspark.spark_session("nightly")
    """
    return open_session(app, conf, say=True)


def open_session(
    app: str, conf: Mapping[str, Any], say: bool = False, stores: bool | None = None
) -> SparkSession:
    """As `spark_session`; whoever reads along is told of the start if `say`.

    Args:
        stores: whether S3 is used; default: whether the environment says where it is.
    """
    stores = s3.is_set() if stores is None else stores or s3.is_set()
    # Workers of a virtual environment must be that environment's Python.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    own_java = Path(sys.prefix) / "jre"  # where set-up puts it if the system has none
    if own_java.exists():
        os.environ.setdefault("JAVA_HOME", str(own_java))
    from pyspark.sql import SparkSession

    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    builder = SparkSession.builder.appName(app)
    settings: dict[str, Any] = {**_UNLESS_SET, **_ALWAYS}
    local = str(conf.get("spark.master", "local")).startswith("local")
    if local and not submitted:
        mine = Path(tempfile.gettempdir()) / f"tfspark-{os.getuid()}"
        scratch = storage.private_folder(mine / "derby", "TMPDIR")
        java = f"-Dderby.system.home={scratch} -Dlog4j2.configurationFile={_LOGGING.as_uri()}"
        settings |= {
            **_LOCAL,
            "spark.driver.extraJavaOptions": java,
            "spark.master": "local[*]",
        }
    if not submitted and not _has_delta_jars():
        settings["spark.jars.packages"] = DELTA_PACKAGE
    if submitted:
        # What spark-submit was told wins over defaults of taste.
        from pyspark import SparkConf

        told = SparkConf()
        settings |= _object_stores(conf, submitted) if stores else {}
        settings = {k: v for k, v in settings.items() if k in _ALWAYS or not told.contains(k)}
    elif stores:
        made = _object_stores({**settings, **conf}, submitted)
        settings |= made
        # The jars stand behind those that are named.
        conf = {**conf, **{k: v for k, v in made.items() if k.endswith(".extraClassPath")}}
    settings |= conf
    # Workers on this machine have its environment.
    secret = s3.secret_settings() if stores and (submitted or not local) else {}
    for key, value in {**secret, **settings}.items():
        builder = builder.config(key, value)
    starts = not submitted and SparkSession.getActiveSession() is None
    steps = Steps("session") if starts and say and watched() else None
    with steps.step("start Spark") if steps else nullcontext():
        session = _started(builder, starts, settings if secret and not submitted else None)
    from tfspark.tfrecord.spark.source import register

    register(session)
    return session


def _started(
    builder: SparkSession.Builder, starts: bool, first: Mapping[str, Any] | None
) -> SparkSession:
    """
    Args:
        first: settings with which the JVM starts; None: those of the builder. They are on its
            command line, which others can read.
    """
    from pyspark.errors import PySparkRuntimeError

    try:
        with jvm_filtered() if starts else nullcontext():
            if first is not None:
                from tfspark.compat.spark import start_jvm

                start_jvm(first)
            return builder.getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise ConfigError(
            "Spark does not start: it needs Java 17 or newer; install it and set JAVA_HOME to its "
            "folder (what Java says stands above)"
        ) from None


def _object_stores(told: Mapping[str, Any], submitted: bool) -> dict[str, str]:
    """S3A's settings, its jars where set-up put them, and Delta's log as S3 keeps it.

    Raises:
        ConfigError: there are no jars, and the settings name none.
    """
    s3.for_libraries()
    made = s3.spark_settings()
    named = ("spark.jars", "spark.jars.packages", "spark.driver.extraClassPath")
    if submitted:  # its JVM runs already: what it has, it has
        from pyspark import SparkConf

        there = " ".join(SparkConf().get(name, "") or "" for name in named)
        there += " ".join(jar.name for jar in _spark_jars().glob("tfspark-*.jar"))  # of an image
        has = any(jar in there for jar in ("log_store", "log-store", "tfspark-interop"))
        return made | (s3.LOG_STORE if has else {})
    jars = [str(s3.LOG_STORE_JAR)]
    if not any("hadoop-aws" in str(told.get(name, "")) for name in named) and not any(
        _spark_jars().glob("hadoop-aws-*.jar")
    ):
        jars += s3.jars()
        if len(jars) == 1:
            raise ConfigError(
                "Spark has no jar for s3a://: run `make stores`, or set spark.jars.packages to "
                f"{s3.HADOOP_AWS} (with --conf, or in the section spark)"
            )
    for side in ("driver", "executor"):
        key = f"spark.{side}.extraClassPath"
        made[key] = os.pathsep.join([*filter(None, [told.get(key)]), *jars])
    return made | s3.LOG_STORE


class Tasks:
    """How many tasks of the stage that Spark is at are done, and of how many."""

    def __init__(self, spark: SparkSession) -> None:
        self._tracker = spark.sparkContext.statusTracker()

    def __call__(self) -> tuple[int, int] | None:
        stages = map(self._tracker.getStageInfo, self._tracker.getActiveStageIds())
        found = [(stage.numTasks, stage.numCompletedTasks) for stage in stages if stage]
        if not found:
            return None
        tasks, done = max(found)
        return done, tasks


def _has_delta_jars() -> bool:
    return any(_spark_jars().glob("delta-spark_*.jar"))


def _spark_jars() -> Path:
    import pyspark

    return Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent, "jars")
