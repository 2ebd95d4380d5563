"""Programs and files of spark-tfrecord and spark-tensorflow-connector: they work, or it is said."""

from __future__ import annotations

import gzip
import struct
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.ml.linalg import SparseVector, Vectors, VectorUDT
from pyspark.sql import types as T

from tfspark.errors import ConfigError, TfsparkError
from tfspark.sparkerrors import first_line
from tfspark.tfrecord import layout_of, read_file, to_example, write_file, write_sidecar
from tfspark.tfrecord.codec.stream import masked
from tfspark.tfrecord.folder.manifest import list_folder
from tfspark.tfrecord.spark.source import own_errors, write_tfrecord

JVM = "tfspark_tfrecord_jvm"
BOTH = ("tfrecords", JVM)


def framed(*records: bytes) -> bytes:
    sizes = [struct.pack("<Q", len(record)) for record in records]
    parts = zip(sizes, records, strict=True)
    return b"".join(
        s + struct.pack("<I", masked(s)) + r + struct.pack("<I", masked(r)) for s, r in parts
    )


def records(*values: Any, kind: Any = None, name: str = "x") -> list[bytes]:
    """Examples of one column, as bytes."""
    table = pa.table({name: pa.array(values, kind)})
    encoded = framed_of(table)
    found, at = [], 0
    while at < len(encoded):
        size = struct.unpack_from("<Q", encoded, at)[0]
        found.append(encoded[at + 12 : at + 12 + size])
        at += size + 16
    return found


def framed_of(table: pa.Table) -> bytes:
    from tfspark.tfrecord.codec.encode import Encoder

    layout = layout_of(table.schema)
    return b"".join(bytes(d) for b in table.to_batches() for d in Encoder(layout).encode(b))


def rows(df: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in df.collect()), key=str)


def refused(message: str, run: Any) -> None:
    """Both sides say it, as ours or somewhere in what Spark says."""
    with pytest.raises((TfsparkError, PySparkException), match=message), own_errors("test"):
        run()


@pytest.mark.parametrize("name", BOTH)
def test_what_their_programs_write_and_read(spark: Any, tmp_path: Path, name: str) -> None:
    df = spark.sql(
        "select 11 id, 1L big, 10f f, 14d d, array(1d, 2d) v, 'r1' s, X'00ff' b, 2.5bd p "
        "union all select 21, 2L, 12f, 15d, array(2d, 2d), null, X'', 1.25bd"
    )
    out = str(tmp_path / "a")
    writer = df.write.format(name).option("recordType", "Example").option("narrow", "*:float")
    writer = writer.option("codec", "org.apache.hadoop.io.compress.GzipCodec")
    writer.mode("overwrite").save(out)
    assert {entry.path[-12:] for entry in list_folder(out).files} == {".tfrecord.gz"}
    reader = spark.read.format(name).option("recordType", "Example")
    assert rows(reader.schema(df.schema).load(out)) == rows(df)
    assert dict(spark.read.format(name).load(out).dtypes)["v"] == "array<float>"

    lists = spark.sql("select 1L id, array(array(1f), array()) l")
    lists.write.format(name).option("recordType", "SequenceExample").mode("overwrite").save(out)
    assert rows(spark.read.format(name).load(out)) == [(1, [[1.0], []])]
    asked = spark.read.format(name).option("recordType", "Example")
    refused("holds records of the type SequenceExample", lambda: asked.load(out))
    asking = lists.write.format(name).option("recordType", "Example").mode("overwrite")
    refused("column l: a list of lists is no part of an Example", lambda: asking.save(out))


@pytest.mark.parametrize("name", BOTH)
def test_records_that_are_no_examples(spark: Any, tmp_path: Path, name: str) -> None:
    out, other = str(tmp_path / "a"), tmp_path / "b"
    df = spark.sql("select * from values (X'00ff'), (X''), (X'0a0b') as t(byteArray)")
    df.write.format(name).option("recordType", "ByteArray").mode("append").save(out)
    whole = b"".join(Path(entry.path).read_bytes() for entry in list_folder(out).files)
    assert sorted([framed(b"\x00\xff"), framed(b""), framed(b"\x0a\x0b")]) == sorted(
        framed(bytes(row.byteArray)) for row in spark.read.format(name).load(out).collect()
    )
    assert framed(b"\x00\xff") in whole
    for side in ("tfrecord", JVM):  # each reads the other's, and what came without a schema
        assert rows(spark.read.format(side).load(out)) == rows(df)
    other.mkdir()
    (other / "part-r-00000").write_bytes(framed(b"\xff\xff", b""))
    (other / "README.md").write_text("no records")
    asked = spark.read.format(name).option("recordType", "ByteArray")
    assert rows(asked.load(str(other))) == [(b"",), (b"\xff\xff",)]
    assert rows(asked.schema("value binary").load(str(other))) == [(b"",), (b"\xff\xff",)]
    refused("recordType ByteArray", lambda: spark.read.format(name).load(str(other)))
    write = spark.sql("select X'00' a, 1 b").write.format(name).option("recordType", "ByteArray")
    refused(
        "one binary column; the columns are a: binary, b: int32",
        lambda: write.mode("append").save(out),
    )
    null = spark.sql("select cast(null as binary) byteArray").write.format(name)
    null = null.option("recordType", "ByteArray").mode("append")
    refused("is null, and a record cannot be", lambda: null.save(str(tmp_path / "c")))
    example = spark.range(1).selectExpr("X'00' byteArray").write.format(name).mode("append")
    refused("column byteArray is stored as record", lambda: example.save(out))


@pytest.mark.parametrize("name", BOTH)
def test_files_as_they_come(spark: Any, tmp_path: Path, name: str) -> None:
    """Compressed without an ending, cut off, with another schema late, beside other files."""

    def read(path: Path, schema: str | None = None, **options: Any) -> Any:
        reader = spark.read.format(name).options(**options)
        return (reader.schema(schema) if schema else reader).load(str(path))

    numbers = [(n,) for n in range(100)]
    data = framed(*records(*range(100), kind=pa.int64()))
    for file, content in (
        ("gzip", gzip.compress(data)),
        ("plain.gz", data),
        ("cut", data[:-5]),
        ("zeros", data + bytes(64)),
        ("late", framed(*records(*range(4990), kind=pa.int64()), *records(7, name="late"))),
    ):
        (tmp_path / file).write_bytes(content)
    assert sorted(rows(read(tmp_path / "gzip")), key=lambda row: row[0]) == numbers
    assert read(tmp_path / "plain.gz").where("x >= 0").count() == 100
    refused("no whole frame; give the schema", lambda: read(tmp_path / "cut"))
    for file, count in (("cut", 99), ("zeros", 100)):
        assert read(tmp_path / file, onCorrupt="skip").where("x >= 0").count() == count
    late = tmp_path / "late"
    refused("record 4990 at byte .* holds late, which no sampled record has", read(late).collect)
    assert read(late, "x long").where("x >= 0").count() == 4990
    assert read(late, columns="x").where("x >= 0").count() == 4990
    assert read(late, inferRecords="all").where("late = 7").count() == 1
    # `x` among the feature lists of one record and beside them in another.
    (tmp_path / "both").write_bytes(
        framed(*sequence([[1.0]]), *records([1.0], kind=pa.list_(pa.float32())))
    )
    both = tmp_path / "both"
    refused(
        "record 1 at byte .* holds values in x, .*record 0 .* a list of lists", lambda: read(both)
    )
    refused(
        "record 1 .* holds values in x, the schema says a list",
        read(both, "x array<array<float>>").collect,
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.tfrecord").touch()
    refused("a.tfrecord has no record to take a schema from", lambda: read(empty))


def sequence(value: Any) -> list[bytes]:
    return records(value, kind=pa.list_(pa.list_(pa.float32())))


@pytest.mark.parametrize("name", BOTH)
def test_nulls_decimals_and_vectors(spark: Any, tmp_path: Path, name: str) -> None:
    def read(path: str, schema: Any) -> Any:
        return spark.read.format(name).schema(schema).load(path)

    bare, out = str(tmp_path / "bare"), str(tmp_path / "out")
    Path(bare).write_bytes(framed(*records(12.3675, None, kind=pa.float32())))
    assert rows(read(bare, "x decimal(10,2)")) == [(None,), (Decimal("12.37"),)][::-1]
    refused("record 1 at byte .* has no feature x", read(bare, "x float not null").collect)
    write_tfrecord(spark.sql("select 1L id, cast(null as float) x union all select 2, 5f"), out)
    assert rows(read(out, "id long not null, x float")) == [(1, None), (2, 5.0)]
    strict = read(out, "id long, x float not null")
    refused("column x holds a null, the schema says NOT NULL", strict.collect)
    refused("column x holds a null", strict.selectExpr("sum(x)").collect)
    # No cast that a value does not survive.
    for schema, message in (("id boolean", "id"), ("x decimal(2,0)", "")):
        found = read(out, schema)
        if message:
            refused("column id is int64 and cannot be bool", found.collect)
        else:
            assert rows(found) == [(None,), (Decimal(5),)][::-1]
    third = str(tmp_path / "third")
    write_tfrecord(spark.sql("select 2.75f x"), third)
    refused("column x is float and cannot be decimal", read(third, "x decimal(4,1)").collect)

    kind = T.StructType().add("id", T.LongType()).add("v", VectorUDT())
    vectors = [(1, Vectors.dense(1.0, 2.5)), (2, SparseVector(3, {1: 4.0})), (3, None)]
    df = spark.createDataFrame(vectors, kind)
    target = str(tmp_path / "v")
    writer = df.write.format(name).mode("append")
    refused("column v: an Example does not hold double", lambda: writer.save(target))
    writer.option("narrow", "v:float").save(target)
    lists = [(1, [1.0, 2.5]), (2, [0.0, 4.0, 0.0]), (3, None)]
    assert rows(spark.read.format(name).load(target)) == lists
    dense = [(n, Vectors.dense(v) if v else None) for n, v in lists]
    assert rows(read(target, kind)) == dense
    assert read(target, kind).select("v").schema["v"].dataType == VectorUDT()


def test_rows_as_serialized_examples(spark: Any, tmp_path: Path) -> None:
    df = spark.sql(
        "select id, id / 2 d, array(id, 7L) l, if(id = 1, null, 't') s, array(array(1f)) ll "
        "from range(3)"
    )
    with pytest.raises(ConfigError, match="column d: an Example does not hold double"):
        to_example(df)
    found = df.select("id", to_example(df, narrow={"d": "float"}).alias("value")).orderBy("id")
    write_tfrecord(df.coalesce(1), str(tmp_path / "a"), narrow={"d": "float"})
    (entry,) = list_folder(str(tmp_path / "a")).files
    assert framed(*[bytes(row.value) for row in found.collect()]) == Path(entry.path).read_bytes()
    one = df.select(to_example(df, ["id"]).alias("value")).where("value is not null").collect()
    assert sorted(bytes(row.value) for row in one) == records(*range(3), kind=pa.int64(), name="id")
    with pytest.raises(ConfigError, match="there is no column q"):
        to_example(df, ["q"])


def test_writes_of_threads(spark: Any, tmp_path: Path) -> None:
    failed: list[str] = []

    def write(number: int) -> None:
        try:
            write_tfrecord(spark.range(number), str(tmp_path / str(number)))
            more = spark.range(2).write.format("tfrecord").mode("append")
            more.save(str(tmp_path / str(number)))
        except BaseException as error:
            failed.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert spark.read.format("tfrecord").load(str(tmp_path / "2")).count() == 4


def test_a_workers_error_keeps_its_reason(spark: Any, tmp_path: Path) -> None:
    deep = "1"
    for _ in range(100):
        deep = f"named_struct('s', {deep})"
    df = spark.sql(f"select {deep} c")
    for name in ("tfrecord", JVM):
        write = df.write.format(name).mode("append")
        refused(
            "column c: structs 100 deep, 50 is the most",
            lambda w=write: w.save(str(tmp_path / "a")),
        )
    trace = (
        "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
        '  File "a.py", line 1, in f\n    raise ValueError("x: y")\n'
        "pyarrow.lib.ArrowInvalid: Max recursion depth reached\n\n\tat org.apache.spark.X: no\n"
    )
    assert first_line(RuntimeError(trace)) == "Max recursion depth reached"


def test_a_file_alone_without_a_schema(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    Path(path).write_bytes(framed(*records(*range(1001)), *records("x", name="late")))
    with pytest.raises(TfsparkError, match="record 1001 .* holds late, which no sampled record"):
        list(read_file(path))
    assert sum(batch.num_rows for batch in read_file(path, columns=["x"])) == 1002
    layout = layout_of(pa.schema([("b", pa.binary(2))]), record_type="ByteArray")
    batch = pa.record_batch({"b": pa.array([b"ab", b"cd", b"ef"], pa.binary(2))})
    write_file(path, [batch.slice(1), batch.slice(0, 0)], layout)
    write_sidecar(str(tmp_path), layout)
    assert [b.to_pydict() for b in read_file(path)] == [{"b": [b"cd", b"ef"]}]
