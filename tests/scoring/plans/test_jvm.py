"""The plan `jvm`: what it refuses, its settings, its errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests import saved_models as models
from tests.conftest import ROOT
from tfspark.errors import ConfigError, IntegrityError, StorageError, TfsparkError
from tfspark.registry.manifest import write_manifest
from tfspark.scoring.kinds.bound import BoundModel
from tfspark.scoring.kinds.resolve import resolve
from tfspark.scoring.plans.jvm import Jvm

BARE = """
import sys
import tfspark
spark = tfspark.spark_session("bare", **{"spark.master": "local[1]"})
try:
    tfspark.score(spark.range(1).selectExpr("float(id) AS x"), sys.argv[1], plan="jvm")
except tfspark.errors.ConfigError as error:
    print(error)
"""


@pytest.fixture
def picky(tmp_path: Path) -> str:
    return models.picky(tmp_path / "m")


@pytest.fixture
def df(spark: SparkSession) -> DataFrame:
    return spark.range(20).selectExpr("id", "float(id) AS x")


def test_without_the_jars_it_says_what_to_do(picky: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BARE, picky], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "plan 'jvm': the Scala module is not on the classpath" in ran.stdout
    assert "--jars (make package builds them" in ran.stdout


def test_several_models_are_refused(df: DataFrame, picky: str, tmp_path: Path) -> None:
    several = {"a": picky, "b": picky}
    said = "plan 'jvm' takes one model, not several: use plan 'auto'"
    asked: list[Callable[[], object]] = [
        lambda: tfspark.score(df, several, plan="jvm"),
        lambda: tfspark.score(df, tfspark.Segments("id", {1: picky}), plan="jvm"),
        lambda: tfspark.explain(df, several, plan="jvm"),
        lambda: tfspark.score_table(
            df.sparkSession, df, several, str(tmp_path / "out"), "2026-11-20", plan="jvm"
        ),
    ]
    for ask in asked:
        with pytest.raises(ConfigError, match=said):
            ask()
    assert not (tmp_path / "out").exists()


def test_names_of_outputs_and_what_it_cannot_give(
    df: DataFrame, picky: str, tmp_path: Path
) -> None:
    spark, names = df.sparkSession, {"root": "r"}
    scored = tfspark.score(df.where("id = 16"), picky, plan="jvm", outputs=names).head()
    assert scored.asDict() == {"id": 16, "x": 16.0, "r": 4.0}
    target = str(tmp_path / "out")
    asked = {"keep": ["id"], "plan": "jvm", "outputs": names}
    assert tfspark.score_table(spark, df, picky, target, "2026-11-20", **asked).scored == 20
    row = spark.read.format("delta").load(target).where("id = 9").head()
    assert row["r"] == 3.0
    text = models.save(
        tmp_path / "t",
        [tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([], tf.float32, name="rate")],
        lambda x, rate: {"y": tf.strings.as_string(x * rate)},
    )
    inputs = {"rate": {"constant": 2.0}}
    with pytest.raises(ConfigError, match="the input rate is a constant: use plan"):
        tfspark.score(df, text, inputs, plan="jvm").collect()
    with pytest.raises(ConfigError, match="gives the output y as text, not as bytes"):
        tfspark.score(df, text, inputs, plan="jvm", outputs={"y": {"type": "binary"}})


@pytest.mark.parametrize(
    ("name", "value"),
    [("threads", "0"), ("threads", "two"), ("batchRows", "-1"), ("batchBytes", "1 MB"),
     ("batchBytes", "inf"), ("batchRows", "nan")],
)  # fmt: skip
def test_settings_are_checked_in_the_same_words(
    df: DataFrame, picky: str, name: str, value: str
) -> None:
    setting = f"spark.tfspark.{name}"
    df.sparkSession.conf.set(setting, value)
    said = []
    try:
        for plan in ("arrow", "jvm"):
            with pytest.raises(ConfigError) as caught:
                tfspark.score(df, picky, plan=plan)
            said.append(str(caught.value))
    finally:
        df.sparkSession.conf.unset(setting)
    assert said[0] == said[1]
    assert setting in said[0]


def test_a_wall_that_is_asked_for_is_refused_at_once(df: DataFrame, picky: str) -> None:
    df.sparkSession.conf.set("spark.tfspark.wall", "always")
    try:
        said = "there is no wall around models in Spark's own process; set it to auto, or use plan"
        with pytest.raises(ConfigError, match=said):
            tfspark.score(df, picky, plan="jvm")
    finally:
        df.sparkSession.conf.unset("spark.tfspark.wall")


def test_the_rows_of_a_batch_are_a_setting(spark: SparkSession, tmp_path: Path) -> None:
    import tensorflow as tf

    sizes = models.save(
        tmp_path / "sizes",
        [tf.TensorSpec([None], tf.float32, name="x")],
        lambda x: {"rows": tf.zeros_like(x) + tf.cast(tf.size(x), tf.float32)},
    )
    df = spark.range(100, numPartitions=1).selectExpr("float(id) AS x")

    def largest() -> float:
        return float(max(row["rows"] for row in tfspark.score(df, sizes, plan="jvm").collect()))

    assert largest() == 100
    for name, value, expected in [("batchRows", "7", 7), ("batchBytes", "40", 10)]:
        spark.conf.set(f"spark.tfspark.{name}", value)
        try:
            assert largest() == expected
        finally:
            spark.conf.unset(f"spark.tfspark.{name}")


def test_explain_claims_neither_deadline_nor_isolation(df: DataFrame, picky: str) -> None:
    said = tfspark.explain(df, picky, plan="jvm")
    assert said.startswith("plan      jvm: asked for\n")
    assert said.endswith("settings  threads 1, batch_bytes 33554432, batch_rows None\n")
    assert tfspark.explain(df, picky).startswith("plan      arrow: ")


def test_what_changed_meanwhile_is_the_same_error(df: DataFrame, picky: str) -> None:
    write_manifest(picky, {"inputs": {}})
    bound = BoundModel(resolve(picky), (), ("id",))
    Jvm().check(df.sparkSession, bound.model)
    with (Path(picky) / "saved_model.pb").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError) as python:
        resolve(picky)
    with pytest.raises(TfsparkError) as ours:
        Jvm().results(df, bound, ["id"])
    assert type(ours.value) is type(python.value)
    assert str(ours.value) == str(python.value)


def test_a_model_that_fails_for_all_rows_is_blamed(
    spark: SparkSession, picky: str, tmp_path: Path
) -> None:
    negative = spark.range(3000).selectExpr("id", "float(-id - 1) AS x")
    target = str(tmp_path / "out")
    with pytest.raises(StorageError, match=r"each of the first 100\d rows") as caught:
        tfspark.score_table(spark, negative, picky, target, "2026-11-20", plan="jvm")
    assert str(caught.value).startswith(f"scoring the DataFrame with {picky} failed: model {picky}")
    assert str(caught.value).endswith(f"{target} is unchanged")
    assert not Path(target).exists()
