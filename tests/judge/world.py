"""A dataset and small models of it whose merits are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.saved_models import Spec, save
from tests.training.small_table import write_dataset
from tfspark.registry.manifest import write_manifest

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "physicalType": "bigint", "primaryKey": True, "required": True, "role": "key"},
    {"name": "y", "physicalType": "int", "role": "label", "validValues": [0, 1]},
    {"name": "amount", "physicalType": "double"},
    {"name": "x", "physicalType": "double", "required": True},
    {"name": "z", "physicalType": "double", "required": True},
    {"name": "country", "physicalType": "string"},
]
SPLIT = {"by": "hash", "seed": 0, "validation": 0.1, "test": 0.6}
ROWS = 5000
RIGHT = {"x": 1.5, "z": 1.0}
"""The weights by which the label is drawn."""


def rows(seed: int = 0) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, ROWS))
    y = rng.random(ROWS) < 1 / (1 + np.exp(-(RIGHT["x"] * x + RIGHT["z"] * z)))
    country = rng.choice(["AT", "DE", "FR", "IT", "LU"], ROWS, p=[0.2, 0.3, 0.25, 0.24, 0.01])
    return {
        "id": list(range(ROWS)),
        "y": y.astype(int).tolist(),
        "amount": (x * 10 + z * 5 + rng.normal(size=ROWS)).tolist(),
        "x": x.tolist(),
        "z": z.tolist(),
        "country": [None if i % 50 == 0 else str(c) for i, c in enumerate(country)],
    }


def dataset(
    warehouse: Path, version: int = 1, drawn: int = 0, weighed: bool = False, **split: Any
) -> dict[str, Any]:
    """Written; what a model's manifest says of it.

    Args:
        weighed: the amount is the weight of a row: 1 where x is above 0, else 0.
    """
    data, columns = rows(drawn), COLUMNS
    if weighed:
        data["amount"] = [float(x > 0) for x in data["x"]]
        columns = [one | {"role": "weight"} if one["name"] == "amount" else one for one in columns]
    folder = write_dataset(warehouse, data, columns, (0.3, 0.1), version)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | {"split": {**SPLIT, **split}}
    path.write_text(json.dumps(manifest))
    return {"name": "small", "version": version, "digest": manifest["digest"]}


def model(
    folder: Path,
    made_of: dict[str, Any] | None,
    output: str = "probability",
    task: str = "binary",
    golden: list[Any] | None = None,
    plan: str = "",
    **weights: float,
) -> Path:
    """A sum of x and z, of noise that is each row's own, and of what else is asked for.

    Args:
        made_of: see `dataset`; None: the manifest names none.
        plan: `nan`, `at` (wrong for Austria), `slow`.
    """
    w = {name: weights.get(name, 0.0) for name in ("x", "z", "noise", "bias")}

    def serve(id, x, z, country):  # type: ignore[no-untyped-def]
        own = tf.cast(tf.math.floormod(id * 7919, 1009), tf.float64) / 1009.0 - 0.5
        total = w["x"] * x + w["z"] * z + w["noise"] * own + w["bias"]
        if plan == "at":
            total = tf.where(country == b"AT", -total, total)
        if plan == "nan":
            total = tf.where(x > 2.0, tf.cast(float("nan"), tf.float64), total)
        if plan == "slow":
            big = tf.ones([700, 700]) + tf.cast(x[0], tf.float32)
            total += 1e-30 * tf.cast(tf.reduce_mean(big @ big @ big), tf.float64)
        if task == "multiclass":
            parts = tf.stack([-total, total, 0.0 * total - 2.0], 1)
            return {output: tf.cast(tf.nn.softmax(parts), tf.float32)}
        made = total if task == "regression" else tf.sigmoid(total)
        return {output: tf.cast(made, tf.float32)[:, tf.newaxis]}

    signature = [
        Spec([None], tf.int64, name="id"),
        Spec([None], tf.float64, name="x"),
        Spec([None], tf.float64, name="z"),
        Spec([None], tf.string, name="country"),
    ]
    save(folder, signature, serve)
    fields: dict[str, Any] = {
        "name": "small",
        "version": folder.name,
        "inputs": {"country": {"dtype": "string", "shape": [], "null": ""}},
        "classes": {"binary": [0, 1], "multiclass": [0, 1, 2]}.get(task),
        "recipe": {"model": {"task": task, "output": ""}},
        "golden": golden,
    }
    write_manifest(str(folder), fields | ({"dataset": made_of} if made_of else {}))
    return folder
