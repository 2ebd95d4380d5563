"""The SparkSession: the only place that sets Spark's settings."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfspark import storage
from tfspark.mask import SENSITIVE

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
        settings = {k: v for k, v in settings.items() if k in _ALWAYS or not told.contains(k)}
    for key, value in (settings | conf).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    from tfspark.tfrecord.spark.source import register

    register(session)
    return session


def _has_delta_jars() -> bool:
    import pyspark

    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    return any((home / "jars").glob("delta-spark_*.jar"))
