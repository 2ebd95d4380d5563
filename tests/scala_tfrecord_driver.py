"""A driver with the Scala module: the same TFRecord folders through both sources, written down.

python scala_tfrecord_driver.py CLASSPATH FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tests.tfrecord.tables import LEAVES
from tfspark.tfrecord import layout_of, write_file, write_sidecar
from tfspark.tfrecord.folder import list_folder
from tfspark.tfrecord.source import FORMAT, register, write_tfrecord
from tfspark.tfrecord.verify import verify

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


def main(classpath: str, out: Path) -> None:
    settings = {
        "spark.driver.extraClassPath": classpath,
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(out / "warehouse"),
    }
    builder = SparkSession.builder.master("local[2]").appName("tfrecord")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        register(spark)
        result = {
            "python writes": python_writes(spark, out / "python"),
            "jvm writes": jvm_writes(spark, out / "jvm"),
        }
        (out / "result.json").write_text(json.dumps(result))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
