"""`score_udf`: a model as a function of columns, in Python and in SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import saved_models as models
from tfspark.errors import SignatureError


@pytest.fixture
def people(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [(1, None, "f", 2, True), (2, 20.0, None, 0, False)],
        "id int, age float, sex string, siblings int, paid boolean",
    )


def test_columns_by_name_by_position_by_keyword(people: DataFrame, tmp_path: Path) -> None:
    function = tfspark.score_udf(people.sparkSession, models.mixed(tmp_path / "m"))
    assert function.inputs == ["age", "sex", "siblings", "paid"]  # the function's own order
    assert function.outputs == ["label", "p", "parts"]
    scored = people.select(function())
    assert scored.dtypes == [("scored", "struct<label:string,p:float,parts:array<float>>")]
    first, second = (row["scored"] for row in scored.collect())
    assert first.asDict() == {"label": "f-2", "p": pytest.approx(12.3), "parts": [30.0, 2.0]}
    assert second["label"] == "-0"
    free = people.select(function("age", F.upper("sex"), paid=F.lit(False)).alias("s")).select(
        "s.*"
    )
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
        "(SELECT id, tf_score(age, sex, siblings, paid) AS s FROM people_of_test_udf) ORDER BY id"
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
    assert "its values: None, f, None, True" in str(caught.value)


def test_wrong_uses(people: DataFrame, tmp_path: Path) -> None:
    function = tfspark.score_udf(people.sparkSession, models.mixed(tmp_path / "m"))
    with pytest.raises(SignatureError, match="5 columns for 4 inputs: age, sex, siblings, paid"):
        function("age", "sex", "siblings", "paid", "id")
    with pytest.raises(SignatureError, match="height is no input"):
        function(height="age")
    with pytest.raises(SignatureError, match="age is given twice"):
        function("age", age="age")


def test_sql_on_tables(people: DataFrame, tmp_path: Path) -> None:
    """By position, by name, by a struct; with WHERE, GROUP BY and CREATE TABLE AS SELECT."""
    spark = people.sparkSession
    tfspark.score_udf(spark, models.mixed(tmp_path / "m")).register("tf_mixed")
    tfspark.score_udf(spark, models.picky(tmp_path / "p")).register("tf_root")
    folder = str(tmp_path / "people")
    people.write.format("delta").save(folder)
    by = f"FROM delta.`{folder}`"
    calls = [
        "tf_mixed(age, sex, siblings, paid)",
        "tf_mixed(siblings => siblings, Sex => sex, PAID => paid, age => age)",
        "tf_mixed(age, sex, siblings => siblings, paid => paid)",
        "tf_mixed(struct(*))",
        "tf_mixed(named_struct('sex', sex, 'AGE', age, 'siblings', siblings, 'paid', paid))",
    ]
    for call in calls:
        rows = spark.sql(f"SELECT id, s.label, s.p FROM (SELECT id, {call} AS s {by}) ORDER BY id")
        assert [row["label"] for row in rows.collect()] == ["f-2", "-0"], call
    # Two functions in one query, in a filter, in a group, over an aggregate.
    rows = spark.sql(
        f"SELECT id, tf_mixed(struct(*)).p AS p, tf_root(x => float(id * id)) AS r {by} "
        "WHERE tf_root(float(siblings)) > 1"
    ).collect()
    assert [(row["id"], row["r"]) for row in rows] == [(1, 1.0)]
    grouped = spark.sql(
        "SELECT tf_mixed(struct(*)).label AS label, count(*) AS n, max(tf_root(float(id))) AS r "
        f"{by} GROUP BY label ORDER BY label"
    ).collect()
    assert [(row["label"], row["n"], row["r"]) for row in grouped] == [
        ("-0", 1, pytest.approx(2**0.5)),
        ("f-2", 1, 1.0),
    ]
    (row,) = spark.sql(f"SELECT tf_root(float(sum(siblings) + 2)) AS r {by}").collect()
    assert row["r"] == 2.0
    target = str(tmp_path / "scored")
    spark.sql(
        f"CREATE TABLE delta.`{target}` USING delta AS SELECT id, tf_mixed(struct(*)) AS s {by}"
    )
    written = spark.sql(f"SELECT id, s.p FROM delta.`{target}` WHERE s.p > 1").collect()
    assert [(row["id"], row["p"]) for row in written] == [(1, pytest.approx(12.3))]


def test_sql_says_what_is_wrong(people: DataFrame, tmp_path: Path) -> None:
    spark = people.sparkSession
    tfspark.score_udf(spark, models.mixed(tmp_path / "m")).register("tf_wrong")
    people.createOrReplaceTempView("people_of_sql_errors")
    for call, said in [
        ("tf_wrong(age, sex, siblings, paid => paid, heigth => age)", "has no input heigth"),
        ("tf_wrong(age, sex, siblings)", "nothing is given for the input paid; give all of age"),
        ("tf_wrong(age, sex, siblings, paid, id)", "5 arguments for 4 inputs: age, sex, sib"),
        ("tf_wrong(age, sex, siblings, paid, age => age)", "the input age is given twice"),
        ("tf_wrong(sex, sex, siblings, paid)", "input age .float32, shape .*cannot take a column"),
        ("tf_wrong(struct(age, sex))", "nothing is given for the input siblings, paid"),
    ]:
        with pytest.raises(Exception, match=said):
            spark.sql(f"SELECT {call} FROM people_of_sql_errors").collect()


def test_bad_rows_as_null(people: DataFrame, tmp_path: Path) -> None:
    spark = people.sparkSession
    folder = models.picky(tmp_path / "m")
    tfspark.score_udf(spark, folder, on_bad_row="null").register("tf_or_null")
    rows = spark.sql("SELECT tf_or_null(float(id)) AS r FROM VALUES (4), (-1), (9) t(id)")
    assert [row["r"] for row in rows.collect()] == [2.0, None, 3.0]
    several = tfspark.score_udf(spark, models.mixed(tmp_path / "s"), on_bad_row="null")
    one = people.where("id = 1").select(several(siblings=F.lit(None).cast("int")).alias("s"))
    assert one.select("s.*").collect()[0] == (None, None, None)
