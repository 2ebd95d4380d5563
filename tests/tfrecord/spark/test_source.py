"""Spark's "tfrecord" source on a real session: everything that is written is read back."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from tfspark.errors import ConfigError, IntegrityError, SourceMissing, StorageError
from tfspark.tfrecord import SIDECAR, read_file, read_sidecar, write_file, write_sidecar
from tfspark.tfrecord import layout_of as layout
from tfspark.tfrecord.folder.manifest import MANIFEST, SUCCESS, list_folder
from tfspark.tfrecord.spark import source
from tfspark.tfrecord.spark.source import own_errors, write_tfrecord

MOMENT = dt.datetime(2026, 2, 3, 4, 5, 6, 789_012)
EVERYTHING = (
    "n long, bo boolean, b byte, s short, i int, l long, f float, t string, x binary, d date, "
    "ts timestamp, tn timestamp_ntz, iv interval day to second, al array<long>, at array<string>, "
    "af array<float>, ll array<array<int>>, st struct<a:int,u:struct<v:string,w:array<float>>>"
)
ROWS: list[tuple[Any, ...]] = [
    (
        *(0, True, -128, -32768, -(1 << 31), -(1 << 63), 1.5, "é𝄞", b"\xff\0", dt.date(1, 1, 1)),
        *(MOMENT, MOMENT, dt.timedelta(days=-2, microseconds=1), [1, -2], ["a", ""]),
        *([0.5], [[1, 2], [], [3]], (7, ("v", [1.0, 2.0]))),
    ),
    (
        *(1, False, 127, 32767, (1 << 31) - 1, (1 << 63) - 1, float("-inf"), "", b""),
        *(dt.date(9999, 12, 31), MOMENT, MOMENT, dt.timedelta(0), [], [], [], [], (None, None)),
    ),
    (2, *[None] * 17),
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "out")


def read(spark: Any, path: str, **options: Any) -> Any:
    return spark.read.format("tfrecord").options(**options).load(path)


def collected(df: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in df.orderBy(df.columns[0]).collect()]


def numbers(spark: Any, count: int, start: int = 0, tasks: int = 2) -> Any:
    """id, `k` = id % 3 as int, `d`: one of two days, `t`: the id as text."""
    day = F.date_add(F.lit(dt.date(2026, 1, 1)), (F.col("id") % 2).cast("int"))
    return spark.range(start, start + count, 1, tasks).select(
        "id", (F.col("id") % 3).cast("int").alias("k"), day.alias("d"), F.expr("'v' || id as t")
    )


def test_every_type(spark: Any, path: str) -> None:
    df = spark.createDataFrame(ROWS, EVERYTHING)
    write_tfrecord(df, path)
    back = read(spark, path)
    assert [(f.name, f.dataType) for f in back.schema] == [(f.name, f.dataType) for f in df.schema]
    assert [tuple(row) for row in back.orderBy("n").collect()] == [
        tuple(row) for row in df.orderBy("n").collect()
    ]
    manifest = json.loads(Path(path, MANIFEST).read_text())
    assert manifest["rows"] == 3
    assert Path(path, SUCCESS).exists()
    assert not Path(path, "_staging").exists()
    assert read_sidecar(path) is not None


def test_what_is_narrowed(spark: Any, path: str) -> None:
    df = spark.createDataFrame(
        [(1, 0.1, Decimal("1.50"), Decimal("-2.25"))],
        "n int, x double, p decimal(9,2), q decimal(9,2)",
    )
    with pytest.raises(ConfigError, match="column x: an Example does not hold double"):
        write_tfrecord(df, path)
    assert not Path(path).exists()
    write_tfrecord(df, path, narrow={"x": "float", "p": "string", "q": "float"})
    row = read(spark, path).first()
    assert row.asDict() == {"n": 1, "x": pytest.approx(0.1), "p": Decimal("1.50"), "q": -2.25}
    df.write.format("tfrecord").mode("overwrite").option("narrow", "x:float,p:string,q:float").save(
        path
    )
    assert read(spark, path).schema["p"].dataType.simpleString() == "decimal(9,2)"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("map('a', 1)", "column c: an Example holds no map<string,int>"),
        ("null", "column c: an Example holds no void"),
        ("array(named_struct('a', 1))", r"column c: an Example holds no struct<.*list|column c"),
        ("parse_json('1')", "column c: an Example holds no variant"),
        ("interval '1' month", "column c: an Example holds no interval month"),
        ("array(array(array(1)))", "column c: .* has 3 list levels, two are the most"),
    ],
)
def test_what_no_example_holds(spark: Any, path: str, sql: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_tfrecord(spark.range(1).select(F.expr(sql).alias("c")), path)
    assert not Path(path).exists()


def test_a_value_that_cannot_be_held(spark: Any, path: str) -> None:
    df = spark.createDataFrame([([1, None],)], "a array<int>")
    with pytest.raises(StorageError, match=r"part-0000\d-.*column a.*null"):
        write_tfrecord(df, path)
    assert not Path(path).exists()


def test_partitions(spark: Any, path: str) -> None:
    df = numbers(spark, 60)
    write_tfrecord(df, path, partition_by=["d", "k"])
    found = list_folder(path)
    assert found.partition_by == pa.schema([("d", pa.date32()), ("k", pa.int32())])
    assert len({tuple(e.partition.items()) for e in found.files}) == 6
    assert {e.path.split("/")[-3] for e in found.files} == {"d=2026-01-01", "d=2026-01-02"}
    back = read(spark, path)
    assert back.columns == ["id", "t", "d", "k"]
    assert collected(back.select(df.columns)) == collected(df)
    # Filters, one after the other on the same DataFrame, and both in one query.
    one, other = back.where("k = 1"), back.where(F.col("d") == dt.date(2026, 1, 2))
    counts = [one.count(), back.count(), other.count(), one.union(other).count()]
    assert counts == [20, 60, 30, 50]


def test_partitions_that_are_left_out(spark: Any, path: str) -> None:
    rows = [
        (n, text, flag)
        for n in range(4)
        for text in ("a'b", "x/y=z %é", None)
        for flag in (True, False)
    ]
    df = spark.createDataFrame(rows, "n int, p string, f boolean").coalesce(1)
    write_tfrecord(df, path, partition_by=["p", "f"])
    assert sorted(map(str, read(spark, path).select("n", "p", "f").collect())) == sorted(
        map(str, df.collect())
    )
    for where, files, count in (
        ("p = 'a''b'", 2, 8),
        ("p in ('a''b', 'x/y=z %é') and f = true", 2, 8),
        ("p != 'a''b' AND f=false", 1, 4),
        ("`p` >= 'b'", 2, 8),
        ("", 6, 24),
    ):
        found = read(spark, path, where=where, maxPartitionBytes="1")
        assert (found.rdd.getNumPartitions(), found.count()) == (files, count), where
    for where, message in (
        ("n = 1", "n is no partition column of .*; those are"),
        ("p = 1 or f = true", "cannot read"),
        ("f = 'maybe'", "f is bool, 'maybe' is none"),
    ):
        with pytest.raises(PySparkException, match=message):
            read(spark, path, where=where).count()


def test_modes(spark: Any, path: str) -> None:
    write_tfrecord(numbers(spark, 10), path, mode="errorifexists")
    for mode in ("error", "errorifexists"):
        with pytest.raises(ConfigError, match="holds data: use mode append or overwrite"):
            write_tfrecord(numbers(spark, 10), path, mode=mode)
    write_tfrecord(numbers(spark, 99), path, mode="ignore")
    assert read(spark, path).count() == 10
    numbers(spark, 10, 10).write.format("tfrecord").mode("append").save(path)
    assert collected(read(spark, path).select("id")) == [(n,) for n in range(20)]
    numbers(spark, 5).write.format("tfrecord").mode("overwrite").save(path)
    assert collected(read(spark, path).select("id")) == [(n,) for n in range(5)]
    assert len(list(Path(path).glob("*.tfrecord"))) == len(list_folder(path).files)
    with pytest.raises(ConfigError, match="mode 'upsert' is unknown"):
        write_tfrecord(numbers(spark, 1), path, mode="upsert")


def test_overwrite_of_partitions_and_of_what_is_read(spark: Any, path: str) -> None:
    write_tfrecord(numbers(spark, 30), path, partition_by=["k"])
    changed = read(spark, path).where("k = 1").withColumn("t", F.lit("new"))
    write_tfrecord(changed, path, "overwrite", partition_by=["k"], partitionOverwriteMode="dynamic")
    back = read(spark, path)
    assert (back.count(), back.where("t = 'new'").count()) == (30, 10)
    write_tfrecord(back.where("k < 2"), path, "overwrite")
    assert read(spark, path).count() == 20
    with pytest.raises(PySparkException, match="the folder was overwritten; load it again"):
        back.count()


def test_append_of_other_columns(spark: Any, path: str) -> None:
    df = numbers(spark, 10)
    write_tfrecord(df, path, partition_by=["k"])
    before = sorted(p.name for p in Path(path).rglob("*"))
    # It fails when it is planned: a row that cannot be computed is never looked at.
    poison = F.raise_error(F.lit("a row was computed"))
    for other, by, message in (
        (df.withColumn("id", F.col("id").cast("int")), ["k"], "column id is int64 .* int32 in the"),
        (
            df.withColumn("t", poison.cast("string")).drop("d"),
            ["k"],
            "column d is date32.*not there",
        ),
        (df.withColumn("new", F.lit(1)), ["k"], "column new is not there .* int32"),
        (df, [], "is partitioned by"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_tfrecord(other, path, "append", partition_by=by)
    assert sorted(p.name for p in Path(path).rglob("*")) == before
    write_tfrecord(df.select("t", "k", "d", "id"), path, "append", partition_by=["k"])
    assert read(spark, path).count() == 20


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_compression_and_size_of_files(spark: Any, path: str, compression: str) -> None:
    df = numbers(spark, 5000, tasks=1)
    write_tfrecord(df, path, compression=compression, maxRecordsPerFile=1500)
    suffix = {"none": "tfrecord", "gzip": "gz", "zlib": "zlib"}[compression]
    files = list_folder(path).files
    assert [e.rows for e in files] == [1500, 1500, 1500, 500]
    assert {e.path.rsplit(".", 1)[1] for e in files} == {suffix}
    assert collected(read(spark, path)) == collected(df)
    if compression == "none":
        write_tfrecord(df.repartition(3), path, "overwrite", maxFileBytes="1k")
        assert len(list_folder(path).files) > 2
        assert read(spark, path).count() == 5000


def test_empty(spark: Any, path: str) -> None:
    for mode in ("error", "overwrite", "append"):
        write_tfrecord(numbers(spark, 10).where("id < 0"), path, mode, partition_by=["k"])
        back = read(spark, path)
        assert (back.columns, back.collect()) == (["id", "d", "t", "k"], [])
    write_tfrecord(spark.createDataFrame([], "id long"), path, "overwrite")
    assert read(spark, path).columns == ["id"]


def test_columns(spark: Any, path: str) -> None:
    df = numbers(spark, 10)
    write_tfrecord(df, path, partition_by=["k"])
    back = read(spark, path, columns="k, t")
    assert collected(back) == collected(df.select("k", "t"))
    given = spark.read.format("tfrecord").schema("t string, id decimal(20,0), k string").load(path)
    assert collected(given) == collected(
        df.selectExpr("t", "cast(id as decimal(20,0))", "string(k)")
    )
    assert collected(read(spark, path, columns="k")) == collected(df.select("k"))
    with pytest.raises(PySparkException, match="has no column q; it has"):
        read(spark, path, columns="q")
    with pytest.raises(PySparkException, match="has no column q; it has"):
        spark.read.format("tfrecord").schema("q int").load(path).count()
    with pytest.raises(PySparkException, match="column t is string and cannot be int32"):
        spark.read.format("tfrecord").schema("t int").load(path).count()


def test_many_small_files_are_few_tasks(spark: Any, path: str) -> None:
    files = 400
    write_tfrecord(numbers(spark, files, tasks=1), path, maxRecordsPerFile=1)
    back = read(spark, path)
    assert back.rdd.getNumPartitions() <= files // 10
    assert collected(back.select("id")) == [(n,) for n in range(files)]
    assert read(spark, path, maxPartitionBytes="1").rdd.getNumPartitions() == files


def test_inference_over_several_files(spark: Any, tmp_path: Path) -> None:
    for number, table in enumerate(
        (
            pa.table({"a": [1, 2], "b": ["x", None], "c": pa.array([1.5, 2], pa.float32())}),
            pa.table({"a": [[3], [4, 5]], "b": [b"\xff", b"y"], "e": [7, None]}),
        )
    ):
        name = tmp_path / f"day={number}" / "f.tfrecord"
        name.parent.mkdir()
        write_file(str(name), table.to_batches(), table.schema)
    back = read(spark, str(tmp_path))
    assert dict(back.dtypes) == {
        **{"a": "array<bigint>", "b": "binary", "c": "float", "e": "bigint", "day": "bigint"}
    }
    assert sorted(map(tuple, back.select("a", "e", "day").collect()), key=str) == [
        *[([1], None, 0), ([2], None, 0), ([3], 7, 1), ([4, 5], None, 1)]
    ]
    given = (
        spark.read.format("tfrecord").schema("c double, day string, never int").load(str(tmp_path))
    )
    assert sorted(map(str, (row.c for row in given.collect()))) == ["1.5", "2.0", "None", "None"]


def test_tensorflow_writes_and_reads(spark: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    def example(n: int) -> bytes:
        feature = {
            "n": tf.train.Feature(int64_list=tf.train.Int64List(value=[n])),
            "x": tf.train.Feature(float_list=tf.train.FloatList(value=[n / 2, 1.0])),
        }
        if n:
            feature["t"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"t%d" % n]))
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    (tmp_path / "tf").mkdir()
    for part in range(2):
        name = str(tmp_path / "tf" / f"data-{part}-of-2")
        with tf.io.TFRecordWriter(name, "GZIP") as writer:
            for n in range(part * 5, part * 5 + 5):
                writer.write(example(n))
    back = read(spark, str(tmp_path / "tf"), compression="gzip")
    assert collected(back) == [(n, f"t{n}" if n else None, [n / 2, 1.0]) for n in range(10)]

    out = str(tmp_path / "out")
    write_tfrecord(back, out, compression="gzip")
    spec = {
        "n": tf.io.FixedLenFeature([], tf.int64),
        "t": tf.io.FixedLenFeature([], tf.string, ""),
        "x": tf.io.FixedLenFeature([2], tf.float32),
    }
    files = [entry.path for entry in list_folder(out).files]
    parsed = (
        tf.data.TFRecordDataset(files, "GZIP")
        .batch(10)
        .map(lambda records: tf.io.parse_example(records, spec))
    )
    rows = [
        (n, t.decode() or None, list(x))
        for batch in parsed.as_numpy_iterator()
        for n, t, x in zip(batch["n"].tolist(), batch["t"], batch["x"].tolist(), strict=True)
    ]
    assert sorted(rows) == collected(back)


def test_a_sidecar_of_types_that_spark_lacks(spark: Any, tmp_path: Path) -> None:
    table = pa.table(
        {
            "u8": pa.array([255, None], pa.uint8()),
            "u16": pa.array([65535, 1], pa.uint16()),
            "u32": pa.array([(1 << 32) - 1, 1], pa.uint32()),
            "u64": pa.array([1, 2], pa.uint64()),
            "h": pa.array([1.5, 2], pa.float16()),
            "d": pa.array([0, 86_400_000], pa.date64()),
            "ns": pa.array([1000, 2000], pa.timestamp("ns", "Europe/Berlin")),
            "ls": pa.array(["a", "b"], pa.large_string()),
            "fl": pa.array([[1, 2], [3, 4]], pa.list_(pa.int16(), 2)),
        }
    )
    narrowed = layout(table.schema, {"u64": "int64"})
    write_file(str(tmp_path / "a.tfrecord"), table.to_batches(), narrowed)
    write_sidecar(str(tmp_path), narrowed)
    back = read(spark, str(tmp_path))
    assert [kind for _, kind in back.dtypes] == [
        *("smallint", "int", "bigint", "decimal(20,0)", "float", "date", "timestamp", "string"),
        "array<smallint>",
    ]
    assert collected(back.select("u32", "u8", "u16", "u64", "h", "d", "ls", "fl"))[1] == (
        *((1 << 32) - 1, 255, 65535, Decimal(1), 1.5, dt.date(1970, 1, 1), "a", [1, 2]),
    )


def test_corrupt_records(spark: Any, tmp_path: Path, path: str) -> None:
    write_tfrecord(numbers(spark, 100, tasks=1), path, maxRecordsPerFile=50)
    damaged, cut = (Path(entry.path) for entry in list_folder(path).files)
    size = damaged.stat().st_size // 50
    content = bytearray(damaged.read_bytes())
    content[3 * size + 20] ^= 1
    damaged.write_bytes(content)
    with (
        pytest.raises(IntegrityError, match=rf"{damaged}: record \d+ at byte \d+ is damaged"),
        own_errors("x"),
    ):
        read(spark, path).collect()
    cut_bytes = cut.read_bytes()
    cut.write_bytes(cut_bytes[:-5])
    with (
        pytest.raises(IntegrityError, match=f"{cut} has .* bytes, _manifest.json says"),
        own_errors("x"),
    ):
        read(spark, path)
    report = tmp_path / "report"
    back = read(spark, path, onCorrupt="skip", corruptPath=str(report))
    assert back.count() == 98
    back.count()  # the reports are by file: a second reading does not double them
    said = {Path(r["file"]): r for r in (json.loads(p.read_text()) for p in report.iterdir())}
    assert set(said) == {damaged, cut}
    assert (said[damaged]["corrupt"], said[damaged]["rows"], said[damaged]["expected"]) == (
        1,
        49,
        50,
    )
    assert said[cut]["lost_from_byte"] is not None
    cut.unlink()
    with (
        pytest.raises(IntegrityError, match="is missing, _manifest.json lists it"),
        own_errors("x"),
    ):
        read(spark, path, onCorrupt="skip")


def test_a_file_cut_between_two_records(spark: Any, path: str) -> None:
    write_tfrecord(numbers(spark, 10, tasks=1), path)
    (entry,) = list_folder(path).files
    sizes = {e.rows for e in list_folder(path).files}
    assert sizes == {10}
    manifest = Path(path, MANIFEST)
    said = json.loads(manifest.read_text())
    first = Path(entry.path).stat().st_size // 10
    Path(entry.path).write_bytes(Path(entry.path).read_bytes()[: first * 9])
    said["files"][Path(entry.path).name]["bytes"] = first * 9
    manifest.write_text(json.dumps(said))
    with (
        pytest.raises(IntegrityError, match="has 9 records, the manifest says 10"),
        own_errors("x"),
    ):
        read(spark, path).collect()


def test_wrong_options_and_paths(spark: Any, tmp_path: Path, path: str) -> None:
    for options, message in (
        ({"compresion": "gzip"}, "option 'compresion' is unknown; there are codec, columns, compr"),
        ({"compression": "lzo"}, "compression is 'lzo'; use none or gzip or zlib"),
        ({"maxFileBytes": "12 parsecs"}, "give a number, 64m or 1g"),
        ({"narrow": "{id"}, "narrow is no JSON"),
        ({"narrow": "id:float"}, "int64 needs no narrowing"),
        ({"partitionBy": "q"}, "column q is not there"),
        ({"partitionBy": "id,k,d,t"}, "names all columns"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_tfrecord(numbers(spark, 1), path, **options)
    with pytest.raises(SourceMissing, match="is not there"), own_errors("x"):
        read(spark, path)
    Path(path).mkdir()
    with pytest.raises(SourceMissing, match="holds no TFRecord file"), own_errors("x"):
        read(spark, path)
    with pytest.raises(ConfigError, match="folders are made of text"):
        write_tfrecord(spark.sql("select 1 a, float(1) f"), path, partition_by=["f"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file: name a folder"):
        write_tfrecord(numbers(spark, 1), str(tmp_path / "file"), "append")


def test_a_folder_of_other_files_is_added_to(spark: Any, path: str) -> None:
    table = pa.table({"id": [1, 2]})
    Path(path).mkdir()
    write_file(f"{path}/own.tfrecord", table.to_batches(), table.schema)
    with pytest.raises(ConfigError, match="its files came without a schema"):
        write_tfrecord(spark.range(1), path, "append")
    write_sidecar(path, layout(table.schema))
    write_tfrecord(spark.range(5, 7), path, "append")
    assert collected(read(spark, path)) == [(1,), (2,), (5,), (6,)]
    assert json.loads(Path(path, MANIFEST).read_text())["rows"] is None
    write_tfrecord(spark.range(1), path, "overwrite")
    assert not Path(path, "own.tfrecord").exists()
    assert Path(path, SUCCESS).exists()


def test_several_paths_and_one_file(spark: Any, tmp_path: Path) -> None:
    for number in range(2):
        write_tfrecord(spark.range(number, number + 1), str(tmp_path / str(number)))
    both = spark.read.format("tfrecord").load([str(tmp_path / "0"), str(tmp_path / "1")])
    assert collected(both) == [(0,), (1,)]
    (entry,) = list_folder(str(tmp_path / "1")).files
    assert collected(read(spark, entry.path)) == [(1,)]
    assert [b.to_pydict() for b in read_file(entry.path)] == [{"id": [1]}]
    assert Path(tmp_path / "1" / SIDECAR).exists()


def test_a_jar_that_has_the_name(
    spark: Any, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source.TFRecordDataSource, "name", classmethod(lambda cls: "orc"))
    source.register(spark)
    assert 'use format("tfspark_tfrecord")' in caplog.text
    write_tfrecord(spark.range(3), path)
    found = spark.read.format("tfspark_tfrecord").load(path)
    assert sorted(row["id"] for row in found.collect()) == [0, 1, 2]
