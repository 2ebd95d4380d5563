"""`score_udf`: a model as a function of columns, in Python and in SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import models
from tfspark.errors import SignatureError


@pytest.fixture
def people(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [(1, None, "f", 2, True), (2, 20.0, None, 0, False)],
        "id int, age float, sex string, siblings int, paid boolean",
    )


def test_columns_by_name_by_position_by_keyword(people: DataFrame, tmp_path: Path) -> None:
    function = tfspark.score_udf(people.sparkSession, models.mixed(tmp_path / "m"))
    assert function.inputs == ["age", "paid", "sex", "siblings"]
    assert function.outputs == ["label", "p", "parts"]
    scored = people.select(function())
    assert scored.dtypes == [("scored", "struct<label:string,p:float,parts:array<float>>")]
    first, second = (row["scored"] for row in scored.collect())
    assert first.asDict() == {"label": "f-2", "p": pytest.approx(12.3), "parts": [30.0, 2.0]}
    assert second["label"] == "-0"
    free = people.select(function("age", F.lit(False), sex=F.upper("sex")).alias("s")).select("s.*")
    assert [row["label"] for row in free.collect()] == ["F-2", "-0"]
    assert [row["p"] for row in free.collect()] == [pytest.approx(2.3), pytest.approx(0.2)]


def test_a_list_of_columns_is_one_tensor(spark: SparkSession, tmp_path: Path) -> None:
    names = ["a.b", "c`d", "e f", "g'h"]
    df = spark.createDataFrame([(0.1, 0.2, 0.3, 0.4)], names)
    folder = models.mlp(tmp_path / "m")
    function = tfspark.score_udf(spark, folder)
    scored = df.select(function(names), function(features=[F.col("`a.b`"), *names[1:]]).alias("b"))
    assert scored.dtypes == [("score", "float"), ("b", "float")]
    (row,) = scored.collect()
    expected = tfspark.score(df, folder, {"features": names}, keep=[]).collect()[0]["score"]
    assert row["score"] == row["b"] == expected


def test_in_sql(people: DataFrame, tmp_path: Path) -> None:
    spark = people.sparkSession
    tfspark.score_udf(spark, models.mixed(tmp_path / "m")).register("tf_score")
    people.createOrReplaceTempView("people_of_test_udf")
    rows = spark.sql(
        "SELECT id, s.label FROM "
        "(SELECT id, tf_score(age, paid, sex, siblings) AS s FROM people_of_test_udf) ORDER BY id"
    ).collect()
    assert [tuple(row) for row in rows] == [(1, "f-2"), (2, "-0")]


def test_dates_and_decimals_bring_their_types(spark: SparkSession, tmp_path: Path) -> None:
    import tensorflow as tf

    spec = [
        tf.TensorSpec([None], tf.int64, name="day"),
        tf.TensorSpec([None], tf.float64, name="x"),
    ]
    folder = models.save(tmp_path / "m", spec, lambda day, x: {"d": day, "y": x})
    df = spark.sql("SELECT DATE'9999-12-31' AS day, CAST(1.25 AS DECIMAL(10,2)) AS x")
    (row,) = df.select(tfspark.score_udf(spark, folder)().alias("r")).collect()
    assert row["r"].asDict() == {"d": 2932896, "y": 1.25}


def test_a_bad_row_fails_with_its_values(people: DataFrame, tmp_path: Path) -> None:
    function = tfspark.score_udf(people.sparkSession, models.mixed(tmp_path / "m"))
    bad = people.where("id = 1").select(function(siblings=F.lit(None).cast("int")))
    with pytest.raises(Exception, match="siblings: null") as caught:
        bad.collect()
    assert "its values: None, True, f, None" in str(caught.value)


def test_wrong_uses(people: DataFrame, tmp_path: Path) -> None:
    function = tfspark.score_udf(people.sparkSession, models.mixed(tmp_path / "m"))
    with pytest.raises(SignatureError, match="5 columns for 4 inputs: age, paid, sex, siblings"):
        function("age", "paid", "sex", "siblings", "id")
    with pytest.raises(SignatureError, match="height is no input"):
        function(height="age")
    with pytest.raises(SignatureError, match="age is given twice"):
        function("age", age="age")
