"""Fixtures that every room uses: one real Spark session, small real tables."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PASSENGERS = ROOT / "examples" / "passengers" / "passengers.csv"

# Spark's workers must be this interpreter, and see this checkout.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
# Of drivers: they live for seconds or minutes, half of which an optimising compiler would take.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")
# Of this run alone; what is unpacked goes when it ends.
_models = tempfile.TemporaryDirectory(prefix="tfspark-models-")
os.environ["TFSPARK_MODEL_CACHE"] = _models.name
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A real session, as jobs get it: local mode, two cores, Delta, the Scala module."""
    from tests import scala_module
    from tfspark.session import spark_session

    scratch = tmp_path_factory.mktemp("spark")
    session = spark_session(
        "tests",
        **{
            "spark.master": "local[2]",
            "spark.driver.memory": "2g",
            "spark.driver.extraClassPath": scala_module.classpath(),
            "spark.sql.shuffle.partitions": "4",
            "spark.ui.enabled": "false",
            "spark.sql.warehouse.dir": str(scratch / "tables"),
        },
    )
    scala_module.keep_natives(session)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow SQLite store, made once: its migrations take seconds."""
    from tfspark.registry.connect import connect

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file
