"""The Scala module as clusters get it: one jar, or the thin jar and what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import saved_models as models
from tests.conftest import ROOT
from tests.standalone import SPARK_HOME

POINTS = {
    (1, 2): 3.0196,
    (2, 3): 3.9878,
    (3, 5): 3.9264,
    (6, 7): 7.8608,
    (8, 3): 15.9750,
    (7, 8): 8.8290,
}


@pytest.fixture(scope="module")
def dist(scala: Any, package: None) -> Path:
    scala.ready("dist")
    return ROOT / "dist"


def score(folder: Path, *options: str) -> None:
    """The table of docs/scala.md by spark-sql, in a process that has nothing but `options`.

    Natives are unpacked in the cache of models: whoever loads TensorFlow leaves them there.
    """
    model = models.linear(folder / "model")
    (folder / "driver").mkdir(mode=0o700)
    values = ", ".join(map(str, POINTS))
    query = f"SELECT x1, x2, tf_score('{model}', x1, x2) FROM VALUES {values} AS points(x1, x2)"
    command = [
        *(str(SPARK_HOME / "bin" / "spark-sql"), "-S", "-e", query, *options),
        *("--conf", "spark.sql.extensions=tfspark.ScoreExtensions"),
        *("--conf", "spark.sql.catalogImplementation=in-memory"),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"),
    ]
    cache = {"TFSPARK_MODEL_CACHE": str(folder / "driver")}
    bare = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}
    ended = subprocess.run(
        command, env=bare | cache, cwd=folder, text=True, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-8000:]
    rows = [line.split("\t") for line in ended.stdout.splitlines() if line.count("\t") == 2]
    found = {(int(x1), int(x2)): float(y) for x1, x2, y in rows}
    assert found == {point: pytest.approx(y, abs=1e-3) for point, y in POINTS.items()}


def test_the_assembly_scores_on_a_cluster(dist: Path, cluster: str, tmp_path: Path) -> None:
    """Workers have Spark and the jar, and no other file of this module."""
    assembly = next(dist.glob("tfspark-interop-assembly-*.jar"))
    cache = tmp_path / "executors"
    cache.mkdir(mode=0o700)
    score(
        tmp_path,
        *("--master", cluster, "--jars", str(assembly)),
        *("--conf", "spark.executor.memory=700m"),
        *("--conf", f"spark.executorEnv.TFSPARK_MODEL_CACHE={cache}"),
    )
    assert list(cache.glob("*.loads"))  # executors scored, and not the driver
    assert not list((tmp_path / "driver").glob("*.loads"))
    shutil.rmtree(tmp_path)  # natives and copies of the jar: 1.2 GB


def test_the_thin_jar_scores_with_its_list(dist: Path, tmp_path: Path) -> None:
    """From an empty cache: what Ivy finds depends on what it has."""
    jars = [*dist.glob("tfspark-interop_*.jar"), *dist.glob("natives/*.jar")]
    settings = os.environ.get("TFSPARK_IVY_SETTINGS")
    score(
        tmp_path,
        *("--master", "local[2]", "--jars", ",".join(map(str, jars))),
        *("--packages", (dist / "tfspark-interop.packages").read_text().strip()),
        *("--conf", f"spark.jars.ivy={tmp_path / 'ivy'}"),
        *(("--conf", f"spark.jars.ivySettings={settings}") if settings else ()),
    )
    shutil.rmtree(tmp_path)  # natives: 0.7 GB
