"""What is wrong with a model, a table or a row, and what both sides say of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
import yaml
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tests import saved_models as models
from tests.conftest import ROOT
from tests.old.make import HERE, edited
from tfspark.errors import TfsparkError
from tfspark.registry.manifest import write_manifest
from tfspark.scoring.frame import score

ROWS = """
SELECT id, 20.0D AS age, 'x' AS sex, 1 AS siblings, true AS paid, array(1, 2) AS ids,
  float(id) AS x
FROM range(1)
"""
SPEC = yaml.safe_load((ROOT / "spec" / "refusals.yaml").read_text("utf-8"))
# Of each: the model, the columns of its inputs, and the signature.
WRONG: dict[str, tuple[str, dict[str, list[str]], str | None]] = {
    case["name"]: (case["model"], case["inputs"], case.get("signature")) for case in SPEC["models"]
}
# Rows that end a query.
POISON = {case["name"]: (case["model"], case["column"], case["value"]) for case in SPEC["rows"]}


def refusals(spark: SparkSession, folder: Path) -> dict[str, list[list[Any]]]:
    """Class, message and exit code of both sides, for everything that is wrong."""
    make_models(folder)
    df = spark.sql(ROWS)
    said = {}
    for what, (name, inputs, signature) in WRONG.items():
        model, given = named(folder, name), columns_of(inputs)
        said[what] = [
            of_python(df, model, given, signature),
            of_jvm(df, model, inputs, signature),
        ]
    for what in POISON:
        poisoned, model = poison(df, folder, what)
        python = failed(score(poisoned, model, keep=["id", "sex"], plan="arrow"))
        jvm = failed(by_jvm(poisoned, model, {}, ["id", "sex"]))
        said[what] = [[python], [jvm]]
    return said


def named(folder: Path, name: str) -> str:
    return str(folder / name) if name != "." else str(folder)


def columns_of(inputs: dict[str, list[str]]) -> dict[str, Any]:
    return {k: v[0] if len(v) == 1 else v for k, v in inputs.items()}


def poison(df: DataFrame, folder: Path, what: str) -> tuple[DataFrame, str]:
    """A row with one bad value, and the model that meets it."""
    name, column, value = POISON[what]
    poisoned = df.selectExpr("*", f"{value} AS bad").drop(column)
    return poisoned.withColumnRenamed("bad", column), str(folder / name)


def make_models(folder: Path) -> None:
    folder.mkdir()
    models.mixed(folder / "mixed")
    models.mlp(folder / "mlp")
    models.picky(folder / "picky")
    models.lookup(folder / "lookup", folder / "words.txt")
    spec = tf.TensorSpec([None], tf.float32, name="x")
    models.save(folder / "taken", [spec], lambda x: {"ID": x})
    path = [tf.TensorSpec([None], tf.string, name="sex")]
    models.save(folder / "unsafe", path, lambda p: {"read": tf.map_fn(tf.io.read_file, p)})
    for name in ("tampered", "more", "less", "scribbled"):
        shutil.copytree(folder / "mlp", folder / name)
        write_manifest(str(folder / name), {"inputs": {}})
    with (folder / "tampered" / "saved_model.pb").open("ab") as file:
        file.write(b"x")
    (folder / "more" / "assets" / "more.txt").parent.mkdir(exist_ok=True)
    (folder / "more" / "assets" / "more.txt").write_text("more")
    next((folder / "less" / "variables").glob("*.index")).unlink()
    (folder / "scribbled" / "tfspark.json").write_text('{"digest": 1')
    shutil.copytree(folder / "mlp", folder / "linked")
    (folder / "linked" / "assets").mkdir(exist_ok=True)
    (folder / "linked" / "assets" / "words.txt").symlink_to(folder / "words.txt")
    shutil.copytree(folder / "mlp", folder / "damaged")
    (folder / "damaged" / "saved_model.pb").write_bytes(b"\xff" * 100)
    shutil.copytree(folder / "mlp", folder / "forms")
    (folder / "forms" / "saved_model.cpb").write_bytes(b"another graph")
    shutil.copytree(HERE / "counter", folder / "old" / "counter")
    tf.saved_model.save(tf.Module(), str(folder / "old" / "bare"))
    shutil.copytree(folder / "mlp", folder / "old" / "mute")
    edited(folder / "old" / "mute", _mute)
    (folder / "empty").mkdir()
    (folder / "file").write_text("no model")


def _mute(model: Any) -> None:
    model.meta_graphs[0].signature_def["serving_default"].outputs.clear()


def by_jvm(
    df: DataFrame,
    model: str,
    inputs: dict[str, list[str]],
    keep: list[str],
    signature: str | None = None,
) -> DataFrame:
    """The module's own binding and messages, not Python's."""
    spark = df.sparkSession
    jvm: Any = spark._jvm  # type: ignore[attr-defined]
    frame = jvm.tfspark.Interop.score(df._jdf, model, inputs, keep, signature, False)  # type: ignore[attr-defined]
    return DataFrame(frame, spark)


def of_python(
    df: DataFrame, model: str, inputs: dict[str, Any], signature: str | None = None
) -> list[Any]:
    try:
        score(df, model, inputs, ["id"], signature=signature)
    except TfsparkError as error:
        return [type(error).__name__, str(error), error.exit_code]
    return []


def of_jvm(
    df: DataFrame, model: str, inputs: dict[str, list[str]], signature: str | None = None
) -> list[Any]:
    try:
        by_jvm(df, model, inputs, ["id"], signature)
    except Py4JJavaError as error:
        java = error.java_exception
        if not java.getClass().getName().startswith("tfspark."):
            return [java.toString()]
        return [java.getClass().getSimpleName(), java.getMessage(), java.exitCode()]
    return []


def failed(df: DataFrame) -> str:
    """What a query says of the row that ends it, without what Spark says around it."""
    try:
        df.collect()
    except (PySparkException, Py4JJavaError) as error:
        found = re.search(r"model .+? a quarantine table", str(error))
        return found[0] if found else json.dumps(str(error)[:2000])
    return ""
