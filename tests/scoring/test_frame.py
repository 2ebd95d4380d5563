"""`score` on DataFrames: the bare model's answers, every type, nulls, names, errors."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import saved_models as models
from tfspark.errors import ConfigError, ModelNotFound, SignatureError
from tfspark.registry.manifest import write_manifest
from tfspark.tensors import INT_NULL, TensorSpec

ROWS = 20_000


@pytest.fixture(params=["arrow", "pandas", "jvm"])
def plan(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """id and f0 to f3, in Parquet."""
    rows = np.random.default_rng(3).normal(size=(ROWS, 4)).astype("float32")
    columns = {"id": np.arange(ROWS), **{f"f{i}": rows[:, i] for i in range(4)}}
    folder = str(tmp_path_factory.mktemp("table") / "rows")
    spark.createDataFrame(pa.table(columns)).repartition(3).write.parquet(folder)
    return folder


def test_reloaded_through_spark_is_the_bare_model(
    spark: SparkSession, table: str, tmp_path: Path, plan: str
) -> None:
    folder = models.mlp(tmp_path / "m")
    df = spark.read.parquet(table)
    mapping = {"features": ["f0", "f1", "f2", "f3"]}
    scored = tfspark.score(df, folder, inputs=mapping, keep=["id"], plan=plan)
    assert scored.dtypes == [("id", "bigint"), ("score", "float")]
    result = scored.toArrow().sort_by("id")
    plain = df.toArrow().sort_by("id")
    rows = np.stack([plain[name] for name in mapping["features"]], axis=1)
    bare = tf.saved_model.load(folder).signatures["serving_default"](features=tf.constant(rows))
    assert result["id"].to_pylist() == list(range(ROWS))
    difference = np.abs(result["score"].to_numpy() - bare["score"].numpy()[:, 0])
    assert difference.max() <= 1e-6
    # A filter on a prediction does not make Spark score twice.
    steps = scored.where("score > 0.5")._jdf.queryExecution().executedPlan().toString()
    assert steps.count("Score " if plan == "jvm" else "ArrowEvalPython") == 1


TYPES = {
    "big": TensorSpec("int64", (), INT_NULL),
    "small": TensorSpec("int32"),
    "flag": TensorSpec("int64", (), INT_NULL),
    "real": TensorSpec("float32", (), math.nan),
    "exact": TensorSpec("float64", (), math.nan),
    "text": TensorSpec("string", (), ""),
    "day": TensorSpec("int64", (), INT_NULL),
    "at": TensorSpec("int64", (), INT_NULL),
    "local": TensorSpec("int64", (), INT_NULL),
    "pair": TensorSpec("float32", (2,), math.nan),
    "codes": TensorSpec("int64", (2,), -1),
    "words": TensorSpec("string", (2,), ""),
    "matrix": TensorSpec("int64", (2, 1), 0),
}
DDL = (
    "id int, big bigint, small smallint, flag boolean, real double, exact decimal(20,2), "
    "text string, day date, at timestamp, local timestamp_ntz, pair array<float>, "
    "codes array<int>, words array<string>, matrix array<array<bigint>>"
)


def test_every_type_and_its_nulls(spark: SparkSession, tmp_path: Path, plan: str) -> None:
    specs = [tf.TensorSpec([None, *s.shape], s.dtype, name=n) for n, s in TYPES.items()]
    names = list(TYPES)
    folder = models.save(
        tmp_path / "m", specs, lambda *x: {f"{n}_": v for n, v in zip(names, x, strict=True)}
    )
    write_manifest(folder, {"inputs": {n: s.to_json() for n, s in TYPES.items()}})
    late = dt.datetime(9999, 12, 31, 23, 59, 59, 999999)
    epoch = dt.datetime(1970, 1, 1)
    full = (
        1, 2**62 + 1, 7, True, 0.1, decimal.Decimal("12.25"), "ü", dt.date(1, 1, 1),
        late.replace(tzinfo=dt.UTC), late, [1.0, None], [3, None], ["a", None], [[1], [None]],
    )  # fmt: skip
    empty = (2, None, 7, *[None] * 11)
    df = spark.createDataFrame([full, empty], DDL)
    first, second = tfspark.score(df, folder, keep=["id"], plan=plan).orderBy("id").collect()
    micros = (late - epoch) // dt.timedelta(microseconds=1)
    assert plain(first) == {
        "id": 1, "big_": 2**62 + 1, "small_": 7, "flag_": 1, "real_": float(np.float32(0.1)),
        "exact_": 12.25, "text_": "ü", "day_": (dt.date(1, 1, 1) - epoch.date()).days,
        "at_": micros, "local_": micros, "pair_": [1.0, "NaN"], "codes_": [3, -1],
        "words_": ["a", ""], "matrix_": [[1], [0]],
    }  # fmt: skip
    assert plain(second) == {
        "id": 2, "big_": INT_NULL, "small_": 7, "flag_": INT_NULL, "real_": "NaN",
        "exact_": "NaN", "text_": "", "day_": INT_NULL, "at_": INT_NULL, "local_": INT_NULL,
        "pair_": ["NaN", "NaN"], "codes_": [-1, -1], "words_": ["", ""], "matrix_": [[0], [0]],
    }  # fmt: skip


def plain(row: Any) -> Any:
    """A row as a dict in which NaN equals NaN."""

    def value(x: Any) -> Any:
        if isinstance(x, list):
            return [value(inner) for inner in x]
        return "NaN" if isinstance(x, float) and math.isnan(x) else x

    return {name: value(x) for name, x in row.asDict().items()}


def test_mixed_inputs_and_several_outputs(spark: SparkSession, tmp_path: Path, plan: str) -> None:
    df = spark.createDataFrame(
        [(1, None, "f", 2, True), (2, 20.0, None, 0, False)],
        "id int, age float, sex string, siblings int, paid boolean",
    )
    scored = tfspark.score(df, models.mixed(tmp_path / "m"), plan=plan)
    assert scored.dtypes[5:] == [("label", "string"), ("p", "float"), ("parts", "array<float>")]
    rows = [row[5:] for row in scored.orderBy("id").collect()]
    assert rows[0] == ("f-2", pytest.approx(12.3), [30.0, 2.0])
    assert rows[1] == ("-0", pytest.approx(0.2), [20.0, 0.0])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((3, 1.0, "f", None, True), "siblings: null, and nothing stands for null"),
        ((3, 1e300, "f", 1, True), "age: outside the range of float32"),
    ],
)
def test_a_bad_row_fails_with_its_name(
    spark: SparkSession, tmp_path: Path, value: tuple[Any, ...], why: str, plan: str
) -> None:
    df = spark.createDataFrame(
        [(1, 2.0, "f", 2, True), value],
        "id int, age double, sex string, siblings int, paid boolean",
    )
    # A column that no JSON can show does not stand in the way of the message.
    df = df.withColumn("odd", F.create_map(F.struct("id"), "id")).withColumn("raw", F.lit(b"ab"))
    model = models.mixed(tmp_path / "m")
    scored = tfspark.score(df, model, keep=["id", "odd", "raw"], plan=plan)
    with pytest.raises(Exception, match="cannot be scored") as caught:
        scored.collect()
    assert 'row {"id":3,"raw":"<2 bytes>"}' in str(caught.value)
    assert why in str(caught.value)


def test_names_that_must_be_quoted(spark: SparkSession, tmp_path: Path, plan: str) -> None:
    names = ["a.b", "c`d", "e f", "g'h", 'i"j', "k;--", "l,m"]
    df = spark.createDataFrame([tuple(float(i) for i in range(7))], names)
    folder = models.quoted(tmp_path / "m")
    scored = tfspark.score(df, folder, inputs={"x": "c`d"}, keep=names, plan=plan)
    assert scored.columns == [*names, "a.b c", "it's", "out`put"]
    assert list(scored.collect()[0]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 3.0, 4.0, 2.0]
    mlp = models.mlp(tmp_path / "w")
    wide = tfspark.score(df, mlp, {"features": names[:4]}, keep=["k;--"], plan=plan)
    assert wide.count() == 1
    # Nothing stands for null here: the rule's expression quotes the names too.
    ints = df.select(F.col("`a.b`").cast("bigint").alias("x`.y"), F.lit(1).alias("z"))
    echo = models.save(
        tmp_path / "e", [tf.TensorSpec([None], tf.int64, name="v")], lambda v: {"w": v}
    )
    assert tfspark.score(ints, echo, {"v": "x`.y"}, plan=plan).collect()[0]["w"] == 0


def test_what_is_refused_before_any_task_runs(spark: SparkSession, tmp_path: Path) -> None:
    df = spark.createDataFrame([(1, 1.0)], "id int, x float")
    folder = models.picky(tmp_path / "m")
    with pytest.raises(
        ConfigError,
        match="unknown plan 'fast'; use one of auto, scan, arrow, pandas, jvm",
    ):
        tfspark.score(df, folder, plan="fast")
    with pytest.raises(ModelNotFound, match="no such folder"):
        tfspark.score(df, str(tmp_path / "nope"))
    with pytest.raises(SignatureError, match="no column key in the table; there are: id, x"):
        tfspark.score(df, folder, keep=["key"])
    with pytest.raises(SignatureError, match=r"output root .* kept column Root"):
        tfspark.score(df.withColumn("Root", F.lit(1)), folder)
    with pytest.raises(SignatureError, match="two columns of one name: x"):
        tfspark.score(df.select("x", "x"), folder)
    assert tfspark.score(df, folder, keep=[]).columns == ["root"]
    assert tfspark.score(df, folder, keep=["ID"]).columns == ["id", "root"]


def test_nan_is_refused_and_null_is_ruled(spark: SparkSession, tmp_path: Path, plan: str) -> None:
    folder = models.picky(tmp_path / "m")
    rule = TensorSpec("float32", (), math.nan, refuse_nan=True)
    write_manifest(folder, {"inputs": {"x": rule.to_json()}})
    df = spark.createDataFrame([(1, 4.0), (2, math.nan), (3, None)], "id int, x float")
    scored = tfspark.score(df, folder, keep=["id"], plan=plan, on_bad_row="null")
    found = {row["id"]: row["root"] for row in scored.collect()}
    assert (found[1], found[2]) == (2.0, None)
    assert math.isnan(found[3])
    with pytest.raises(Exception, match="x: NaN, and this input refuses NaN"):
        tfspark.score(df, folder, keep=["id"], plan=plan).collect()
