"""A small job that does what most jobs do: `classes.py` keeps the classes of Java that it uses."""

import tempfile
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def main() -> None:
    spark = SparkSession.builder.config("spark.sql.shuffle.partitions", 2).getOrCreate()
    rows = spark.range(1000).selectExpr("id", "id % 7 AS k", "string(id) AS s")
    with tempfile.TemporaryDirectory() as folder:
        rows.write.format("delta").save(f"{folder}/delta")
        table = spark.read.format("delta").load(f"{folder}/delta")
        table.where("id > 5").groupBy("k").agg(F.countDistinct("s")).collect()
        table.mapInArrow(_same, table.schema).toPandas()
    spark.stop()


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


if __name__ == "__main__":
    main()
