"""A scored table and models whose outputs differ."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

import tfspark
from tests import saved_models as models
from tests.sizes import size
from tfspark.errors import StorageError


def model(folder: Path, *outputs: str) -> str:
    given = [tf.TensorSpec([None], tf.float32, name="x")]
    return models.save(folder, given, lambda x: {name: x + len(name) for name in outputs})


@pytest.mark.parametrize("plan", size(["scan"], soak=["scan", "pandas"]))
def test_a_newer_model_adds_a_column_and_an_older_one_goes_on(
    spark: SparkSession, tmp_path: Path, plan: str
) -> None:
    pq.write_table(pa.table({"id": [1, 2], "x": pa.array([1, 2], "f4")}), tmp_path / "in")
    old, new = model(tmp_path / "1", "a"), model(tmp_path / "2", "a", "bb")
    other = model(tmp_path / "3", "ccc")
    out = str(tmp_path / "out")

    def score(name: str, day: int, evolve: bool = False) -> None:
        given = (str(tmp_path / "in"), name, out, f"2026-11-0{day}")
        tfspark.score_table(spark, *given, keep=["id"], plan=plan, evolve=evolve)

    score(old, 1, evolve=True)
    with pytest.raises(StorageError, match=r"bb: not there in the table, float now\); .*--evolve"):
        score(new, 2)
    score(new, 2, evolve=True)
    score(old, 3)
    with pytest.raises(StorageError, match="a: float in the table, not there now; ccc: not there"):
        score(other, 4)
    score(other, 4, evolve=True)
    found = spark.read.format("delta").load(out).where("id = 1").orderBy("day")
    assert [tuple(row) for row in found.select("a", "bb", "ccc").collect()] == [
        (2.0, None, None),
        (2.0, 3.0, None),
        (2.0, None, None),
        (None, None, 4.0),
    ]
    score(old, 2)  # the day again, by the model from before
    again = spark.read.format("delta").load(out)
    assert again.where("day = '2026-11-02'").select("a", "bb").first() == (2.0, None)
    assert again.count() == 8
    odd = str(tmp_path / "a#b")  # which deltalake takes for a URI
    for name in (old, new):
        given = (str(tmp_path / "in"), name, odd, "2026-11-01")
        tfspark.score_table(spark, *given, keep=["id"], plan="pandas", evolve=True)
    assert "bb" in spark.read.format("delta").load(odd).columns
    text = models.save(
        tmp_path / "4", [tf.TensorSpec([None], tf.float32, name="x")], lambda x: {"a": x > 1}
    )
    with pytest.raises(StorageError, match="a: float in the table, boolean now"):
        score(text, 4, evolve=True)
