"""All plans, of `score` and of `score_table`, and bare TensorFlow: the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

import tfspark
from tests import saved_models as models
from tests.sizes import size

ROWS = size(30_000, soak=1_000_000)
FILES, GROUP = 4, ROWS // 40
FEATURES = [f"f{i}" for i in range(4)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """in: id and four floats, in no order; m: the model; the file `bare.npy`: its scores by id."""
    folder = tmp_path_factory.mktemp("plans")
    model = models.mlp(folder / "m")
    rng = np.random.default_rng(11)
    ids, rows = rng.permutation(ROWS), rng.normal(size=(ROWS, 4)).astype("float32")
    (folder / "in").mkdir()
    for number, part in enumerate(np.array_split(np.arange(ROWS), FILES)):
        columns = {"id": ids[part]} | {n: rows[part, i] for i, n in enumerate(FEATURES)}
        path = folder / "in" / f"part-{number}.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=GROUP)
    bare = tf.saved_model.load(model).signatures["serving_default"](features=tf.constant(rows))
    by_id = np.empty(ROWS, "float32")
    by_id[ids] = bare["score"].numpy()[:, 0]
    np.save(folder / "bare.npy", by_id)
    return folder


def check(found: pa.Table, bare: np.ndarray) -> None:
    """Every id once, with the bare model's score."""
    ids = found["id"].to_numpy()
    assert len(ids) == ROWS
    scores = np.full(ROWS, np.nan, "float32")
    scores[ids] = found["score"].to_numpy()
    assert np.abs(scores - bare).max() <= 1e-6  # not so if an id is missing: NaN


@pytest.mark.parametrize("plan", ["scan", "arrow", "pandas", "jvm"])
def test_score(spark: SparkSession, table: Path, plan: str) -> None:
    df = spark.read.parquet(str(table / "in"))
    scored = tfspark.score(df, str(table / "m"), {"features": FEATURES}, ["id"], plan)
    # To files and not to the driver: its JVM is small.
    to = str(table / f"scored-{plan}")
    scored.write.parquet(to)
    check(pq.read_table(to), np.load(table / "bare.npy"))


@pytest.mark.parametrize("plan", ["scan", "arrow", "pandas", "jvm"])
def test_score_table(spark: SparkSession, table: Path, plan: str) -> None:
    to = str(table / f"table-{plan}")
    summary = tfspark.score_table(
        spark, str(table / "in"), str(table / "m"), to, "2026-11-20",
        inputs={"features": FEATURES}, keep=["id"], plan=plan,
    )  # fmt: skip
    assert (summary.plan, summary.scored, summary.quarantined) == (plan, ROWS, 0)
    day = Path(to) / "day=2026-11-20"
    check(pq.read_table(day, columns=["id", "score"]), np.load(table / "bare.npy"))
