"""conf/airflow_passengers.py by a real Airflow 3: `make test-airflow`, minutes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from deltalake import DeltaTable

from tests.conftest import ROOT
from tests.passengers import DAY, copy_of, run_all

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("kill")]
DAG = "airflow_passengers.py"
_SECONDS = 900
STATE = re.compile(r"new_state=(success|failed|up_for_retry)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's folder: its database, and the DAG."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "conf" / DAG, folder / "dags")
    with (folder / "migrated.log").open("w") as said:
        assert airflow(said, folder, folder, "db", "migrate").wait(_SECONDS) == 0
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What TFSPARK_HOME names, with a model that may score."""
    for name in ("conf", "schemas", "examples", "jobs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def trained(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "warehouse"
    run_all(folder)
    shutil.rmtree(folder / "scored")
    return folder


def airflow(said: IO[str], home: Path, project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    python = os.environ["AIRFLOW_PYTHON"]
    return subprocess.Popen(
        [python, "-m", "airflow", *arguments],
        env=os.environ
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
            "TFSPARK_HOME": str(project),
            "TFSPARK_PYTHON": sys.executable,
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "VIRTUAL_ENV": str(Path(python).parent.parent),
        },
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def night(home: Path, project: Path) -> tuple[str, str]:
    """A run of the DAG for the day: what became of its task, and what was said.

    Airflow's own `dags test` waits half an hour where the task is to be tried again: it is ended.
    """
    own = project / "airflow"
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(home, own)
    log = project / "airflow.log"
    with log.open("w") as said:
        run = airflow(said, own, project, "dags", "test", "passengers", str(DAY))
    until = time.monotonic() + _SECONDS
    while not (found := STATE.search(log.read_text())) and time.monotonic() < until:
        if run.poll() is not None:
            break
        time.sleep(0.5)
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return found[1] if found else "", log.read_text()


def test_a_night_and_those_that_are_tried_again(home: Path, project: Path, trained: Path) -> None:
    copy_of(trained, project / "warehouse")
    state, said = night(home, project)
    assert state == "success", said[-6000:]
    table = DeltaTable(str(project / "warehouse" / "scored" / "passengers"))
    assert table.to_pyarrow_table().num_rows == 712

    shutil.rmtree(project / "warehouse")
    copy_of(trained, project / "warehouse")
    contract = project / "schemas" / "passengers.yaml"
    kept = contract.read_text()
    assert "maximum: 120" in kept
    contract.write_text(kept.replace("maximum: 120", "maximum: 1"))
    state, said = night(home, project)
    assert (state, "the night ended with 3" in said) == ("failed", True), said[-6000:]

    contract.write_text(kept)
    source = project / "examples" / "passengers" / "passengers.csv"
    source.rename(source.with_suffix(".late"))
    state, said = night(home, project)
    assert (state, "the night ended with 75" in said) == ("up_for_retry", True), said[-6000:]
