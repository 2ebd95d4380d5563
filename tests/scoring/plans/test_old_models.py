"""Models of TensorFlow 1 and Keras 2 (`tests/old`), in all plans: as a session of TensorFlow's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests.old.cases import CASES, rows
from tests.old.make import HERE

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


def check(scored: DataFrame, name: str) -> None:
    """A row for a row, each as the session's."""
    found = sorted(scored.collect(), key=lambda row: int(row["id"]))
    for output, values in wanted(name).items():
        got = [row[output] for row in found]
        assert len(got) == len(values), output
        if values.dtype == object:
            assert got == [v.item().decode() if np.ndim(v) else v.decode() for v in values]
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
    check(tfspark.score(df, model, case.inputs, ["id"], plan, signature=case.signature), name)


@pytest.mark.parametrize("name", CASES)
def test_sql(spark: SparkSession, df: DataFrame, name: str) -> None:
    case = CASES[name]
    df.createOrReplaceTempView("old")
    made = tfspark.score_udf(spark, str(HERE / case.model), signature=case.signature)
    made.register("old_score")
    given = ", ".join(case.arguments())
    outputs = sorted(wanted(name))
    if len(outputs) > 1:
        scored = ", ".join(f"scored.{output}" for output in outputs)
        asked = f"SELECT id, {scored} FROM (SELECT id, old_score({given}) AS scored FROM old)"
    else:
        asked = f"SELECT id, old_score({given}) AS {outputs[0]} FROM old"
    check(spark.sql(asked), name)
