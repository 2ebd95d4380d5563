"""The plan `scan`: the same table as by the plan `arrow`, and by which sources it is taken."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

import tfspark
from tests import saved_models as models
from tests.conftest import ROOT
from tfspark import storage
from tfspark.config import Source
from tfspark.contracts.contract import Quarantine
from tfspark.errors import ConfigError
from tfspark.plainfiles import batches as batches_module
from tfspark.plainfiles.files import Plain
from tfspark.rowgroups import footers
from tfspark.scoring.plans.registry import choose
from tfspark.scoring.table.planner import TableLook

DAY, OTHER = dt.date(2026, 11, 20), dt.date(2026, 11, 21)
RUN = ("run_id", "scored_at")
MANY = Quarantine(max_share=0.5)
TARGET = T.StructType([T.StructField("id", T.LongType()), T.StructField("day", T.DateType())])
DDL = (
    "age double, sex string, siblings int, paid boolean, id bigint, exact decimal(20,2), d date, "
    "at timestamp, local timestamp_ntz, small tinyint, bytes binary, real float, "
    "codes array<int>, deep array<array<double>>, s struct<a:int,b:string>, m map<string,int>"
)


def row(i: int) -> tuple[Any, ...]:
    at = dt.datetime(1900 + i, 1, 2, 3, 4, 5, 678901 + i)
    return (
        float(i), "f", i % 3, True, i, Decimal("12.25") + i, dt.date(1600 + i, 1, 1),
        at.replace(tzinfo=dt.UTC), at, i, b"\xff%d" % i, float("nan") if i == 5 else i / 3,
        [i, None], [[1.0], [], None], (i, "ü"), {"k": i},
    )  # fmt: skip


def write(spark: SparkSession, folder: Path) -> str:
    """Rows of every type; nulls, NaN, and two rows that no model can take."""
    rows = [row(i) for i in range(40)]
    rows += [
        (None, None, 1, False, 40, *[None] * 11),
        (1.0, "f", None, True, 41, *row(7)[5:]),
        (1e300, "f", 1, True, 42, *[None] * 11),
    ]
    df = spark.createDataFrame(rows, DDL).repartition(3)
    df.write.option("parquet.block.size", 1024).parquet(str(folder))
    return str(folder)


def read(spark: SparkSession, table: Path | str) -> DataFrame:
    return spark.read.format("delta").load(str(table))


def scanned(df: DataFrame, where: str, used: Sequence[str], target: str) -> Plain | None:
    """The files of the plan `scan`."""
    look = TableLook(df, used, False, target, TARGET, df)
    return choose("scan", where, lambda plan: plan.for_table(look)).way.files


def plain(df: DataFrame) -> list[str]:
    """The rows as texts, sorted; NaN equals NaN."""
    return sorted(str(row) for row in df.drop(*RUN, "quarantined_at").collect())


def test_it_is_the_same_table(spark: SparkSession, tmp_path: Path) -> None:
    source, model = write(spark, tmp_path / "in 'it"), models.mixed(tmp_path / "m")
    keep = [name for name in T._parse_datatype_string(DDL).names if name != "paid"]  # type: ignore[attr-defined]

    def run(target: str, day: dt.date, plan: str) -> tfspark.scoring.Summary:
        return tfspark.score_table(
            spark, source, model, str(tmp_path / target), day, keep=keep, plan=plan, limit=MANY
        )

    run("arrow", DAY, "arrow")
    scanned = run("scan", DAY, "auto")
    assert (scanned.plan, scanned.table_version) == ("scan", 0)
    assert "plain files" in scanned.plan_reason
    assert (scanned.rows_in, scanned.scored, scanned.quarantined) == (43, 41, 2)
    by_arrow, by_scan = read(spark, tmp_path / "arrow"), read(spark, tmp_path / "scan")
    assert by_scan.schema == by_arrow.schema
    assert plain(by_scan) == plain(by_arrow)
    bad = [
        plain(read(spark, tmp_path / f"{t}_quarantine").drop("run_id")) for t in ("arrow", "scan")
    ]
    assert bad[0] == bad[1]
    assert len(bad[0]) == 2
    # Statistics leave no row out: counted with and without them.
    conditions = [
        "real > 1e30", "at >= '1939-01-02 03:04:05.67894'", "local < '1900-02-01'",
        "d < '1601-01-01'", "id = 39", "codes IS NULL", "p > 10 AND day = '2026-11-20'",
    ]  # fmt: skip
    (expected,) = by_arrow.selectExpr(*[f"count_if({c})" for c in conditions]).collect()
    assert all(expected)
    assert tuple(expected) == tuple(by_scan.where(c).count() for c in conditions)

    # Both write to either's table, and leave the other's day alone.
    before = plain(by_scan)
    assert run("scan", OTHER, "arrow").table_version == 1
    assert run("scan", DAY, "scan").table_version == 2
    assert run("arrow", OTHER, "scan").table_version == 1
    both = [read(spark, tmp_path / t) for t in ("arrow", "scan")]
    assert both[0].schema == both[1].schema
    assert plain(both[0]) == plain(both[1])
    assert plain(both[0].where(f"day = '{DAY}'")) == before
    assert not storage.names(str(tmp_path / "_staging"))


def test_a_delta_source(spark: SparkSession, tmp_path: Path) -> None:
    source, target = str(tmp_path / "delta"), str(tmp_path / "out")
    rows = spark.createDataFrame([(i, float(i * i)) for i in range(9)], "id bigint, x float")
    by_day = rows.selectExpr("*", "'a b' AS part")
    by_day.where("id < 5").write.format("delta").partitionBy("part").save(source)
    model = models.picky(tmp_path / "m")
    files = by_day.where("id >= 5").selectExpr("id", "x", "'c' AS part").write.format("delta")
    files.mode("append").save(source)
    spark.sql(f"DELETE FROM delta.`{source}` WHERE part = 'a b'")
    done = tfspark.score_table(spark, source, model, target, DAY, keep=["id"], plan="scan")
    assert (done.rows_in, done.scored) == (4, 4)
    found = sorted(tuple(r) for r in read(spark, target).select("id", "root").collect())
    assert found == [(i, float(i)) for i in range(5, 9)]


def test_what_is_read_is_what_spark_reads(spark: SparkSession, tmp_path: Path) -> None:
    at = [dt.datetime(2026, 1, 1, 0, 0, 0, 1000), None]
    rows = pa.table(
        {
            "u8": pa.array([255, None], "u1"),
            "u16": pa.array([65535, 1], "u2"),
            "u32": pa.array([2**32 - 1, 1], "u4"),
            "text": pa.array(["ü", None], pa.large_string()),
            "view": pa.array(["a" * 40, None], pa.string_view()),
            "code": pa.array(["x", "x"]).dictionary_encode(),
            "raw": pa.array([b"ab", b"cd"], pa.binary(2)),
            "many": pa.array([[1], []], pa.large_list(pa.int64())),
            "milli": pa.array(at, pa.timestamp("ms", "UTC")),
            "paris": pa.array(at, pa.timestamp("us", "Europe/Paris")),
            "local": pa.array(at, pa.timestamp("us")),
            "s": pa.array([{"a": 1}, None], pa.struct([pa.field("a", pa.int32())])),
            "a.b": pa.array([1, 2]),
        }
    )
    (tmp_path / "in").mkdir()
    pq.write_table(rows, tmp_path / "in" / "new.parquet", row_group_size=1)
    old = pa.table({"old": pa.array(at, pa.timestamp("us"))})
    (tmp_path / "old").mkdir()
    pq.write_table(old, tmp_path / "old" / "f.parquet", use_deprecated_int96_timestamps=True)
    for folder in (str(tmp_path / "in"), str(tmp_path / "old")):
        df = spark.read.parquet(folder)
        scan = scanned(df, folder, df.columns, str(tmp_path / "out"))
        assert scan is not None
        read = pa.Table.from_batches(scan.batches(scan.files))
        spoken = df.toArrow()
        assert [str(f.type) for f in read.schema] == [
            str(f.type).replace(" not null", "") for f in spoken.schema
        ]
        assert read.to_pylist() == spoken.to_pylist()


def test_batches_are_small_whatever_the_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One value that Parquet holds once: the footer says nearly nothing, memory would be full.
    rows = pa.table({"id": range(3000), "text": ["x" * 1000] * 3000})
    path = str(tmp_path / "f.parquet")
    pq.write_table(rows, path, row_group_size=2000)
    groups = [group for footer in footers([path]) for group in footer.groups]
    monkeypatch.setattr(batches_module, "_BATCH_BYTES", 1 << 16)
    monkeypatch.setattr(batches_module, "_BATCH_ROWS", 1500)
    batches = list(batches_module.batches(groups, rows.schema))
    assert max(batch.num_rows for batch in batches) <= 1500
    assert max(batch.nbytes for batch in batches) <= 4 << 16
    assert pa.Table.from_batches(batches) == rows
    # Of many columns more at a time, up to eight times: a call costs, whatever it is given.
    wide = pa.table({f"c{i}": [float(i + row) for row in range(300)] for i in range(600)})
    pq.write_table(wide, path, use_dictionary=False)
    groups = [group for footer in footers([path]) for group in footer.groups]
    sizes = [batch.num_rows for batch in batches_module.batches(groups, wide.schema)]
    assert 80 < max(sizes) <= 8 * (1 << 16) // (600 * 8)


@pytest.mark.usefixtures("kill", "soak")  # on a cluster: tests/scoring/test_faults.py
def test_a_killed_worker(tmp_path: Path) -> None:
    """Spark tries again; what the killed attempt had written is gone."""
    rows = pa.table({"id": range(4000), "x": pa.array([float(i * i) for i in range(4000)], "f4")})
    (tmp_path / "in").mkdir()
    pq.write_table(rows, tmp_path / "in" / "a.parquet", row_group_size=1000)
    models.picky(tmp_path / "m")
    command = [sys.executable, str(ROOT / "tests/scoring/killed_scan.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    said = json.loads(ran.stdout.strip().splitlines()[-1])
    assert said["killed"].endswith(".parquet")  # it had a file, with rows
    assert said["killed"] not in said["files"]
    assert len(said["files"]) == 2
    from deltalake import DeltaTable

    table = DeltaTable(str(tmp_path / "out"))
    assert len(table.file_uris()) == 2
    scored = table.to_pyarrow_table().sort_by("id")
    assert scored["id"].to_pylist() == list(range(4000))
    assert scored["root"].to_pylist() == [float(i) for i in range(4000)]


def test_days_and_partitions_of_the_source(spark: SparkSession, tmp_path: Path) -> None:
    """Filters and folders are Spark's business to find, the scan's to apply."""
    rows = spark.createDataFrame(
        [(i, float(i * i), DAY if i % 2 else OTHER, i % 3) for i in range(12)],
        "id bigint, x float, d date, part int",
    )
    model = models.picky(tmp_path / "m")
    for fmt in ("parquet", "delta"):
        source, target = str(tmp_path / fmt), str(tmp_path / f"out-{fmt}")
        rows.write.format(fmt).partitionBy("part").save(source)
        asked = Source(format=fmt, path=source, day_column="d")
        done = tfspark.score_table(
            spark, asked, model, target, DAY, keep=["id", "part"], plan="scan"
        )
        assert (done.rows_in, done.scored) == (6, 6)
        found = sorted(tuple(r) for r in read(spark, target).select("id", "part", "root").collect())
        assert found == [(i, i % 3, float(i)) for i in range(1, 12, 2)]
    df = spark.read.format("delta").load(source).where("part = 1")
    done = tfspark.score_table(spark, df, model, target, OTHER, keep=["id", "part"])
    assert (done.plan, done.rows_in) == ("scan", 4)


def test_what_it_does_not_take(spark: SparkSession, tmp_path: Path) -> None:
    folder, target = str(tmp_path / "in"), str(tmp_path / "out")
    pq_folder = tmp_path / "in"
    pq_folder.mkdir()
    pq.write_table(pa.table({"id": pa.array([1], "i8"), "x": [1.0]}), pq_folder / "a.parquet")

    def why(
        path: str = folder, target: str = target, used: tuple[str, ...] = ("id",), **options: str
    ) -> str:
        df = spark.read.format("delta" if options else "parquet").options(**options).load(path)
        with pytest.raises(ConfigError, match=f"plan 'scan' does not apply to {path}: ") as caught:
            scanned(df, path, used, target)
        return str(caught.value)

    assert "catalog" in why(target="db.table")
    assert "deltalake cannot open the target" in why(target="nowhere://x/y")
    pq.write_table(pa.table({"id": pa.array([1], "i4"), "x": [1.0]}), pq_folder / "b.parquet")
    assert "b.parquet has id as int32, the table as int64" in why()
    pq.write_table(pa.table({"x": [1.0]}), pq_folder / "b.parquet")
    assert "b.parquet has no column id" in why()
    pairs = pa.array([[1, 2], None], pa.list_(pa.int64(), 2))
    pq.write_table(pa.table({"id": pairs}), pq_folder / "b.parquet")
    (pq_folder / "a.parquet").unlink()
    assert "b.parquet has id as fixed_size_list" in why()

    def delta(name: str, sql: str = "", **options: str) -> str:
        path = str(tmp_path / name)
        rows = spark.sql("SELECT id, DATE'2026-11-20' AS day FROM range(4)")
        rows.coalesce(1).write.format("delta").partitionBy("day").options(**options).save(path)
        if sql:
            spark.sql(sql.format(f"delta.`{path}`"))
        return path

    vectors = delta(
        "vectors", "DELETE FROM {} WHERE id = 2", **{"delta.enableDeletionVectors": "true"}
    )
    assert "deletion vectors" in why(path=vectors, versionAsOf="1")
    assert "target has deletionVectors" in why(target=vectors)
    mapped = delta("mapped", **{"delta.columnMapping.mode": "name"})
    assert "column mapping" in why(path=mapped, versionAsOf="0")
    assert "target has columnMapping" in why(target=mapped)
    checked = delta("checked", "ALTER TABLE {} ADD CONSTRAINT few CHECK (id < 9)")
    assert "checkConstraints" in why(target=checked) or "constraints.few" in why(target=checked)


def test_the_scan_alone_is_refused_where_it_does_not_apply(
    spark: SparkSession, tmp_path: Path
) -> None:
    model = models.quoted(tmp_path / "m")
    source = str(tmp_path / "in")
    spark.createDataFrame([(1, 4.0)], "id bigint, x float").write.parquet(source)

    def run(plan: str) -> tfspark.scoring.Summary:
        out = str(tmp_path / "out")
        return tfspark.score_table(spark, source, model, out, DAY, {"x": "x"}, ["id"], plan)

    with pytest.raises(ConfigError, match=r"plan 'scan' does not apply to .*special characters"):
        run("scan")
    assert not storage.exists(str(tmp_path / "out"))
    done = run("auto")
    assert done.plan == "arrow"
    assert "special characters: a.b c" in done.plan_reason
