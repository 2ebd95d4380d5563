"""A driver with the Scala module: scores with Python and with the JVM, and writes both down.

python scala_driver.py MASTER CLASSPATH FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import models
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from tfspark.errors import TfsparkError
from tfspark.registry.manifest import write_manifest
from tfspark.registry.resolve import resolve_model
from tfspark.scoring.frame import bindings, score, with_result

ROWS = 5_000
TABLE = f"""
SELECT id,
  IF(id % 10 = 0, NULL, rand(1) * 80) AS age,
  IF(id % 7 = 0, NULL, IF(id % 2 = 0, 'male', 'fémale')) AS sex,
  IF(id % 1000 = 3, NULL, CAST(id % 9 AS int)) AS siblings,
  IF(id % 1000 = 4, NULL, id % 3 = 0) AS paid,
  array(rand(2), rand(3), rand(4), IF(id % 1000 = 5, 1e300D, rand(5))) AS features,
  elt(id % 4 + 1, 'red', 'green', 'blue', 'pink') AS word,
  sequence(1, id % 3 + 1) AS ids
FROM range({ROWS})
"""
WRONG: dict[str, tuple[str, dict[str, list[str]]]] = {
    "no folder": ("nowhere", {}),
    "versions": (".", {}),
    "unknown input": ("mixed", {"agee": ["age"]}),
    "unknown column": ("mixed", {"age": ["agee"]}),
    "no column": ("quoted", {}),
    "wrong type": ("mixed", {"age": ["sex"]}),
    "wrong depth": ("mlp", {"features": ["ids"], "x": ["id"]}),
    "too deep": ("lookup", {"word": ["ids"]}),
    "too few": ("mlp", {"features": ["id", "age"]}),
    "tampered": ("tampered", {}),
}


def by_jvm(
    df: DataFrame, model: str, inputs: dict[str, list[str]], keep: list[str], reasons: bool
) -> DataFrame:
    spark = df.sparkSession
    jvm: Any = spark._jvm  # type: ignore[attr-defined]
    frame = jvm.tfspark.Interop.score(df._jdf, model, inputs, keep, None, reasons)  # type: ignore[attr-defined]
    return DataFrame(frame, spark)


def make_models(folder: Path) -> None:
    models.mixed(folder / "mixed")
    models.mlp(folder / "mlp")
    models.lookup(folder / "lookup", folder / "words.txt")
    models.tokens(folder / "tokens")
    models.quoted(folder / "quoted")
    models.mlp(folder / "tampered")
    write_manifest(str(folder / "tampered"), {"inputs": {}})
    with (folder / "tampered" / "saved_model.pb").open("ab") as file:
        file.write(b"x")


def both(df: DataFrame, folder: Path, name: str) -> dict[str, Any]:
    """Predictions and reasons of both sides, by id; the model's folder is gone when they run."""
    model = str(folder / name)
    found = resolve_model(model)
    ours = with_result(df, found, bindings(df, found, None), ["id"], "arrow")
    python = ours.df.select(
        "id", *[value.alias(name) for name, value in ours.outputs.items()], ours.error.alias("why")
    )
    jvm = by_jvm(df, model, {}, ["id"], reasons=True).withColumnRenamed("_tfspark_reason", "why")
    shutil.rmtree(model)
    sides = {"jvm": jvm, "python": python}
    rows = {side: [r.asDict() for r in frame.collect()] for side, frame in sides.items()}
    return {**rows, "digest": found.digest}


def refusals(df: DataFrame, folder: Path) -> dict[str, list[list[Any]]]:
    """Message and exit code of both sides for what is wrong."""
    said = {}
    for what, (name, inputs) in WRONG.items():
        model, pair = str(folder / name) if name != "." else str(folder), []
        given: Any = {k: v[0] if len(v) == 1 else v for k, v in inputs.items()}
        try:
            score(df, model, given, ["id"])
        except TfsparkError as error:
            pair.append([str(error), error.exit_code])
        try:
            by_jvm(df, model, inputs, ["id"], reasons=False)
        except Py4JJavaError as error:
            java = error.java_exception
            pair.append([java.getMessage(), java.exitCode()])
        said[what] = pair
    return said


def main(master: str, classpath: str, out: Path) -> None:
    folder = out / "models"
    make_models(folder)
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
        "spark.sql.extensions": "tfspark.ScoreExtensions",
    }
    builder = SparkSession.builder.master(master).appName("scala")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        spark.sql(TABLE).repartition(4, "id").write.parquet(str(out / "table"))
        df = spark.read.parquet(str(out / "table"))
        names = ("mixed", "mlp", "lookup", "tokens")
        result = {"refusals": refusals(df, folder)}
        result |= {name: both(df, folder, name) for name in names}
        (out / "result.json").write_text(json.dumps(result))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
