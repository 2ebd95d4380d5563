import datetime as dt
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from tfspark.config import Split
from tfspark.prepare.split import hash_column, place, split_column, split_of


def test_the_place_of_a_key_is_for_ever() -> None:
    # Written down once; a change would move rows between the splits of every user.
    assert [round(place([key], 0), 9) for key in (1, 2, 493, "a")] == json.loads(
        (Path(__file__).parent / "places.json").read_text()
    )
    assert place(["a", "b"], 0) != place(["ab"], 0)
    assert place([1], 0) != place([1], 1)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**31))
def test_a_place_is_in_zero_to_one(key: int, seed: int) -> None:
    assert 0 <= place([key], seed) < 1
    assert place([key], seed) == place([str(key)], seed)


def test_spark_and_python_agree(spark: Any) -> None:
    split = Split(seed=3, validation=0.2, test=0.3)
    rows = [(i, f"k{i}ü") for i in range(500)]
    df = spark.createDataFrame(rows, "id bigint, k string")
    placed = df.withColumn("h", hash_column(["id", "k"], split.seed)).withColumn(
        "split", split_column(F.col("h"), split)
    )
    found = {(r["id"], r["k"]): r["split"] for r in placed.collect()}
    assert found == {row: split_of(row, split) for row in rows}
    assert {"train", "validation", "test"} == set(found.values())


def test_more_rows_move_no_row() -> None:
    split = Split(validation=0.2, test=0.2)
    before = {i: split_of([i], split) for i in range(100)}
    assert before == {i: split_of([i], split) for i in range(1000) if i < 100}
    wider = Split(validation=0.2, test=0.3)
    assert all(
        split_of([i], wider) == "test" for i in range(1000) if split_of([i], split) == "test"
    )


def test_by_time(spark: Any) -> None:
    split = Split(
        by="time",
        column="at",
        validation_from=dt.date(2026, 2, 1),
        test_from=dt.date(2026, 3, 1),
    )
    days = [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 2, 28), dt.date(2026, 3, 1)]
    df = spark.createDataFrame([(day,) for day in days], "at date")
    found = df.select(split_column(F.lit(""), split)).collect()
    assert [row[0] for row in found] == ["train", "validation", "validation", "test"]
