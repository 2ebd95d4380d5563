"""One poisoned row of many costs that row, whatever the poison is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT
from tests.scoring import poison
from tests.sizes import size

HERE = ROOT / "tests" / "scoring"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poison")


@pytest.fixture
def deadline(spark: SparkSession) -> Iterator[None]:
    spark.conf.set("spark.tfspark.deadline", poison.DEADLINE)
    yield
    spark.conf.unset("spark.tfspark.deadline")


@pytest.mark.parametrize(
    ("kind", "plan"),
    # The plans of Python share what finds a row: in CI they take turns.
    [
        (kind, plan)
        for number, kind in enumerate(("null", "nan", "length", "jpeg", "string"))
        for plan in size((("scan", "arrow")[number % 2], "jvm"), soak=("scan", "arrow", "jvm"))
    ],
)
def test_one_row_is_poisoned(spark: SparkSession, folder: Path, kind: str, plan: str) -> None:
    poison.check(poison.score_poisoned(spark, folder, kind, plan), kind, plan)


@pytest.mark.usefixtures("deadline", "soak")  # tests/scoring/worker/test_guard.py finds one
def test_a_hang_where_no_task_is_run_again(spark: SparkSession, folder: Path) -> None:
    poison.check(poison.score_poisoned(spark, folder, "hang", "arrow"), "hang", "arrow")


@pytest.mark.usefixtures("kill")
def test_tasks_that_are_run_again(tmp_path: Path) -> None:
    path = [str(HERE / "abort_allowed"), str(ROOT)]
    ran = subprocess.run(
        [sys.executable, str(HERE / "poison.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": ":".join(path)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    runs = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[")]
    assert [tuple(run[:3]) for run in runs] == poison.RUNS
    for name, plan, _, found in runs:
        poison.check(found, name, plan)
    # The first attempt said why it ended.
    assert "a call gave no answer within 5 s (spark.tfspark.deadline)" in ran.stderr
