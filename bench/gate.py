"""What it costs to judge two models, beside what it costs that one of them scores the rows.

    python -m bench gate
    python -m bench gate --rows 200000

A dataset of 16 doubles and a label in Parquet, an MLP 16-64-64-1 and another one. In turns: the
whole verdict (both score, in a process each; DeLong, losses, slices, checks), and one model that
scores the same rows in the same way. Both start their processes, which takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

BAR = 1.2
_COLUMNS = [f"f{i}" for i in range(16)]


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the bar is missed. See --help."""
    parser = argparse.ArgumentParser(prog="python -m bench gate", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the test split")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(argv)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    folder = Path(tempfile.mkdtemp(prefix="tfspark-bench-"))
    try:
        made_of = dataset(folder, given.rows)
        for number in (1, 2):
            model(folder / "models" / "bench" / str(number), made_of, number)
        found = [turn(folder) for _ in range(given.repeats)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    one, both = (sorted(seconds)[len(seconds) // 2] for seconds in zip(*found, strict=True))
    print(f"{given.rows:,} rows, medians of {given.repeats}")
    print(f"one model scores them    {one:7.2f} s")
    print(f"the verdict on two       {both:7.2f} s   x {both / one:.2f}, at most {BAR}")
    return int(both > BAR * one)


def turn(folder: Path) -> tuple[float, float]:
    from tfspark.config import load_settings
    from tfspark.dataset import open_dataset
    from tfspark.judge import job
    from tfspark.judge.scores import Opponent, score_all
    from tfspark.registry.resolve import resolve_model
    from tfspark.registry.tracking import Version
    from tfspark.training.readers.label import Label

    settings = load_settings(None, {"warehouse": str(folder), "name": "bench"})
    folders = [resolve_model(str(folder / "models" / "bench" / str(n))) for n in (1, 2)]
    began = time.perf_counter()
    data = open_dataset(str(folder / "datasets" / "bench" / "1"))
    data.verify()
    one = Opponent("one", folders[0], "probability")
    score_all(data, Label("y", [0, 1]), [one], [], 3600, {})
    middle = time.perf_counter()
    job._folder = lambda _, version: folders[version.number - 1]  # not of a registry
    versions = [Version(n, None, complete=True, gate="passed") for n in (1, 2)]
    verdict = job._judge(None, settings, *versions)
    ended = time.perf_counter()
    print(f"{verdict.verdict}: {verdict.reason}")
    return middle - began, ended - middle


def dataset(warehouse: Path, rows: int) -> dict[str, Any]:
    """Rows whose label is drawn by the sum of the columns; what a manifest says of it."""
    from tfspark import storage

    folder = warehouse / "datasets" / "bench" / "1"
    properties: list[dict[str, Any]] = [
        {"name": "id", "physicalType": "bigint", "primaryKey": True, "required": True},
        {"name": "y", "physicalType": "int", "role": "label", "validValues": [0, 1]},
        *({"name": name, "physicalType": "double"} for name in _COLUMNS),
    ]
    table = {"name": "bench", "properties": properties}
    contract = {"kind": "DataContract", "id": "bench", "version": "1", "schema": [table]}
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract))
    for split in ("train", "validation", "test"):
        (folder / split).mkdir()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, len(_COLUMNS)))
    y = (rng.random(rows) < 1 / (1 + np.exp(-x.sum(1) / 4))).astype("int32")
    columns = dict(zip(_COLUMNS, x.T, strict=True))
    whole = pa.table({"id": np.arange(rows), "y": y, **columns})
    path = folder / "test" / "part-0.parquet"
    pq.write_table(whole, path, row_group_size=128 * 1024)
    entry = {"rows": rows, "bytes": path.stat().st_size, "sha256": storage.sha256(str(path))}
    manifest = {
        **{"name": "bench", "version": 1, "day": None, "digest": "bench", "format": "parquet"},
        "rows": {"train": 0, "validation": 0, "test": rows},
        "files": {"test/part-0.parquet": entry},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {"name": "bench", "version": 1, "digest": "bench"}


def model(folder: Path, made_of: dict[str, Any], seed: int) -> None:
    """f0 to f15 → probability: two hidden layers of 64."""
    import tensorflow as tf

    from tfspark.registry.manifest import write_manifest

    rng = np.random.default_rng(seed)
    module = tf.Module()
    sizes = [(16, 64), (64, 64)]
    module.hidden = [
        tf.Variable(rng.normal(0, 0.01, s) + np.eye(*s), dtype=tf.float32) for s in sizes
    ]
    module.last = tf.Variable(np.ones((64, 1)) / 4, dtype=tf.float32)

    def serve(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.cast(tf.stack(given, 1), tf.float32)
        for weights in module.hidden:
            rows = tf.nn.leaky_relu(rows @ weights, 0.9)
        return {"probability": tf.sigmoid(rows @ module.last)}

    signature = [tf.TensorSpec([None], tf.float64, name=name) for name in _COLUMNS]
    module.serve = tf.function(serve, signature, autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    fields = {
        **{"name": "bench", "version": folder.name, "dataset": made_of, "classes": [0, 1]},
        "inputs": {name: {"dtype": "float64", "shape": [], "null": None} for name in _COLUMNS},
        "recipe": {"model": {"task": "binary"}},
    }
    write_manifest(str(folder), fields)
