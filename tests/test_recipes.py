"""The recipes of conf/ beside that of passengers: prepare, train, score, a command each.

About 30 s, most of it Spark's and TensorFlow's.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.conftest import ROOT
from tests.serving.equal import served
from tests.sizes import size
from tfspark import score
from tfspark.cli import main
from tfspark.config import Split
from tfspark.prepare.split import split_of
from tfspark.registry.manifest import read_manifest
from tfspark.scoring import score_udf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def made_by(example: str) -> Any:
    """The script that makes an example's table, as a module."""
    spec = importlib.util.spec_from_file_location(example, ROOT / "examples" / example / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reviews, houses = made_by("reviews"), made_by("houses")


pytestmark = pytest.mark.usefixtures("whole_jobs")


@pytest.fixture
def warehouse(tmp_path: Path, empty_store: Path) -> Path:
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return tmp_path


def run(
    warehouse: Path, recipe: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], **more: Any
) -> tuple[dict[str, Any], pa.Table, str]:
    """Prepare, train and score; the manifest, the scored table, the model's folder."""
    table = warehouse / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *([_text(value) for value in row] for row in rows)])
    flags = {
        "config": ROOT / "conf" / f"{recipe}.yaml",
        "contract": ROOT / "schemas" / f"{recipe}.yaml",
        "source.path": table,
        "warehouse": warehouse,
        "registry.gate": "{}",
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    for job in ("prepare", "train", "score"):
        assert main(job, given) == 0, job
    folder = str(warehouse / "models" / recipe / "1")
    scored = DeltaTable(str(warehouse / "scored" / recipe)).to_pyarrow_table()
    return read_manifest(folder) or {}, scored.sort_by("id"), folder


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def test_reviews_reach_their_ceiling_and_raw_strings_score_alike(
    spark: SparkSession, warehouse: Path
) -> None:
    rows = list(reviews.rows(size(3_000, soak=30_000), seed=1))
    columns = ("id", "review", "sentiment")
    manifest, scored, folder = run(
        warehouse, "reviews", columns, [row[:3] for row in rows], training__epochs=8
    )
    split = Split(test=0.2, validation=0.1)
    test = [row for row in rows if split_of([row[0]], split) == "test"]
    ceiling = np.mean([label == said for _, _, label, said in test])
    assert manifest["metrics"]["test"]["rows"] == len(test)
    assert manifest["metrics"]["test"]["accuracy"] >= ceiling - 0.01

    p = scored["probability"].to_numpy()
    names = ["positive" if one else "negative" for one in p > np.float32(manifest["threshold"])]
    assert scored["predicted"].to_pylist() == names

    told = served(folder, {"review": [text for _, text, *_ in rows[:40]]}, "classes")
    assert [one["predicted"] for one in told] == names[:40]
    few = spark.createDataFrame([(n, text) for n, text, *_ in rows[:40]], "id long, review string")
    for plan in ("arrow", "jvm"):
        found = score(few, folder, keep=["id"], plan=plan, signature="classes")
        told = sorted(found.collect())
        assert np.allclose([row["probability"] for row in told], p[:40], atol=1e-6)
        assert [row["predicted"] for row in told] == names[:40]
    strict = score(
        few,
        folder,
        {"threshold": {"constant": 1.0}},
        keep=["id"],
        plan="arrow",
        signature="classes_at",
    )
    assert {row["predicted"] for row in strict.collect()} == {"negative"}
    score_udf(spark, folder).register("reviewed")
    few.createOrReplaceTempView("few_reviews")
    in_sql = spark.sql("SELECT reviewed(review) AS p FROM few_reviews ORDER BY id").collect()
    assert np.allclose([_number(row["p"]) for row in in_sql], p[:40], atol=1e-6)


def _number(value: Any) -> float:
    return float(value if isinstance(value, float) else value[0])


def test_houses_are_scored_in_prices(spark: SparkSession, warehouse: Path) -> None:
    rows = list(houses.rows(size(800, soak=8_000), seed=1))
    manifest, scored, _ = run(
        warehouse, "houses", houses.COLUMNS, rows, training__epochs=30, training__patience=30
    )
    assert manifest["metrics"]["test"]["r2"] > 0.85
    apart = np.log(scored["price"].to_numpy() / np.array([row[-1] for row in rows]))
    assert np.sqrt(np.mean(apart**2)) < 2.5 * houses.NOISE


VISITS = """
kind: DataContract
id: visits
version: 1.0.0
schema:
  - name: visits
    properties:
      - {name: id, physicalType: bigint, primaryKey: true, required: true, role: key}
      - {name: pages, physicalType: array<string>, tensor: {shape: [null], padValue: ""}}
      - name: seconds
        physicalType: array<double>
        tensor: {shape: [null], padValue: -1.0, nullValue: -1.0}
      - name: did
        physicalType: array<boolean>
        required: true
        role: label
        tensor: {shape: [2]}
"""
VISITS_RECIPE = """
name: visits
date: 2026-11-20
contract: {folder}/visits.yaml
source: {{format: parquet, path: '{folder}/visits.parquet'}}
warehouse: {folder}
prepare: {{split: {{test: 0.2, validation: 0.1}}}}
features:
  - {{kind: sequence, column: pages, values: [home, cart, help], encode: {{embedding: 4}}}}
  - {{kind: sequence, column: seconds, scale: 10.0, length: 3}}
model:
  builder: tfspark.models.text:recurrent
  params: {{size: 8, units: []}}
  task: multilabel
training: {{epochs: 12, batch_size: 16, learning_rate: 0.03}}
score: {{keep: [id]}}
"""


def test_lists_are_read_in_their_order_and_have_several_labels(
    spark: SparkSession, warehouse: Path
) -> None:
    """Whether the cart is the last page, which no bag of pages tells, and whether help is there."""
    draw = np.random.default_rng(3)
    pages = [
        draw.choice(["home", "cart", "help", "about"], draw.integers(0, 7)).tolist()
        for _ in range(500)
    ]
    table = pa.table(
        {
            "id": pa.array(range(500), pa.int64()),
            "pages": pages,
            "seconds": [
                draw.random(len(row)).tolist() if number % 9 else None
                for number, row in enumerate(pages)
            ],
            "did": [[row[-1:] == ["cart"], "help" in row] for row in pages],
        }
    )
    pq.write_table(table, warehouse / "visits.parquet")
    (warehouse / "visits.yaml").write_text(VISITS)
    config = warehouse / "recipe.yaml"
    config.write_text(VISITS_RECIPE.format(folder=warehouse))
    flags = ["--config", str(config)]
    for job in ("prepare", "train", "score"):
        assert main(job, flags) == 0, job
    folder = str(warehouse / "models" / "visits" / "1")
    metrics = (read_manifest(folder) or {})["metrics"]["test"]
    assert min(metrics[name] for name in ("auc", "accuracy", "f1", "exact")) > 0.9
    scored = DeltaTable(str(warehouse / "scored" / "visits")).to_pyarrow_table().sort_by("id")
    p = np.array(scored["probabilities"].to_pylist())
    assert p.shape == (500, 2)
    assert np.mean((p > 0.5) == np.array(table["did"].to_pylist())) > 0.95
    few = spark.read.parquet(str(warehouse / "visits.parquet")).where("id < 40")
    for plan in size(("arrow", "jvm"), soak=("arrow", "pandas", "jvm")):
        found = sorted(score(few, folder, keep=["id"], plan=plan).collect())
        assert np.allclose([row["probabilities"] for row in found], p[:40], atol=1e-6), plan
