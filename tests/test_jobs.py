"""The jobs as their users start them: spark-submit, on this machine and on a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from deltalake import DeltaTable

from tests import saved_models as models
from tests.conftest import ROOT
from tests.passengers import flags
from tests.standalone import SPARK_HOME

SUBMIT = str(SPARK_HOME / "bin" / "spark-submit")


def test_a_night_without_its_source_ends_with_75(tmp_path: Path) -> None:
    """cron and Airflow see the code: conf/nightly.sh → spark-submit → the job → its record."""
    config, model = tmp_path / "t.yaml", models.mlp(tmp_path / "model")
    config.write_text(
        f"name: t\ncontract: {ROOT}/schemas/passengers.yaml\nwarehouse: {tmp_path}/warehouse\n"
        f"source: {{format: csv, path: '{tmp_path}/{{date}}.csv'}}\nscore: {{model: {model}}}\n"
    )
    night = subprocess.run(
        [str(ROOT / "conf" / "nightly.sh"), "t.yaml", "2026-11-20"],
        cwd=tmp_path,  # any folder: the jobs are those beside the script
        env=os.environ | {"SPARK_SUBMIT": SUBMIT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert night.returncode == 75, night.stderr[-3000:]
    # spark-submit sends what a Python job says to stdout, all of it.
    assert "nightly 2026-11-20: SourceMissing: " in night.stdout
    assert "2026-11-20.csv: is not there" in night.stdout
    status = [sys.executable, str(ROOT / "jobs" / "nightly.py"), "--config", "t.yaml"]
    told = subprocess.run(
        [*status, "--date", "2026-11-20", "--status"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 75
    assert "2026-11-20.csv: is not there" in told.stdout


def test_settings_reach_a_submitted_job(tmp_path: Path) -> None:
    shown = subprocess.run(
        [
            *(SUBMIT, "--properties-file", str(ROOT / "conf" / "spark-defaults.conf")),
            *(str(ROOT / "jobs" / "score.py"), *flags(tmp_path), "--dry-run"),
        ],
        env=os.environ | {"TFSPARK_SCORE__PLAN": "pandas", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "plan: pandas" in shown
    assert "model: models:/passengers@champion" in shown


@pytest.mark.usefixtures("package")
def test_the_package_scores_on_a_cluster(cluster: str, tmp_path: Path) -> None:
    """Workers have the package alone: neither this checkout nor its environment."""
    package = [sys.executable, str(ROOT / "scripts" / "package.py")]
    subprocess.run([*package, "library", "environment"], cwd=ROOT, check=True)
    dist = ROOT / "dist"
    library, archive = next(dist.glob("tfspark-*.zip")), dist / "environment.tar.gz"
    given = np.random.default_rng(5).random((1000, 4))
    columns = {"id": np.arange(1000), **{f"f{i}": given[:, i] for i in range(4)}}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    model = models.mlp(tmp_path / "model")
    done = subprocess.run(
        [
            *(SUBMIT, "--properties-file", str(ROOT / "conf" / "spark-defaults.conf")),
            *("--master", cluster, "--conf", "spark.driver.host=127.0.0.1"),
            *("--conf", "spark.executor.memory=700m", "--conf", "spark.executor.cores=1"),
            # Each executor unpacks the environment.
            *("--conf", "spark.cores.max=1"),
            *("--conf", f"spark.executorEnv.TFSPARK_MODEL_CACHE={tmp_path / 'cache'}"),
            *("--archives", f"{archive}#environment", "--py-files", str(library)),
            *(str(ROOT / "jobs" / "score.py"), "--input", str(tmp_path / "rows.parquet")),
            *("--model", model, "--output", str(tmp_path / "scored"), "--date", "2026-11-20"),
            *("--keep", "id", "--score.inputs", "{features: [f0, f1, f2, f3]}"),
        ],
        env=os.environ
        | {
            "PYSPARK_PYTHON": "./environment/bin/python",
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^  rows in +1,000$", done.stdout, re.M)
    assert re.search(r"^  scored +1,000$", done.stdout, re.M)
    found = DeltaTable(str(tmp_path / "scored")).to_pyarrow_table().sort_by("id")
    assert found["id"].to_pylist() == list(range(1000))
    bare = tf.saved_model.load(model).signatures["serving_default"]
    expected = bare(features=tf.constant(given, tf.float32))["score"].numpy()[:, 0]
    assert np.abs(found["score"].to_numpy() - expected).max() <= 1e-6
