"""A driver with the Scala module: Python and the JVM score the same rows, and are compared.

python -m tests.interop.driver MASTER CLASSPATH FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tests.interop.cases import CASES, Case
from tests.interop.refusals import refusals
from tests.sizes import size
from tfspark.scoring.kinds.bound import BoundModel, bind
from tfspark.scoring.kinds.resolve import resolve
from tfspark.scoring.plans.arrow import Arrow
from tfspark.scoring.plans.jvm import Jvm
from tfspark.tables import quote

PLANS = (Arrow(), Jvm())


def both(spark: SparkSession, case: Case, folder: Path) -> dict[str, Any]:
    """Rows, reasons and predictions of both sides compared, and who opened the model."""
    model, table = folder / "model", str(folder / "table")
    folder.mkdir()
    case.export(model)
    case.write(spark, table)
    found, df = resolve(str(model)), spark.read.parquet(table)
    bound = BoundModel(found, bind(df, found, None), ("id",))
    runs = {plan.name: plan.results(df, bound, bound.kept) for plan in PLANS}
    shutil.rmtree(model)
    log = folder.parent / "cache" / f"{found.digest}.loads"
    loads: list[list[str]] = []
    for plan, run in runs.items():
        values = [value.alias(name) for name, value in run.outputs.items()]
        run.df.select("id", *values, run.error.alias("_why")).write.parquet(str(folder / plan))
        loads.append(log.read_text().split("\n")[:-1])
    said = compare(*(spark.read.parquet(str(folder / plan)) for plan in runs))
    unpacked = [path.name for path in log.parent.iterdir() if path.is_dir()].count(found.digest)
    return {**said, "loads": loads[1][len(loads[0]) :], "unpacked": unpacked}


def compare(one: DataFrame, other: DataFrame) -> dict[str, Any]:
    """By id: how many rows each has, how many reasons differ, and by how much predictions do."""
    assert one.schema == other.schema
    a, b = one.alias("a"), other.alias("b")
    far = [
        distance(F.col(f"a.{quote(field.name)}"), F.col(f"b.{quote(field.name)}"), field.dataType)
        for field in one.schema
        if field.name not in ("id", "_why")
    ]
    joined = a.join(b, F.col("a.id") == F.col("b.id"), "full_outer")
    result = joined.agg(
        F.count("a.id").alias("one"),
        F.count("b.id").alias("other"),
        F.count(F.lit(1)).alias("joined"),
        F.count("a._why").alias("bad"),
        F.count(F.when(~F.col("a._why").eqNullSafe(F.col("b._why")), 1)).alias("reasons"),
        F.max(F.greatest(F.lit(0.0), *far)).alias("difference"),
    )
    return result.collect()[0].asDict()


def distance(a: Column, b: Column, kind: T.DataType) -> Column:
    """How far numbers are apart, of large ones in their own size; infinite if not comparable."""
    infinite = F.lit(float("inf"))
    if isinstance(kind, T.ArrayType):
        element = kind.elementType
        each = F.zip_with(a, b, lambda x, y: distance(x, y, element))
        whole = F.aggregate(each, F.lit(0.0), lambda most, d: F.greatest(most, d))
        same_size = F.coalesce(F.size(a), F.lit(-1)) == F.coalesce(F.size(b), F.lit(-1))
        apart = F.when(same_size, whole)
    elif isinstance(kind, T.FractionalType):
        x, y = a.cast("double"), b.cast("double")
        apart = F.nanvl(F.abs(x - y) / F.greatest(F.lit(1.0), F.abs(x)), infinite)
    else:
        apart = infinite
    return F.when(a.eqNullSafe(b), 0.0).otherwise(F.coalesce(apart, infinite))


def main(master: str, classpath: str, out: Path) -> None:
    natives = f"-Dorg.bytedeco.javacpp.cachedir={os.environ['JAVACPP_CACHE']}"
    settings = {
        "spark.driver.extraClassPath": classpath,
        "spark.executor.extraClassPath": classpath,
        "spark.executor.extraJavaOptions": natives,
        "spark.executorEnv.TFSPARK_MODEL_CACHE": str(out / "cache"),
        "spark.executorEnv.CUDA_VISIBLE_DEVICES": "-1",
        "spark.executor.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": size("1000", soak="10000"),
        "spark.sql.extensions": "tfspark.ScoreExtensions",
    }
    builder = SparkSession.builder.master(master).appName("scala")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        result = {name: both(spark, case, out / name) for name, case in CASES.items()}
        said = refusals(spark, out / "refused")
        (out / "result.json").write_text(json.dumps({"cases": result, "refusals": said}))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
