"""`kill -9` of the driver at ten moments, then a plain re-run: equal to a clean run.

Real processes: the job runs as `python jobs/X.py` with its JVM and its workers in a process group
of its own, and the whole group is killed when the job says that a step starts or has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.passengers import DAY, flags, run_all
from tfspark.tables import read_table

pytestmark = pytest.mark.fault

MOMENTS = [
    ("prepare", "start", "check rows"),
    ("prepare", "done", "check rows"),
    ("prepare", "start", "statistics"),
    ("prepare", "start", "publish"),
    ("train", "start", "fit"),
    ("train", "start", "export"),
    ("train", "start", "register"),
    ("score", "start", "score"),
    ("score", "done", "score"),
    ("score", "start", "commit"),
]
# The days that the job that is killed has to make: nothing of them is there before.
TABLE = ["PassengerId", "probability", "model_name", "model_version", "day"]


@pytest.fixture(scope="module")
def clean(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one clean run gives."""
    folder = tmp_path_factory.mktemp("clean") / "warehouse"
    run_all(folder)
    return folder


@pytest.fixture(scope="module")
def outcome(clean: Path, spark: Any) -> dict[str, Any]:
    return state(spark, clean)


@pytest.mark.parametrize(("job", "event", "step"), MOMENTS)
def test_killed_and_run_again(
    job: str,
    event: str,
    step: str,
    clean: Path,
    outcome: dict[str, Any],
    spark: Any,
    tmp_path: Path,
) -> None:
    # The same path as the clean run's: MLflow's database holds it.
    kept = tmp_path / "kept"
    shutil.move(clean, kept)
    try:
        jobs = ["prepare", "train", "score"]
        for earlier in jobs[: jobs.index(job)]:
            run(earlier, clean)
        assert killed_at(job, clean, event, step), f"{job} ended before {event} {step!r}"
        for later in jobs[jobs.index(job) :]:
            run(later, clean)
        assert state(spark, clean) == outcome
    finally:
        shutil.rmtree(clean, ignore_errors=True)
        shutil.move(kept, clean)


def command(job: str, warehouse: Path) -> list[str]:
    return [sys.executable, str(ROOT / "jobs" / f"{job}.py"), *flags(warehouse)]


def environment() -> dict[str, str]:
    return {**os.environ, "TFSPARK_LOG": "json", "PYTHONPATH": str(ROOT)}


def run(job: str, warehouse: Path) -> None:
    done = subprocess.run(
        command(job, warehouse),
        env=environment(),
        cwd=warehouse.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def killed_at(job: str, warehouse: Path, event: str, step: str) -> bool:
    """Start a job, kill all of it at a moment; whether the moment came."""
    process = subprocess.Popen(
        command(job, warehouse),
        env=environment(),
        cwd=warehouse.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    found = False
    with process.stderr as lines:
        for line in lines:
            if line.startswith("{"):
                said = json.loads(line)
                if (said["event"], said["step"]) == (event, step):
                    os.killpg(process.pid, signal.SIGKILL)
                    found = True
                    break
    process.wait()
    return found


def state(spark: Any, warehouse: Path) -> dict[str, Any]:
    """Everything that a user sees of a warehouse."""
    from mlflow import MlflowClient

    datasets = {
        path.parent.name: json.loads(path.read_text())["digest"]
        for path in (warehouse / "datasets" / "passengers").glob("*/manifest.json")
    }
    client = MlflowClient(f"sqlite:///{warehouse}/mlflow.db")
    registered = client.get_registered_model("passengers")
    versions = client.search_model_versions("name = 'passengers'")
    rows = read_table(spark, str(warehouse / "scored" / "passengers")).select(TABLE).collect()
    models = warehouse / "models" / "passengers"
    return {
        "datasets": datasets,
        "aliases": registered.aliases,
        "versions": sorted(
            (v.version, v.tags["tfspark.complete"], v.tags["tfspark.gate"]) for v in versions
        ),
        "models": sorted(path.name for path in models.iterdir() if path.name.isdigit()),
        "rows": sorted(tuple(row) for row in rows),
        "days": {str(row["day"]) for row in rows} == {str(DAY)},
        "commits": len(list((warehouse / "scored" / "passengers" / "_delta_log").glob("*.json"))),
        "staging": [str(path) for path in warehouse.rglob("_staging/*")],
        "quarantine": (warehouse / "quarantine").exists(),
    }
