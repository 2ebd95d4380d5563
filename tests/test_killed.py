"""`kill -9` of the driver at ten moments, then a plain re-run: equal to a clean run.

Real processes: the job runs as `python jobs/X.py` with its JVM and its workers in a process group
of its own, and the whole group is killed where the job has said that a step starts or has ended.
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
# What a job finds: the rest of a clean warehouse is taken away before it runs.
BEFORE = {
    "prepare": [],
    "train": ["datasets"],
    "score": ["datasets", "models", "mlflow.db", "mlflow-artifacts"],
}
# The job stands still at the moment: what comes after it must not happen before the kill.
HELD = """
import runpy, sys, time
from tfspark.console import Steps

say = Steps._json

def held(self, event, step, fields):
    say(self, event, step, fields)
    if (event, step) == ({event!r}, {step!r}):
        time.sleep(600)

Steps._json = held
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TABLE = ["PassengerId", "probability", "model_name", "model_version", "day"]


@pytest.fixture(scope="module")
def clean(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one clean run gives."""
    folder = tmp_path_factory.mktemp("clean") / "warehouse"
    run_all(folder)
    return folder


@pytest.mark.parametrize(("job", "event", "step"), MOMENTS)
def test_killed_and_run_again(
    job: str, event: str, step: str, clean: Path, spark: Any, tmp_path: Path
) -> None:
    outcome = STATE[job](spark, clean)
    # At the same path as the clean run: MLflow's database holds it.
    kept = tmp_path / "kept"
    shutil.move(clean, kept)
    try:
        clean.mkdir()
        for name in BEFORE[job]:
            copy = shutil.copytree if (kept / name).is_dir() else shutil.copy
            copy(kept / name, clean / name)
        assert killed_at(job, clean, event, step), f"{job} ended before {event} {step!r}"
        run(job, clean)
        assert STATE[job](spark, clean) == outcome
        assert [str(path) for path in clean.rglob("_staging/*")] == []
        assert not (clean / "quarantine").exists()
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
    python, *job_and_flags = command(job, warehouse)
    process = subprocess.Popen(
        [python, "-c", HELD.format(event=event, step=step), *job_and_flags],
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


def prepared(spark: Any, warehouse: Path) -> dict[str, Any]:
    """What a user sees of the datasets."""
    return {
        path.parent.name: json.loads(path.read_text())["digest"]
        for path in (warehouse / "datasets" / "passengers").glob("*/manifest.json")
    }


def trained(spark: Any, warehouse: Path) -> dict[str, Any]:
    """What a user sees of the models. Equal metrics to the last bit: equal weights."""
    # A client of its own process: this one would hold the database that is moved away.
    code = (
        "import json, sys; from mlflow import MlflowClient; c = MlflowClient(sys.argv[1]); "
        "v = c.search_model_versions(\"name = 'passengers'\"); print(json.dumps({"
        "'aliases': c.get_registered_model('passengers').aliases, "
        "'versions': sorted([str(x.version), x.tags['tfspark.complete'], x.tags['tfspark.gate']] "
        "for x in v)}))"
    )
    uri = f"sqlite:///{warehouse}/mlflow.db"
    asked = subprocess.run(
        [sys.executable, "-c", code, uri], capture_output=True, text=True, check=True
    )
    folder = warehouse / "models" / "passengers"
    metrics = {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in folder.glob("*/tfspark.json")
    }
    return json.loads(asked.stdout.splitlines()[-1]) | {"metrics": metrics}


def scored(spark: Any, warehouse: Path) -> dict[str, Any]:
    """What a user sees of the scored table."""
    table = warehouse / "scored" / "passengers"
    rows = read_table(spark, str(table)).select(TABLE).collect()
    assert {row["day"] for row in rows} == {DAY}
    commits = len(list((table / "_delta_log").glob("*.json")))
    return {"rows": sorted(tuple(row) for row in rows), "commits": commits}


STATE = {"prepare": prepared, "train": trained, "score": scored}
