"""Models of TensorFlow 1 and Keras 2 (`tests/old`), in all plans: as a session of TensorFlow's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests.conftest import ROOT
from tests.interop.module import NATIVES, classpath
from tests.old.cases import CASES, rows, sql
from tests.old.make import HERE
from tests.old.on_cluster import plans_of

v1 = tf.compat.v1


@cache
def wanted(name: str) -> Mapping[str, Any]:
    """What TensorFlow's session gives for all rows."""
    case = CASES[name]
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, ["serve"], str(HERE / case.model))
        if case.begin:
            files = (HERE / case.model / "assets").iterdir()
            session.run(case.begin, {"asset_path:0": str(next(files))})
        signature = meta.signature_def[case.signature]
        fed = {signature.inputs[k].name: v for k, v in case.fed().items()}
        outputs = {name: info.name for name, info in signature.outputs.items()}
        return dict(session.run(outputs, fed))


def check(found: pa.Table, name: str) -> None:
    """A row for a row, each as the session's."""
    rows = found.sort_by("id")
    for output, values in wanted(name).items():
        got = rows[output].to_pylist()
        assert len(got) == len(values), output
        if values.dtype == object:
            assert got == [text.decode() for text in values.reshape(-1)]
        else:
            assert np.abs(np.array(got, float).reshape(values.shape) - values).max() <= 1e-6


@pytest.fixture(scope="module")
def df(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    folder = str(tmp_path_factory.mktemp("old") / "in")
    rows(spark).coalesce(1).write.parquet(folder)
    return spark.read.parquet(folder)


@pytest.mark.parametrize("plan", ["scan", "arrow", "pandas", "jvm"])
@pytest.mark.parametrize("name", CASES)
def test_score(df: DataFrame, name: str, plan: str) -> None:
    case = CASES[name]
    model = str(HERE / case.model)
    scored = tfspark.score(df, model, case.inputs, ["id"], plan, signature=case.signature)
    check(scored.toArrow(), name)


@pytest.mark.parametrize("name", CASES)
def test_sql(df: DataFrame, name: str) -> None:
    check(sql(df, CASES[name]).toArrow(), name)


def test_on_two_executors(cluster: str, scala: Any, tmp_path: Path) -> None:
    """All models in all plans, in one application."""
    (tmp_path / "cache").mkdir(mode=0o700)
    command = [sys.executable, "-m", "tests.old.on_cluster", cluster, classpath(), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAVACPP_CACHE": str(NATIVES)}
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=400
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert ran.stdout.split()[-1] == "2"
    for name in CASES:
        found = pq.read_table(tmp_path / name)
        for plan in plans_of(name):
            check(found.filter(pc.field("plan") == plan), name)
