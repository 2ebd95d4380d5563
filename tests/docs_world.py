"""The tables and models that the pages name, small, in a folder that stands for the reader's."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from deltalake import write_deltalake

from tests import saved_models as models
from tests.conftest import PASSENGERS, ROOT
from tests.images import pictures

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDERS = ("examples", "jobs", "schemas", "scripts")
Spec = models.Spec


def env(home: Path) -> dict[str, str]:
    """Few epochs, one rank, no gate: a page is about the calls, not about the model."""
    return {
        "TFSPARK_TRAINING__EPOCHS": "2",
        "TFSPARK_DISTRIBUTED__RANKS": "1",
        "TFSPARK_REGISTRY__GATE": "{}",
        "TFSPARK_PREPARE__COMPRESSION": "gzip",  # as docs/tfrecord.md sets it
        "TFSPARK_TUNE__TRIALS": "1",
        # The session's JVM does not stand in the reader's folder.
        "TFSPARK_WAREHOUSE": str(home / "warehouse"),
        "TFSPARK_SOURCE__PATH": str(PASSENGERS),
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/warehouse/mlflow.db",
    }


def make(home: Path) -> None:
    """What stands there before the reader begins."""
    for name in FOLDERS:
        (home / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "conf", home / "conf")
    rows = events()
    write_deltalake(str(home / "data/events"), rows.drop_columns(["id", "day", "price"]))
    write_deltalake(str(home / "tables/events"), rows)
    for folder in ("parquet", "raw/day", "folder"):
        (home / folder).mkdir(parents=True)
    pq.write_table(rows.select(["id", "price"]), home / "parquet" / "a.parquet")
    features = pa.array([[0.1, 0.2, 0.3]] * len(rows), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": rows["id"], "features": features}), home / "raw/day/a.parquet")
    recipe = home / "conf" / "cifar2.yaml"  # few images: no gate, and a small network
    said = recipe.read_text("utf-8").replace("{accuracy: 0.9}", "{}")
    recipe.write_text(said.replace("[24, 48, 96]", "[4, 8]"), "utf-8")
    (home / "data/cifar2").mkdir()
    pictures.zipped(home / "data/cifar2/images.zip", pictures.good(40).items())
    pictures.zipped(home / "photos.zip", pictures.good(4).items())
    for folder in ("models/ranker/7", "models/ranker/8"):
        ranker(home / folder)
    models.mlp(home / "models/mlp", features=3)
    for folder in ("models/m", "models/de", "models/fr", "models/rest"):
        plain(home / folder)
    survival(home / "models/passengers/3")


def events() -> pa.Table:
    """Rows with the columns of all pages' events, prices and features."""
    n = 40
    return pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "user_id": pa.array(range(n), pa.int64()),
            "event_id": pa.array(range(n), pa.int64()),
            "day": ["2026-01-01", "2026-01-02"] * (n // 2),
            "age": [20.0 + i for i in range(n)],
            "country": ["DE", "FR", "AT", "DE"] * (n // 4),
            "price": [i / 4 for i in range(n)],
            **{f"f{i}": pa.array([i / 10] * n, pa.float32()) for i in range(3)},
        }
    )


def passengers(spark: SparkSession, home: Path) -> Any:
    """The passengers with the columns that the scoring page's other models take."""
    from pyspark.sql import functions as F

    from tfspark.contracts import load_contract

    schema = load_contract(ROOT / "schemas" / "passengers.yaml").spark_schema()
    rows = spark.read.csv(str(PASSENGERS), schema, header=True)
    more = {f"f{i}": F.lit(i / 10).cast("float") for i in range(3)}
    more |= {"id": F.col("PassengerId"), "country": F.lit("DE")}
    rows.withColumns(more).write.mode("ignore").parquet(str(home / "tables" / "passengers"))
    return spark.read.parquet(str(home / "tables" / "passengers"))


def bad_row(spark: SparkSession, home: Path) -> None:
    """A row in quarantine, as `prepare` writes it."""
    from tfspark.quarantine import quarantine

    columns = "_tfspark_reasons array<string>, _tfspark_raw string"
    bad = spark.createDataFrame([(["Age: null"], "{}")], columns)
    day, target = dt.date(2026, 11, 20), str(home / "warehouse" / "quarantine")
    quarantine(bad, target, {"table": "passengers", "job": "prepare"}, day=day, run_id="1")


def register(name: str, folder: Path, versions: int) -> None:
    """So many versions of a model in the reader's store; `champion` is the last."""
    from tfspark.registry.connect import connect

    client = connect(os.environ["MLFLOW_TRACKING_URI"])
    client.create_registered_model(name)
    for _ in range(versions):
        client.create_model_version(name, str(folder))
    client.set_registered_model_alias(name, "champion", str(versions))


def ranker(folder: Path) -> str:
    """age, country → score."""

    def serve(age, country):  # type: ignore[no-untyped-def]
        return {"score": age / 100.0 + tf.cast(country == "DE", tf.float32)}

    inputs = [Spec([None], tf.float32, name="age"), Spec([None], tf.string, name="country")]
    return models.save(folder, inputs, serve)


def plain(folder: Path) -> str:
    """f0, f1 → p."""

    def serve(f0, f1):  # type: ignore[no-untyped-def]
        return {"p": f0 + f1}

    inputs = [Spec([None], tf.float32, name=name) for name in ("f0", "f1")]
    return models.save(folder, inputs, serve)


def survival(folder: Path) -> str:
    """Age, Sex → survival, known; a null age is NaN."""

    def serve(Age, Sex):  # type: ignore[no-untyped-def]
        known = tf.where(tf.math.is_nan(Age), 0.5, Age / 100.0)
        survived = known + tf.cast(Sex == "female", tf.float32)
        return {"survival": survived, "known": tf.logical_not(tf.math.is_nan(Age))}

    inputs = [Spec([None], tf.float32, name="Age"), Spec([None], tf.string, name="Sex")]
    return models.save(folder, inputs, serve)
