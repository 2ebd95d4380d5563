"""Scoring fits the model: constants, inputs that may be left out, own order, own names, bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

import tfspark
from tests import saved_models as models
from tests.old.make import HERE
from tfspark.errors import ConfigError, SignatureError
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.kinds.resolve import resolve
from tfspark.scoring.model.binding import bind

Spec = tf.TensorSpec
SEVEN, W = tf.constant([7.0]), tf.constant("w")
XY = T.StructType().add("z", T.FloatType()).add("a", T.FloatType())


def tuned(folder: Path) -> str:
    """z, a, bonus [n], rate, word [] → y = z·rate - a + bonus; bonus and word may be left out."""
    module = tf.Module()
    named = {"z": [None], "rate": [], "a": [None], "bonus": [None], "word": []}
    kinds = {"word": tf.string}
    specs = [Spec(s, kinds.get(n, tf.float32), name=n) for n, s in named.items()]

    @tf.function(input_signature=specs)
    def serve(z, rate, a, bonus=SEVEN, word=W):  # type: ignore[no-untyped-def]
        return {"y": z * rate - a + bonus, "word": tf.fill(tf.shape(z), word)}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures=serve)
    return str(folder)


def test_the_order_is_the_function_s_own(tmp_path: Path) -> None:
    import keras

    signature = resolve_model(tuned(tmp_path / "m")).signature
    assert list(signature.inputs) == ["z", "rate", "a", "bonus", "word"]
    assert signature.whole == ("rate", "word")
    assert signature.defaults == {"bonus": 7.0, "word": b"w"}
    named = [keras.Input([1], name=name) for name in ("zeta", "mid", "alpha")]
    model = keras.Model(named, keras.layers.Add()(named))
    model.export(tmp_path / "keras", verbose=False)
    assert list(resolve_model(str(tmp_path / "keras")).signature.inputs) == ["zeta", "mid", "alpha"]
    module = tf.Module()
    module.serve = tf.function(lambda d: {"y": d["b"] - d["a"]})
    specs = {name: Spec([None], tf.float32, name=name) for name in ("b", "a")}
    concrete = module.serve.get_concrete_function(specs)
    tf.saved_model.save(module, str(tmp_path / "dict"), signatures=concrete)
    assert list(resolve_model(str(tmp_path / "dict")).signature.inputs) == ["a", "b"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        z, a = (tf.compat.v1.placeholder(tf.float32, [None], name=name) for name in ("z", "a"))
        tf.compat.v1.saved_model.simple_save(
            session, str(tmp_path / "one"), {"z": z, "a": a}, {"y": z - a}
        )
    assert list(resolve_model(str(tmp_path / "one")).signature.inputs) == ["z", "a"]


def test_what_feeds_an_input(tmp_path: Path) -> None:
    model = resolve_model(tuned(tmp_path / "m"))

    def bound(schema: T.StructType = XY, **inputs: Any) -> dict[str, Any]:
        found = bind(model, schema, inputs)
        return {b.name: b.columns[0] if b.columns else b.value for b in found}

    rate = {"rate": {"constant": 2}}
    left_out = {"bonus": 7.0, "word": b"w"}
    assert bound(**rate) == {"z": "z", "rate": 2.0, "a": "a", **left_out}
    wider = T.StructType([*XY, T.StructField("BONUS", T.FloatType())])
    assert bound(wider, **rate, word={"constant": "ü"}) == {
        "z": "z", "rate": 2.0, "a": "a", "bonus": "BONUS", "word": "ü".encode(),
    }  # fmt: skip
    for inputs, said in [
        ({}, "rate .float32. is one value for the whole batch.*give it a constant: inputs="),
        ({"rate": "z"}, "rate .float32. is one value for the whole batch"),
        ({"rate": {"value": 1}}, "a constant is written {'constant': 0.5}"),
        ({"rate": {"constant": "x"}}, "cannot take the constant 'x': string does not become"),
        ({"rate": {"constant": [1.0]}}, r"cannot take the constant \[1.0\]"),
        ({"rate": {"constant": 1e300}}, "outside the range of float32"),
        ({**rate, "z": {"constant": 1}, "a": {"constant": 1}}, "no column feeds it"),
    ]:
        with pytest.raises(SignatureError, match=said):
            bound(**inputs)
    assert resolve_model(str(HERE / "estimator")).signature.whole == ()


@pytest.fixture
def points(spark: SparkSession, tmp_path: Path) -> DataFrame:
    rows = spark.createDataFrame([(1.0, 0.5), (2.0, 1.0)], XY)
    rows.coalesce(1).write.parquet(str(tmp_path / "points"))
    return spark.read.parquet(str(tmp_path / "points"))


def test_scores(spark: SparkSession, points: DataFrame, tmp_path: Path) -> None:
    model, rate = tuned(tmp_path / "m"), {"rate": {"constant": 10.0}}
    expected = [(16.5, "w"), (26.0, "w")]
    for plan in ("scan", "arrow", "pandas"):
        outputs = {"y": "p", "word": "said"}
        scored = tfspark.score(points, model, rate, keep=[], plan=plan, outputs=outputs)
        assert scored.columns == ["said", "p"]
        assert sorted((row["p"], row["said"]) for row in scored.collect()) == expected, plan
    spark.conf.set("spark.tfspark.isolate", "always")  # the model in a child process
    try:
        scored = tfspark.score(points, model, rate, keep=[], outputs=outputs)
        assert sorted((row["p"], row["said"]) for row in scored.collect()) == expected
    finally:
        spark.conf.unset("spark.tfspark.isolate")
    assert "rate (float32, shape []) <- 10.0" in tfspark.explain(points, model, rate)

    # Of a function: by place, in the function's own order; a struct; what is left out.
    scored = tfspark.score_udf(spark, model, outputs={"y": "p"})
    calls = [
        scored("z", rate["rate"], "a"),
        scored("z", a="a", rate={"constant": 10}),
        scored(rate=rate["rate"], bonus={"constant": 7.0}),
    ]
    for call in calls:
        rows = points.select(call.alias("s")).select("s.*").collect()
        assert sorted((row["p"], row["word"]) for row in rows) == expected
    with pytest.raises(SignatureError, match="give it a constant"):
        scored("z", "z", "a")
    with pytest.raises(SignatureError, match="give it a constant"):
        scored.register("rated")

    optional = {"z": [None], "a": [None], "bonus": [None]}
    module = tf.Module()
    specs = [Spec(shape, tf.float32, name=name) for name, shape in optional.items()]
    module.serve = tf.function(lambda z, a, bonus=SEVEN: {"y": 10.0 * z - a + bonus}, specs)
    tf.saved_model.save(module, str(tmp_path / "n"), signatures=module.serve)
    simple = tfspark.score_udf(spark, str(tmp_path / "n"))
    simple.register("simple")
    points.createOrReplaceTempView("points_of_fits")
    rows = points.select(
        simple(F.struct("*")).alias("a"),
        simple(F.struct("a", F.col("z").alias("Z"))).alias("b"),
        simple("z", "a").alias("c"),
        F.expr("simple(z, a)").alias("d"),
        F.expr("simple(a => a, z => z, bonus => 7)").alias("e"),
        F.expr("simple(struct(*))").alias("f"),
    )
    assert sorted(map(tuple, rows.collect())) == [(16.5,) * 6, (26.0,) * 6]


def test_bytes_stay_bytes_and_names_are_free(
    spark: SparkSession, points: DataFrame, tmp_path: Path
) -> None:
    model = models.save(
        tmp_path / "m",
        [Spec([None], tf.float32, name="z")],
        lambda z: {"day": tf.io.decode_base64(tf.fill(tf.shape(z), "_wA")), "s": z, "S": -z},
    )
    names = {"day": {"name": "picture", "type": "binary"}, "S": "minus"}
    for plan in ("arrow", "pandas"):
        rows = tfspark.score(points, model, plan=plan, keep=["z"], outputs=names).collect()
        assert {row["picture"] for row in rows} == {b"\xff\0"}
        assert all(row["s"] == row["z"] == -row["minus"] for row in rows)
    target = str(tmp_path / "out")
    summary = tfspark.score_table(
        spark, str(tmp_path / "points"), model, target, "2026-11-20", outputs=names
    )
    assert (summary.plan, summary.scored) == ("scan", 2)
    row = spark.read.format("delta").load(target).where("s = 2").head()
    assert (row["picture"], row["minus"]) == (b"\xff\0", -2.0)

    # What is said where a name or a type cannot be.
    day = {"S": "minus"}
    for outputs, said in [
        (None, r"outputs S and s differ by their case alone.*outputs={'s': 'other_name'}"),
        ({"S": {"name": "t", "type": "text"}}, "name and type: binary"),
        ({"S": {"type": "binary"}}, "output S is float32; only text can be left as bytes"),
        ({"S": "s"}, "two outputs would have the name s"),
        ({"T": "t"}, "has no output T; its outputs: S, day, s"),
    ]:
        with pytest.raises(SignatureError, match=said):
            tfspark.score(points, model, outputs=outputs)
    with pytest.raises(ConfigError, match=r"day: the scored table has its own.*outputs={'day': "):
        tfspark.score_table(spark, points, model, target, "2026-11-20", outputs=day)
    both = resolve({"a": model, "b": model}, outputs=names).signature.outputs
    assert list(both)[:2] == ["a_minus", "a_picture"]


def test_what_is_no_frame_and_no_tensor(spark: SparkSession, tmp_path: Path) -> None:
    model = models.mlp(tmp_path / "m")
    for given, said in [
        (pd.DataFrame({"x": [1.0]}), r"not pandas.*DataFrame; give one of Spark's"),
        ("in/table", r"spark.read.parquet\('in/table'\), or score_table"),
        (spark.readStream.format("rate").load(), "no streaming DataFrame.*score_stream"),
    ]:
        with pytest.raises(ConfigError, match=said):
            tfspark.score(given, model)
        if not isinstance(given, str):
            with pytest.raises(ConfigError, match=said):
                tfspark.score_table(spark, given, model, str(tmp_path / "o"), "2026-11-20")
    vectors = spark.createDataFrame([(Vectors.dense([1.0] * 4),)], ["features"])
    with pytest.raises(SignatureError, match="vector_to_array"):
        tfspark.score(vectors, model)
    inside = spark.range(1).select(F.struct(F.array(F.lit(1.0)).alias("features")).alias("s"))
    with pytest.raises(SignatureError, match=r"column s has such a field: df.select\('s.\*'"):
        tfspark.score(inside, model)
    with pytest.raises(SignatureError, match=r"its fields as columns: df.select\('s.\*'"):
        tfspark.score(inside, model, {"features": "s"})


def test_a_null_list_is_one_null_whatever_its_neighbours(
    spark: SparkSession, tmp_path: Path
) -> None:
    model = models.save(
        tmp_path / "m",
        [Spec([None, None], tf.float32, name="f")],
        lambda f: {"n": tf.fill([tf.shape(f)[0]], tf.shape(f)[1]), "echo": f},
    )
    rows = [(0, [1.0, 2.0]), (1, [1.0, 2.0, 3.0]), (2, None), (3, [])]
    df = spark.createDataFrame(rows, "id int, f array<float>").coalesce(1)
    for plan in ("arrow", "pandas"):
        for some in (df, df.where("id = 2")):
            found = tfspark.score(some, model, keep=["id"], plan=plan).where("id = 2").head()
            assert (found["n"], str(found["echo"])) == (1, "[nan]"), plan
