"""Fixtures that every room uses: one real Spark session, small real tables."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest

from tests.java import SHORT_LIVED

pytest_plugins = [
    *("tests.lanes", "tests.disk", "tests.durations", "tests.groups", "tests.stores"),
    "tests.untraced",
]

ROOT = Path(__file__).parent.parent
PASSENGERS = ROOT / "examples" / "passengers" / "passengers.csv"

# Spark's workers must be this interpreter, and see this checkout.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ["SPARK_SUBMIT_OPTS"] = SHORT_LIVED
# Of this run alone; what is unpacked goes when it ends.
_models = tempfile.TemporaryDirectory(prefix="tfspark-models-")
atexit.register(_models.cleanup)  # and not with a warning, after pytest's last line
os.environ["TFSPARK_MODEL_CACHE"] = _models.name
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A real session, as jobs get it: local mode, two cores, Delta, the Scala module."""
    from tests.interop.module import classpath, keep_natives
    from tests.stores import jars
    from tfspark.session import spark_session
    from tfspark.storage.s3 import LOG_STORE

    scratch = tmp_path_factory.mktemp("spark")
    session = spark_session(
        "tests",
        **{
            "spark.master": "local[2]",
            "spark.driver.memory": "2g",
            "spark.driver.extraClassPath": ":".join([classpath(), *jars("hadoop-aws")]),
            "spark.sql.shuffle.partitions": "4",
            "spark.ui.enabled": "false",
            "spark.sql.warehouse.dir": str(scratch / "tables"),
            **LOG_STORE,
        },
    )
    keep_natives(session)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow SQLite store, made once: its migrations take seconds."""
    from tfspark.registry.connect import connect

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def passengers(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of one clean run of the example, made once: take copies (`copy_of`)."""
    from tests.passengers import run_all

    folder = tmp_path_factory.mktemp("passengers") / "warehouse"
    run_all(folder)
    return folder


@pytest.fixture(scope="session")
def refused() -> dict[str, tuple[int, str]]:
    """Of cases of `test_bad_inputs.py` that have run: exit code and message, folders as names."""
    return {}


@pytest.fixture(scope="session")
def standalone_cluster() -> Callable[..., AbstractContextManager[str]]:
    """Starts a cluster of the test's own: see `tests/standalone.py`."""
    from tests.standalone import standalone_cluster

    return standalone_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The master of a cluster for all tests that break nothing: two workers, a core and a GPU each.

    The GPUs are invented.
    """
    from tests.standalone import standalone_cluster

    folder = tmp_path_factory.mktemp("cluster")
    with standalone_cluster(folder, memory="2g", gpus=1) as master:
        yield master


@pytest.fixture(scope="session")
def kill() -> Callable[..., None]:
    """Sends SIGKILL. A test whose processes kill themselves asks for it too, for the mark."""
    return lambda pid, number=signal.SIGKILL: os.kill(pid, number)


@pytest.fixture(scope="session")
def whole_jobs() -> None:
    """A test that runs whole jobs one after the other asks for this, for the mark."""


@pytest.fixture(scope="session")
def soak() -> None:
    """A test asks for this, for the mark, where another shows the same in a lane of CI."""


@pytest.fixture(scope="session")
def package() -> None:
    """A test that builds a package asks for this, for the mark."""


@pytest.fixture(scope="session")
def scala() -> ModuleType:
    """What sbt makes and says: `scala.ready("test")`."""
    from tests.interop import module

    return module


@pytest.fixture(scope="session")
def process() -> None:
    """A test that starts ranks asks for this, for the mark."""
