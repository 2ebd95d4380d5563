"""Jobs end at some moments, in the soak at ten, then a plain re-run: equal to a clean run.

Some end by a real `kill -9`: the job runs as `python jobs/X.py` with its JVM and its workers in a
process group of its own, and the whole group is killed where the job has said that a step starts or
has ended. The others end in this process, and what is on disk at that moment is gone on from: a
killed job cleans nothing up, and its process is gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.conftest import ROOT
from tests.passengers import DAY, copy_of, flags
from tests.sizes import size
from tfspark.cli import main
from tfspark.console import Steps
from tfspark.tables import read_table

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
# In CI a training's driver is killed in tests/training/ranks/test_survive.py.
KILLED = size([("score", "start", "commit")], soak=MOMENTS)
# The other moments of CI leave nothing that is not left at these.
ENDED = [
    ("prepare", "done", "check rows"),
    ("prepare", "start", "publish"),
    ("train", "start", "export"),
    ("score", "done", "score"),
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


class Ended(BaseException):
    """What a kill is to a job in this process."""


@pytest.mark.usefixtures("kill")
@pytest.mark.parametrize(("job", "event", "step"), KILLED)
def test_killed_and_run_again(
    job: str, event: str, step: str, passengers: Path, spark: Any, tmp_path: Path
) -> None:
    warehouse = copy_of(passengers, tmp_path / "warehouse", BEFORE[job])
    assert killed_at(job, warehouse, event, step), f"{job} ended before {event} {step!r}"
    assert main(job, flags(warehouse)) == 0
    check(job, spark, passengers, warehouse)


@pytest.mark.usefixtures("whole_jobs")
@pytest.mark.parametrize(("job", "event", "step"), size(ENDED, soak=[]))
def test_ended_and_run_again(
    job: str,
    event: str,
    step: str,
    passengers: Path,
    spark: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warehouse = copy_of(passengers, tmp_path / "warehouse", BEFORE[job])
    left = tmp_path / "left"
    say = Steps._json

    def ending(steps: Steps, said: str, name: str, fields: Any) -> None:
        say(steps, said, name, fields)
        if (said, name) == (event, step) and not left.exists():
            copy_of(warehouse, left)
            raise Ended

    monkeypatch.setenv("TFSPARK_LOG", "json")
    with monkeypatch.context() as patch:
        patch.setattr(Steps, "_json", ending)
        with pytest.raises(Ended):
            main(job, flags(warehouse))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for note in left.rglob("_owner.json"):
        owner = json.loads(note.read_text())
        assert owner["pid"] == os.getpid()
        note.write_text(json.dumps(owner | {"pid": gone.pid}))
    assert main(job, flags(left)) == 0
    check(job, spark, passengers, left)


def check(job: str, spark: Any, clean: Path, again: Path) -> None:
    assert STATE[job](spark, again) == STATE[job](spark, clean)
    assert [str(path) for path in again.rglob("_staging/*")] == []
    assert not (again / "quarantine").exists()


def killed_at(job: str, warehouse: Path, event: str, step: str) -> bool:
    """Start a job, kill all of it at a moment; whether the moment came."""
    held = HELD.format(event=event, step=step)
    process = subprocess.Popen(
        [sys.executable, "-c", held, str(ROOT / "jobs" / f"{job}.py"), *flags(warehouse)],
        env={**os.environ, "TFSPARK_LOG": "json", "PYTHONPATH": str(ROOT)},
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
    client = MlflowClient(f"sqlite:///{warehouse}/mlflow.db")
    versions = client.search_model_versions("name = 'passengers'")
    seen = {
        "aliases": client.get_registered_model("passengers").aliases,
        "versions": sorted(
            [str(v.version), v.tags["tfspark.complete"], v.tags["tfspark.gate"]] for v in versions
        ),
    }
    folder = warehouse / "models" / "passengers"
    metrics = {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in folder.glob("*/tfspark.json")
    }
    return seen | {"metrics": metrics}


def scored(spark: Any, warehouse: Path) -> dict[str, Any]:
    """What a user sees of the scored table."""
    table = warehouse / "scored" / "passengers"
    rows = read_table(spark, str(table)).select(TABLE).collect()
    assert {row["day"] for row in rows} == {DAY}
    commits = len(list((table / "_delta_log").glob("*.json")))
    return {"rows": sorted(tuple(row) for row in rows), "commits": commits}


STATE = {"prepare": prepared, "train": trained, "score": scored}
