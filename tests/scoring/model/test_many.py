"""Several models in one pass: side by side, and one a segment."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import saved_models as models
from tests.sizes import size
from tfspark import Segments
from tfspark.errors import ConfigError, ModelFailed, SignatureError, StorageError
from tfspark.registry.resolve import resolve_model
from tfspark.registry.signature import Signature
from tfspark.scoring.kinds.model import ABOUT
from tfspark.scoring.kinds.resolve import from_json, resolve
from tfspark.scoring.worker.many import SegmentScorer, SideBySideScorer
from tfspark.tensors import TensorSpec

PLANS = size(("scan", "arrow"), soak=("scan", "arrow", "pandas"))
ROWS = [("DE", 1.0), ("FR", 4.0), (None, 9.0), ("DE", 16.0), ("XX", -25.0), ("FR", -1.0)]


def times(folder: Path, factor: float, output: str = "root") -> str:
    """x float32 -> x times a factor."""
    spec = [tf.TensorSpec([None], tf.float32, name="x")]
    return models.save(folder, spec, lambda x: {output: x * factor})


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    folder = str(tmp_path_factory.mktemp("many") / "rows")
    rows = [(i, country, x) for i, (country, x) in enumerate(ROWS)]
    df = spark.createDataFrame(rows, "id int, country string, x double").coalesce(1)
    df.write.parquet(folder)
    return spark.read.parquet(folder)


def rows_of(df: DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in df.orderBy("id").collect()]


@pytest.mark.parametrize("plan", PLANS)
def test_side_by_side(table: DataFrame, tmp_path: Path, plan: str) -> None:
    both = {"champion": models.picky(tmp_path / "a"), "challenger": times(tmp_path / "b", 2.0)}
    scored = tfspark.score(table, both, keep=["id"], plan=plan)
    assert scored.dtypes == [
        ("id", "int"), ("champion_root", "float"), ("challenger_root", "float"),
        ("champion_error", "string"), ("challenger_error", "string"),
    ]  # fmt: skip
    rows = rows_of(scored)
    assert rows[:4] == [(0, 1, 2, None, None), (1, 2, 8, None, None), (2, 3, 18, None, None),
                        (3, 4, 32, None, None)]  # fmt: skip
    # What one model cannot do does not take the other's score.
    assert rows[4][:3] == (4, None, -50.0)
    assert "negative x" in rows[4][3]
    assert rows[4][4] is None


@pytest.mark.parametrize("plan", PLANS)
def test_a_row_that_no_model_takes_is_bad(table: DataFrame, tmp_path: Path, plan: str) -> None:
    both = {"a": models.picky(tmp_path / "a"), "b": models.picky(tmp_path / "b")}
    with pytest.raises(Exception, match=r"a: the model failed: .*; b: the model failed: "):
        tfspark.score(table, both, keep=["id"], plan=plan).collect()
    nulls = rows_of(tfspark.score(table, both, keep=["id"], plan=plan, on_bad_row="null"))
    assert [row[1] for row in nulls] == [1, 2, 3, 4, None, None]


@pytest.mark.parametrize("plan", PLANS)
def test_by_segment(table: DataFrame, tmp_path: Path, plan: str) -> None:
    (tmp_path / "eu").mkdir()
    de, rest = times(tmp_path / "eu" / "7", 2.0), times(tmp_path / "rest", 3.0)
    chosen = Segments("country", {"DE": de, "FR": models.picky(tmp_path / "fr")}, rest)
    scored = tfspark.score(table, chosen, keep=["id"], plan=plan, on_bad_row="null")
    about = ["model_name", "model_version", "model_digest"]
    assert scored.columns == ["id", "root", *about]
    digests = {name: resolve_model(uri).digest for name, uri in (("eu", de), ("rest", rest))}
    rows = rows_of(scored)
    assert [row[1] for row in rows] == [2, 2, 27, 32, -75, None]
    assert [row[2] for row in rows] == ["eu", "fr", "rest", "eu", "rest", None]
    assert [row[3] for row in rows][:3] == ["7", "", ""]
    assert rows[0][4] == digests["eu"]
    assert rows[2][4] == digests["rest"]

    # Without a model for the rest they are bad rows.
    only = Segments("COUNTRY", {"DE": de})
    rows = rows_of(tfspark.score(table, only, keep=["id"], plan=plan, on_bad_row="null"))
    assert [row[1] for row in rows] == [2, None, None, 32, None, None]
    with pytest.raises(Exception, match="COUNTRY: no model for the segment (FR|XX|null)"):
        tfspark.score(table, only, keep=["id"], plan=plan).collect()


def test_segments_of_other_types(table: DataFrame, tmp_path: Path) -> None:
    one, two = times(tmp_path / "1", 1.0), times(tmp_path / "2", 2.0)
    day = dt.date(2026, 11, 20)
    kinds: list[tuple[str, dict[Any, str]]] = [
        ("id % 2", {0: one, 1: two}),
        ("id % 2 = 1", {False: one, True: two}),
        (f"date_add(DATE'{day}', id % 2)", {day: one, day + dt.timedelta(1): two}),
    ]
    for text, which in kinds:
        for plan in ("arrow", "pandas"):
            df = table.withColumn("s", F.expr(text))
            rows = rows_of(tfspark.score(df, Segments("s", which), keep=["id", "x"], plan=plan))
            assert [row[2] for row in rows] == [x * (1 + i % 2) for i, (_, x) in enumerate(ROWS)]


def test_as_functions(table: DataFrame, tmp_path: Path) -> None:
    spark = table.sparkSession
    both = {"a": times(tmp_path / "a", 2.0), "b": times(tmp_path / "b", 3.0)}
    function = tfspark.score_udf(spark, both)
    assert (function.inputs, function.outputs[:2]) == (["x"], ["a_root", "b_root"])
    (row,) = table.where("id = 1").select(function().alias("s")).select("s.*").collect()
    assert (row["a_root"], row["b_root"]) == (8.0, 12.0)
    parts = Segments("country", {"DE": both["a"]}, both["b"])
    function = tfspark.score_udf(spark, parts)
    assert function.inputs == ["country", "x"]
    rows = table.select("id", function().alias("s")).select("id", "s.root", "s.model_name")
    assert rows_of(rows)[:3] == [(0, 2.0, "a"), (1, 12.0, "b"), (2, 27.0, "b")]
    # A segment of numbers: its column is no input of a model, and need not fit one.
    function = tfspark.score_udf(spark, Segments("id", {1: both["a"]}, both["b"]))
    rows = table.select("id", function().alias("s")).select("id", "s.root", "s.model_name")
    assert rows_of(rows)[:3] == [(0, 3.0, "b"), (1, 8.0, "a"), (2, 27.0, "b")]


def test_what_is_refused(table: DataFrame, tmp_path: Path) -> None:
    one, other = times(tmp_path / "1", 1.0), times(tmp_path / "2", 2.0, "square")
    with pytest.raises(SignatureError, match=r"square float.* are not those of .*root float"):
        tfspark.score(table, Segments("country", {"DE": one, "FR": other}))
    with pytest.raises(SignatureError, match="segments: the table has no column land"):
        tfspark.score(table, Segments("land", {"DE": one}))
    with pytest.raises(SignatureError, match="the column x is double; it may be text"):
        tfspark.score(table, Segments("x", {"DE": one}))
    with pytest.raises(ConfigError, match=r"1\.5: a segment is text"):
        tfspark.score(table, Segments("country", {1.5: one}))
    with pytest.raises(ConfigError, match="one of them is there twice"):
        tfspark.score(table, Segments("country", {"1": one, 1: one}))
    with pytest.raises(ConfigError, match="give each of several models a name"):
        tfspark.score(table, {"": one})
    with pytest.raises(SignatureError, match="two outputs would have the name a_b_root"):
        tfspark.score(table, {"a": times(tmp_path / "3", 1.0, "b_root"), "a_b": one})
    with pytest.raises(SignatureError, match="has no input y; its inputs: x"):
        tfspark.score(table, {"a": one, "b": other}, inputs={"y": "x"})
    assert resolve(one).single() == resolve_model(one)


def test_what_a_model_is_called_in_a_table(tmp_path: Path) -> None:
    one, two = times(tmp_path / "m" / "3", 1.0), times(tmp_path / "n", 2.0)
    single = resolve(one)
    assert list(single.about().values())[:2] == ["m", "3"]
    both = resolve({"champion": one, "challenger": two})
    assert list(both.about()) == [
        f"{side}_model_{what}"
        for side in ("champion", "challenger")
        for what in ("name", "version", "digest")
    ]
    assert both.name == "champion: m, challenger: n"
    assert resolve(Segments("c", {"x": one}, two)).about() == {}
    for asked in (one, {"a": one, "b": two}, Segments("c", {"x": one}, two)):
        found = resolve(asked)
        again = resolve(from_json(found.pinned()))
        assert again == found


class Answers:
    """Stands for a scorer: a function of columns, or an error."""

    feeds = (type("One", (), {"columns": 1}),)
    signature = Signature({}, {"y": TensorSpec("float32")})

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, columns: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return [columns[0]], pa.nulls(len(columns[0]), pa.string())


def test_a_model_that_is_at_fault_keeps_the_others() -> None:
    """Its rows fail with its reason; but what is no model's fault ends the task."""
    hopeless = ModelFailed("model m: failed for each of the first 1000 rows, so it is not the rows")
    x = pa.array([1.0, 2.0], pa.float32())
    signature = Signature({}, {})
    sides = SideBySideScorer(("a", "b"), (Answers(None), Answers(hopeless)), signature)  # type: ignore[arg-type]
    outputs, reasons = sides([x, x])
    assert outputs[0].to_pylist() == [1.0, 2.0]
    assert outputs[1].null_count == reasons.null_count == 2
    assert "so it is not the rows" in outputs[3][0].as_py()
    abouts = (("a", "", "1"), ("b", "", "2"))
    named = {n: TensorSpec("string") for n in ABOUT}
    routed = SegmentScorer(
        "s", ("a", "b"), (0, 1), None, abouts,
        (Answers(None), Answers(hopeless)), Signature({}, {"y": TensorSpec("float32")} | named),
    )  # fmt: skip
    outputs, reasons = routed([pa.array(["b", "a"]), x, x])
    assert [o.to_pylist() for o in outputs] == [[None, 2.0], [None, "a"], [None, ""], [None, "1"]]
    assert [r is None for r in reasons.to_pylist()] == [False, True]
    full = SideBySideScorer(("a",), (Answers(StorageError("no space left")),), signature)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="no space left"):
        full([x])
