"""A driver with the Scala module: the same TFRecord folders through both sources, written down.

python -m tests.interop.tfrecord_driver CLASSPATH FOLDER [endless]
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tests.tfrecord.tables import LEAVES
from tfspark.errors import TfsparkError
from tfspark.tfrecord import layout_of, write_file, write_sidecar
from tfspark.tfrecord.folder.manifest import list_folder
from tfspark.tfrecord.folder.verify import verify
from tfspark.tfrecord.spark.source import FORMAT, own_errors, register, write_tfrecord

JVM = "tfspark_tfrecord_jvm"
SHAPES = ("value", "list", "large", "fixed", "lists", "struct")
COMPRESSIONS = {"none": "", "gzip": ".gz", "zlib": ".zlib"}
DAY = 86_400
_INTEGERS = {
    "time64[us]": [0, DAY * 1_000_000 - 1, 1],
    "time32[s]": [0, DAY - 1, 1],
    "timestamp[us]": [0, -(1 << 62), 1 << 62],
    "timestamp[ns, tz=Europe/Berlin]": [0, -1_000_000_007_000, 4_000_000_000_000_001_000],
    "duration[ms]": [0, -(1 << 52), 1 << 52],
    "date32[day]": [0, -(1 << 30), 1 << 30],
}


def values_of(kind: pa.DataType) -> pa.Array:
    """Three values: a plain one and the extremes."""
    if str(kind) in _INTEGERS:
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(_INTEGERS[str(kind)], wide).view(kind)
    if pa.types.is_boolean(kind):
        return pa.array([True, False, True])
    if pa.types.is_integer(kind):
        least = 0 if pa.types.is_unsigned_integer(kind) else -(1 << kind.bit_width - 1)
        most = (1 << kind.bit_width - (least < 0)) - 1
        return pa.array([1, least, most], kind)
    if pa.types.is_float16(kind):
        return pa.array([1.5, -65504.0, 6e-8], pa.float32()).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array([0.5, float("-inf"), float("nan")], kind)
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([b"\x00\xff\x80", b"abc", b"   "], kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array(["é𝄞", "", "a" * 300], kind)
    return pa.array([b"\xff\x00", b"", b"b" * 300], kind)


def column(kind: pa.DataType, shape: str) -> pa.Array:
    """Four rows of a type: values, a null, empty lists, nulls for inner lists."""
    one = values_of(kind)
    if shape == "value":
        return pa.concat_arrays([one, pa.nulls(1, kind)])
    if shape == "struct":
        inner = pa.StructArray.from_arrays([column(kind, "value")], ["v"])
        fields = [column(kind, "list"), inner]
        here = pa.array([False, False, True, False])  # a null struct; last: a struct of nulls
        return pa.StructArray.from_arrays(fields, ["a", "s"], mask=here)
    if shape == "fixed":
        values = pa.concat_arrays([one, one, pa.nulls(2, kind)]).slice(0, 8)
        mask = pa.array([False, False, False, True])
        return pa.FixedSizeListArray.from_arrays(values, 2, mask=mask)
    many = pa.concat_arrays([one, one.slice(1, 2)])
    if shape == "large":
        return pa.LargeListArray.from_arrays(pa.array([0, 3, None, 3, 5], pa.int64()), many)
    lists = pa.ListArray.from_arrays(pa.array([0, 3, None, 3, 5], pa.int32()), many)
    if shape == "list":
        return lists
    inner = pa.concat_arrays([lists, lists])
    return pa.ListArray.from_arrays(pa.array([0, 4, None, 4, 8], pa.int32()), inner)


def table(shape: str) -> pa.Table:
    """A column of every type of the codec's suite."""
    columns = {str(kind): column(kind, shape) for kind in LEAVES}
    return pa.table({"n": pa.array([0, 1, 2, 3]), **columns})


def laid(df: DataFrame) -> list[str]:
    """Rows as text with a hash, by `n`; exact, also for what Python's own types do not hold."""
    names = [c for c in df.columns if c != "n"]
    ways = [f"struct(CAST(`{c}` AS STRING) AS t, xxhash64(`{c}`) AS h) AS `{c}`" for c in names]
    return [str(row) for row in df.selectExpr("n", *ways).orderBy("n").collect()]


def read(spark: SparkSession, name: str, path: Path, **options: Any) -> DataFrame:
    return spark.read.format(name).options(**options).load(str(path))


def both(spark: SparkSession, path: Path, **options: Any) -> dict[str, Any]:
    """The schema and the rows that each side gives."""
    found = {}
    for side, name in (("python", FORMAT), ("jvm", JVM)):
        df = read(spark, name, path, **options)
        found[side] = {"schema": df.schema.simpleString(), "rows": laid(df)}
    return found


def python_writes(spark: SparkSession, folder: Path) -> dict[str, Any]:
    said = {}
    for shape in SHAPES:
        rows = table(shape)
        layout = layout_of(rows.schema)
        for compression, suffix in COMPRESSIONS.items():
            path = folder / f"{shape}-{compression}"
            path.mkdir(parents=True)
            write_file(str(path / f"a.tfrecord{suffix}"), rows.to_batches(), layout)
            write_sidecar(str(path), layout)
            said[f"{shape} {compression}"] = both(spark, path)
    return said


def contents(path: Path) -> dict[str, list[Any]]:
    """Of every partition: the rows and the sums of its files' bytes before compression."""
    found: dict[str, list[Any]] = {}
    for entry in list_folder(str(path)).files:
        data = Path(entry.path).read_bytes()
        if entry.path.endswith((".gz", ".zlib")):
            data = zlib.decompress(data, 47)
        name = str(Path(entry.path).parent.relative_to(path))
        found.setdefault(name, []).append([entry.rows, hashlib.sha256(data).hexdigest()])
    return found


def jvm_writes(spark: SparkSession, folder: Path) -> dict[str, Any]:
    """What Python reads of what the JVM wrote, beside what Python wrote of the same rows."""
    said = {}
    for shape in SHAPES:
        source = read(spark, FORMAT, folder.parent / "python" / f"{shape}-none").coalesce(1)
        for compression in COMPRESSIONS:
            paths = {side: folder / f"{shape}-{compression}-{side}" for side in ("python", "jvm")}
            write_tfrecord(source, str(paths["python"]), compression=compression)
            source.write.format(JVM).option("compression", compression).save(str(paths["jvm"]))
            said[f"{shape} {compression}"] = {
                side: {
                    "rows": laid(read(spark, FORMAT, path)),
                    "bytes": contents(path),
                    "sidecar": json.loads((path / "_schema.json").read_text()),
                    "verify": verify(str(path)).named,
                }
                for side, path in paths.items()
            }
    return said


def numbers(spark: SparkSession, count: int, start: int = 0) -> DataFrame:
    day = "date_add(DATE'2026-01-01', CAST(id % 2 AS int)) AS d"
    text = "IF(id % 5 = 0, NULL, 'a/b=%é ') AS p"
    return spark.range(start, start + count, 1, 1).selectExpr("id AS n", day, text)


def taking_turns(spark: SparkSession, folder: Path) -> dict[str, Any]:
    """Writes of both sides to one partitioned folder, read by both after each."""
    path, said = str(folder), {}
    by = ["d", "p"]

    def jvm(mode: str, df: DataFrame, **options: str) -> None:
        df.write.format(JVM).mode(mode).partitionBy(*by).options(**options).save(path)

    def python(mode: str, df: DataFrame, **options: str) -> None:
        write_tfrecord(df, path, mode, partition_by=by, **options)

    dynamic = {"partitionOverwriteMode": "dynamic"}
    steps = {
        "jvm begins": lambda: jvm("error", numbers(spark, 40)),
        "python appends": lambda: python("append", numbers(spark, 20, 40)),
        "jvm appends": lambda: jvm("append", numbers(spark, 20, 60), compression="zlib"),
        "python replaces": lambda: python("overwrite", numbers(spark, 1, 6), **dynamic),
        "jvm replaces": lambda: jvm("overwrite", numbers(spark, 1, 7), **dynamic),
        "jvm overwrites": lambda: jvm("overwrite", numbers(spark, 10)),
        "python overwrites": lambda: python("overwrite", numbers(spark, 12)),
    }
    for what, step in steps.items():
        step()
        said[what] = {**both(spark, folder), "verify": verify(path).named}
        said[what]["count"] = len(said[what]["jvm"]["rows"])
    return said


def cause(error: Exception) -> list[Any]:
    """Message and exit code of the exception of ours that is behind one of Spark's."""
    java: Any = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    while java is not None:
        if java.getClass().getName().startswith("tfspark."):
            return [java.getMessage(), java.exitCode()]
        java = java.getCause()
    raise error


def refusals(spark: SparkSession, folder: Path) -> dict[str, list[list[Any]]]:
    """Message and exit code of both sides for what is wrong."""
    there, damaged, plain = folder / "there", folder / "damaged", folder / "plain"
    write_tfrecord(numbers(spark, 10), str(there), partition_by=["d"])
    rows = pa.table({"a": [1, 2], "t": ["x", "y"]})
    for path in (damaged, plain):
        path.mkdir()
        write_file(str(path / "a.tfrecord"), rows.to_batches(), rows.schema)
    content = bytearray((damaged / "a.tfrecord").read_bytes())
    content[20] ^= 1
    (damaged / "a.tfrecord").write_bytes(content)
    later = folder / "later"
    later.mkdir()
    (later / "_manifest.json").write_text('{"format": "tfrecord", "version": 2}')

    def reading(path: Path, schema: str | None = None, **options: str) -> Any:
        def run(name: str) -> None:
            reader = spark.read.format(name).options(**options)
            (reader.schema(schema) if schema else reader).load(str(path)).collect()

        return run

    def writing(sql: str, path: Path, mode: str = "append", by: str = "", **options: str) -> Any:
        def run(name: str) -> None:
            df = spark.sql(sql)
            if name == JVM:
                writer = df.write.format(JVM).mode(mode).options(**options)
                (writer.partitionBy(by) if by else writer).save(str(path))
            else:
                write_tfrecord(df, str(path), mode, [by] if by else [], **options)

        return run

    cases = {
        "no folder": reading(folder / "nowhere"),
        "no pattern": reading(folder / "*.x"),
        "empty folder": reading(folder.parent),
        "unknown option": reading(there, colour="red"),
        "wrong option": reading(there, onCorrupt="maybe"),
        "wrong number": reading(there, inferRecords="many"),
        "unknown column": reading(there, columns="q"),
        "unknown column of a schema": reading(there, "q int"),
        "no condition": reading(there, where="d > "),
        "no partition column": reading(there, where="n = 1"),
        "no date": reading(there, where="d = 'x'"),
        "damage": reading(damaged, "a long"),
        "damage, sampled": reading(damaged),
        "another type": reading(plain, "t int"),
        "a later version": reading(later),
        "a double": writing("SELECT 1D AS x", folder / "new"),
        "a decimal": writing("SELECT 1.5 AS x", folder / "new"),
        "a map": writing("SELECT map(1, 2) AS x", folder / "new"),
        "a struct in a list": writing("SELECT array(struct(1 AS a)) AS x", folder / "new"),
        "too deep": writing("SELECT array(array(array(1))) AS x", folder / "new"),
        "narrow too much": writing("SELECT 1 AS x", folder / "new", narrow="x:float"),
        "narrow nothing": writing("SELECT 1 AS x", folder / "new", narrow="y:float"),
        "one feature twice": writing("SELECT 1 AS `s.a`, struct(1 AS a) AS s", folder / "new"),
        "holds data": writing("SELECT 1 AS x", there, "error"),
        "other columns": writing("SELECT 1 AS x", there, by="x"),
        "other type": writing("SELECT 1 AS n, DATE'2026-01-01' AS d, '' AS p", there, by="d"),
        "other partitions": writing("SELECT 1L AS n, DATE'2026-01-01' AS d, '' AS p", there),
        "no column to part by": writing("SELECT 1 AS x", folder / "new", by="y"),
        "floats to part by": writing("SELECT 1F AS x, 1 AS y", folder / "new", by="x"),
        "no schema": writing("SELECT 1L AS a, '' AS t", plain),
        "a file": writing("SELECT 1 AS x", plain / "a.tfrecord"),
    }
    said: dict[str, list[list[Any]]] = {}
    for what, run in cases.items():
        said[what] = []
        try:
            with own_errors(what):
                run(FORMAT)
        except TfsparkError as error:
            said[what].append([str(error), error.exit_code])
        try:
            run(JVM)
        except (PySparkException, Py4JJavaError) as error:
            said[what].append(cause(error))
    assert not (folder / "new").exists()
    return said


def names(spark: SparkSession, folder: Path) -> dict[str, Any]:
    """Who answers to which name in one session, registered twice."""
    path = str(folder)
    numbers(spark, 3).write.format(JVM).save(path)
    register(spark)
    found = {}
    for name in ("tfrecord", FORMAT, JVM):
        plan = spark.read.format(name).load(path)._jdf.queryExecution().toString()  # type: ignore[attr-defined]
        found[name] = "python" if "Python" in plan else "jvm"
    return found


def session(classpath: str, out: Path) -> SparkSession:
    settings = {
        "spark.driver.extraClassPath": classpath,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(out / "warehouse"),
    }
    builder = SparkSession.builder.master("local[2]").appName("tfrecord")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def endless(spark: SparkSession, folder: Path) -> None:
    """Rows that are there, and a write that somebody has to kill."""
    numbers(spark, 10).write.format(JVM).save(str(folder))
    numbers(spark, 1 << 40).write.format(JVM).mode("append").save(str(folder))


def main(classpath: str, out: Path, what: str = "all") -> None:
    spark = session(classpath, out)
    if what == "endless":
        endless(spark, out / "endless")
    try:
        register(spark)
        (out / "refusals").mkdir()
        result = {
            "python writes": python_writes(spark, out / "python"),
            "jvm writes": jvm_writes(spark, out / "jvm"),
            "taking turns": taking_turns(spark, out / "turns"),
            "refusals": refusals(spark, out / "refusals"),
            "names": names(spark, out / "names"),
        }
        (out / "result.json").write_text(json.dumps(result))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
