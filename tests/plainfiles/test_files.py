"""The plan `scan` of `score`: which DataFrames are plain files, and that their rows are Spark's."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tfspark
from tests import saved_models as models
from tfspark.errors import ConfigError
from tfspark.plainfiles.batches import batches
from tfspark.plainfiles.files import NotPlain, Plain, PlainFile, plain
from tfspark.plainfiles.rising import rising
from tfspark.rowgroups import footers

DDL = (
    "id bigint, x double, f float, s string, d date, at timestamp, local timestamp_ntz, "
    "exact decimal(10,2), b boolean, tiny tinyint, n int, part int"
)
NAN, LONG = math.nan, pa.int64()
TEXTS = ["", "a", "B", "ü", "z", "a b", None]
NUMBERS = [0.0, -0.0, 1.5, -1.5, NAN, math.inf, -math.inf, None]


def row(i: int) -> tuple[Any, ...]:
    at = dt.datetime(1960 + i, 1, 2, 3, 4, 5, 678901)
    number = NUMBERS[i % len(NUMBERS)]
    return (
        i, number, number, TEXTS[i % len(TEXTS)], dt.date(1960 + i, 1, 1) if i % 5 else None,
        at.replace(tzinfo=dt.UTC), at, Decimal("-1.25") * i, None if i % 3 else i % 2 == 0,
        i, i if i % 4 else None, i % 3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataFrame]:
    """The same 60 rows: Parquet, Parquet by folders, Delta by folders."""
    folder = tmp_path_factory.mktemp("plain table's")
    rows = spark.createDataFrame([row(i) for i in range(60)], DDL).coalesce(2)
    rows.write.parquet(f"{folder}/flat")
    rows.write.partitionBy("part").parquet(f"{folder}/by")
    rows.write.format("delta").partitionBy("part", "d").save(f"{folder}/delta")
    return {
        "flat": spark.read.parquet(f"{folder}/flat"),
        "by": spark.read.parquet(f"{folder}/by"),
        "delta": spark.read.format("delta").load(f"{folder}/delta"),
    }


def by_scan(df: DataFrame, names: list[str] | None = None) -> list[str]:
    """The rows that tasks of the scan would read, as texts, sorted."""
    found = plain(df, names or df.columns)
    shares = found.shares(df.sparkSession)
    batches = [batch for share in shares for batch in found.bare().batches(share)]
    return sorted(str(r) for r in pa.Table.from_batches(batches, found.columns).to_pylist())


def by_spark(df: DataFrame) -> list[str]:
    return sorted(str(r) for r in df.toArrow().to_pylist())


LIKE = "s LIKE 'a%' OR id >= 0"
FILTERS = [
    "x = 0.0", "x = double('NaN')", "x > 1", "x >= double('NaN')", "x < double('NaN')",
    "x <= double('NaN')", "x > double('NaN')", "NOT x < 0", "x IN (1.5, double('NaN'))",
    "x IN (-0.0, null)", "f > 0.5", "f = float('NaN')", "f < 1.5 OR id = 4", "f IS NOT NULL",
    "s > 'a'", "s <= 'B'", "s IN ('ü', 'z')", "NOT s IN ('ü', null)", "s IS NULL", "s = ''",
    "d < '1990-01-01'", "d IS NULL", "at >= '1970-01-01 00:00:00Z'", "local <> '1971-01-01'",
    "exact < -3", "exact = -2.50", "b", "NOT b", "b = true AND id < 30", "b IS NULL", "tiny > 7",
    "tiny IN (1, 2)", "n + 0 > 3 OR true", "n IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14)",
    "id BETWEEN 5 AND 9", "7 < id", "id > 7 AND (n IS NULL OR n >= 9)", "part = 1", "part > 0",
    "part = 2 AND x > 0 AND d > '1970-01-01'", "id > 1000", LIKE,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["flat", "delta"])
def test_filters_are_sparks(tables: dict[str, DataFrame], kind: str) -> None:
    """Whatever is taken as plain gives Spark's rows; and most of these are taken."""
    refused = []
    few = [c for i, c in enumerate(FILTERS) if i % 5 == 0 or "part" in c or "d " in c]
    for condition in FILTERS if kind == "flat" else [*few, LIKE]:
        df = tables[kind].where(condition)
        try:
            found = by_scan(df)
        except NotPlain as reason:
            refused.append((condition, str(reason)))
            continue
        assert found == by_spark(df), condition
    # Spark itself knows that no row passes the two others.
    assert {c for c, _ in refused} <= {LIKE, "NOT s IN ('ü', null)", "id > 1000"}, refused
    assert LIKE in dict(refused)


def test_columns_are_chosen_and_renamed(tables: dict[str, DataFrame]) -> None:
    by = tables["by"]
    renamed = by.select(F.col("x").alias("a.b"), "part", F.col("part").alias("p2"), F.col("id"))
    cases = [
        tables["flat"], by, tables["delta"], renamed, renamed.where("p2 = 1").drop("part"),
        by.where("part + 1 = 2").select("id"), by.withColumnRenamed("id", "x y").where("`x y` < 9"),
    ]  # fmt: skip
    for df in cases:
        assert by_scan(df) == by_spark(df)
    assert by_scan(by, ["s", "part"]) == by_spark(by.select("s", "part"))
    # Some columns of a whole that is known, by name; those of folders alone come with the others.
    few = plain(by.where("id > 7 AND part = 1"), by.columns).only(["part", "s"])
    assert sorted(few.read.names) == ["id", "s"]
    found = [b for share in few.shares(by.sparkSession) for b in few.bare().batches(share, True)]
    told = sorted(str(r) for b in found for r in b.to_pylist())
    assert told == by_spark(by.where("id > 7 AND part = 1").select("part", "s"))
    assert plain(by, by.columns).only(["part"]).columns.names == by.columns
    spark = by.sparkSession
    by.createOrReplaceTempView("plain_view")
    view = spark.sql("SELECT id AS k, s FROM plain_view WHERE part = 1 AND id > 3")
    assert by_scan(view) == by_spark(view)
    # Files that Spark skips are not read; neither are row groups, by their footers.
    assert len(plain(by.where("part = 1"), ["id"]).files) < len(plain(by, ["id"]).files)


def test_row_groups_are_skipped(spark: SparkSession, tmp_path: Path) -> None:
    ids = np.arange(1000)
    table = pa.table({"id": ids, "s": [f"{i:04d}" for i in ids], "x": ids / 7})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    df = spark.read.parquet(str(tmp_path))
    for condition, groups in [
        ("id < 150", 2), ("id = 555", 1), ("id IN (5, 995)", 2), ("s >= '0900'", 1),
        ("id > 850 AND s < '0950'", 2), ("id < 5 OR x < 0", 10), ("NOT id < 990", 1),
    ]:  # fmt: skip
        found = plain(df.where(condition), ["id", "x"])
        assert (len(found.groups), found.skipped) == (groups, 10 - groups), condition
        assert by_scan(df.where(condition)) == by_spark(df.where(condition))


REFUSED: dict[str, Callable[[DataFrame], DataFrame]] = {
    "Join": lambda df: df.join(df.select("id"), "id"),
    "Aggregate": lambda df: df.groupBy("id").agg(F.max("x").alias("x")),
    "Limit": lambda df: df.limit(3),
    "computed": lambda df: df.withColumn("x", F.col("x") * 2),
    "no simple one": lambda df: df.where("length(s) > 1"),
    "InMemoryTableScanExec": lambda df: df.select("id", "x").cache(),
    "LogicalRDD": lambda df: df.sparkSession.createDataFrame([(1, 2.0)], "id int, x double"),
    "_metadata is read": lambda df: df.select("*", "_metadata.file_name"),
}


@pytest.mark.parametrize("why", list(REFUSED))
def test_what_is_not_plain(tables: dict[str, DataFrame], why: str) -> None:
    df = REFUSED[why](tables["flat"])
    with pytest.raises(NotPlain, match=why):
        plain(df, df.columns)
    df.unpersist()


def test_tables_that_only_spark_reads(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(20).selectExpr("id", "id * 1.0D AS x").coalesce(1)
    deleted, mapped, csv = (str(tmp_path / name) for name in ("dv", "mapped", "csv"))
    writer = rows.write.format("delta")
    writer.option("delta.enableDeletionVectors", "true").save(deleted)
    df = spark.read.format("delta").load(deleted)
    assert len(by_scan(df)) == 20
    spark.sql(f"DELETE FROM delta.`{deleted}` WHERE id = 3")
    with pytest.raises(NotPlain, match="deletion vectors"):
        plain(spark.read.format("delta").load(deleted), ["id"])
    rows.write.format("delta").option("delta.columnMapping.mode", "name").save(mapped)
    with pytest.raises(NotPlain, match="column mapping"):
        plain(spark.read.format("delta").load(mapped), ["id"])
    rows.write.csv(csv)
    with pytest.raises(NotPlain, match="its files are CSV"):
        plain(spark.read.schema("id bigint, x double").csv(csv), ["id"])
    rows.write.parquet(str(tmp_path / "p"))
    odd = spark.read.option("ignoreCorruptFiles", "true").parquet(str(tmp_path / "p"))
    with pytest.raises(NotPlain, match="option ignorecorruptfiles"):
        plain(odd, ["id"])
    narrow = spark.read.schema("id int, x double").parquet(str(tmp_path / "p"))
    with pytest.raises(NotPlain, match="only Spark knows"):
        plain(narrow, ["id"])


def test_scores_are_those_of_the_arrow_plan(
    tables: dict[str, DataFrame], spark: SparkSession, tmp_path: Path
) -> None:
    model = models.mixed(tmp_path / "m")
    inputs = {"age": "x", "sex": "s", "siblings": "k", "paid": "b"}
    for kind in ("by", "delta"):
        df = tables[kind].withColumnRenamed("id", "k").where("part > 0 AND b IS NOT NULL")
        keep = ["k", "part", "d", "at", "local", "exact", "tiny", "s"]
        scored = tfspark.score(df, model, inputs, keep, "auto")
        assert "MapInArrow" in scored._jdf.queryExecution().executedPlan().toString()
        expected = tfspark.score(df, model, inputs, keep, "arrow")
        assert scored.schema.simpleString() == expected.schema.simpleString()
        assert by_spark(scored) == by_spark(expected)
    flat = tables["flat"]
    none = tfspark.score(flat.where("id < 0"), model, inputs | {"siblings": "id"}, ["id"], "scan")
    assert none.count() == 0


def test_bad_rows(tables: dict[str, DataFrame], tmp_path: Path) -> None:
    model = models.mixed(tmp_path / "m")
    inputs = {"age": "x", "sex": "s", "siblings": "n", "paid": "b"}
    df = tables["flat"].where("b IS NOT NULL")
    bad = df.where("n IS NULL").count()
    for plan in ("scan", "arrow", "pandas"):
        nulls = tfspark.score(df, model, inputs, ["id", "n"], plan, on_bad_row="null")
        rows = nulls.collect()
        assert len(rows) == df.count()
        assert sum(r["p"] is None and r["label"] is None and r["n"] is None for r in rows) == bad
        failing = tfspark.score(df.where("id = 12"), model, inputs, ["id", "s"], plan)
        with pytest.raises(Exception, match="cannot be scored") as caught:
            failing.collect()
        assert 'row {"id":12,"s":"a b"} cannot be scored: siblings: null' in str(caught.value)
        assert "on_bad_row='null'" in str(caught.value)
    with pytest.raises(ConfigError, match="on_bad_row 'skip': there is no such choice; fail, null"):
        tfspark.score(df, model, inputs, ["id"], on_bad_row="skip")


def test_files_that_change_are_noticed(spark: SparkSession, tmp_path: Path) -> None:
    folder, model = tmp_path / "rows", models.picky(tmp_path / "m")
    spark.range(9).selectExpr("id", "float(id) AS x").coalesce(1).write.parquet(str(folder))
    scored = tfspark.score(spark.read.parquet(str(folder)), model, plan="scan")
    (file,) = folder.glob("*.parquet")
    old = pq.read_table(file)
    assert scored.count() == 9
    pq.write_table(old.slice(0, 8), file)
    with pytest.raises(Exception, match="was changed or removed since the DataFrame was made"):
        scored.collect()
    file.unlink()
    with pytest.raises(Exception, match="was changed or removed since the DataFrame was made"):
        scored.collect()


def test_explain(tables: dict[str, DataFrame], tmp_path: Path) -> None:
    model = models.picky(tmp_path / "m")
    df = tables["by"].where("part = 1 AND id > 30").select("id", F.col("f").alias("x"), "part")
    said = tfspark.explain(df, model, keep=["id", "part"])
    assert "plan      scan: the DataFrame is plain files" in said
    assert f"model     m, {model}, digest " in said
    assert "input     x (float32, shape []) <- x" in said
    assert "reads     id, f, part (of the folder)" in said
    assert "row groups" in said
    assert "filter    (id IS NOT NULL AND id > 30)" in said
    assert "settings  threads 1, batch_bytes " in said
    joined = tfspark.explain(df.join(df.select("id"), "id"), model)
    assert "plan      arrow: no scan: it is not only read but also made by a step" in joined
    with pytest.raises(ConfigError, match="plan 'scan' does not apply to the DataFrame: .*Join"):
        tfspark.explain(df.join(df.select("id"), "id"), model, plan="scan")


def test_text_comes_as_its_file_has_it(tmp_path: Path) -> None:
    """As a dictionary where the file's words are few; its values are the same."""
    path = str(tmp_path / "a.parquet")
    count = 5_000
    rows = pa.table(
        {
            "few": pa.array(["ü", None, "", "b"] * (count // 4)),
            "many": pa.array([f"text {i}" for i in range(count)]),
            "large": pa.array(["a", "b"] * (count // 2), pa.large_string()),
            "n": pa.array(range(count)),
        }
    )
    pq.write_table(rows, path, row_group_size=1_500)
    groups = [group for footer in footers([path]) for group in footer.groups]
    schema = pa.schema([(n, pa.string() if n == "large" else rows.schema.field(n).type)
                        for n in rows.column_names])  # fmt: skip
    plain = list(batches(groups, schema))
    coded = list(batches(groups, schema, {"few", "many", "large", "n"}))
    assert {batch.schema.field("few").type for batch in coded} == {
        pa.dictionary(pa.int32(), pa.string())
    }
    assert coded[0].schema.remove(0) == schema.remove(0)
    said = [row for batch in coded for row in batch.to_pylist()]
    assert said == [row for batch in plain for row in batch.to_pylist()] == rows.to_pylist()
    assert all(batch.schema == schema for batch in batches(groups, schema, {"n", "other"}))


def test_files_in_the_order_of_a_column(tmp_path: Path) -> None:
    """Where no two row groups overlap in it, and each file's own rise."""

    def found(*files: list[int | None], kind: pa.DataType = LONG) -> list[str] | None:
        paths = []
        for number, values in enumerate(files):
            paths.append(str(tmp_path / f"{number}.parquet"))
            rows = pa.table({"n": pa.array(values, kind)})
            pq.write_table(rows, paths[-1], row_group_size=2)
        all_of = tuple(PlainFile(f.path, 0, 0, f.groups, ()) for f in footers(paths))
        schema = pa.schema([("n", kind)])
        risen = rising(Plain(schema, ("n",), schema, (), None, all_of), "n")
        return risen and [file.path[-9:-8] for file in risen.files]

    assert found([9, 8, 10, 11], [5], [-1, 0, 2, None]) == ["2", "1", "0"]
    assert found([1, 2, 2, 3]) is found([1, 2], [2, 3]) is found([3, 4, 1, 2]) is None
    assert found([None, None]) is None
    assert found([1, 2], kind=pa.float64()) is None
