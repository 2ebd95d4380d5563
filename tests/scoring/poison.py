"""Kinds of poison, and `score_table` over many rows of which one is poisoned.

python tests/scoring/poison.py FOLDER     # in processes that Spark runs again: abort and hang
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from pyspark.sql import SparkSession

import tfspark
from tests.saved_models import Spec, save
from tests.sizes import size
from tfspark.registry.manifest import write_manifest
from tfspark.tensors import TensorSpec

# A row is looked for by halves, which end a process each: seconds.
ROWS = size(2_000, soak=100_000)
POISONED = ROWS * 61_803 // 100_000
DAY = "2026-11-20"
JPEG = tf.io.encode_jpeg(tf.zeros([1, 1, 3], tf.uint8)).numpy()
DEADLINE = "5"
RUNS = [
    *size([], soak=[("abort", "scan", "auto"), ("abort", "arrow", "auto")]),
    ("hang", "scan", "auto"),
    ("abort", "arrow", "always"),
]


@dataclass(frozen=True)
class Kind:
    """A model of x, what is in x, and what is in the poisoned row.

    Attributes:
        why: part of the reason in the quarantine.
        rules: of x, in the model's manifest.
    """

    serve: Callable[[Any], Any]
    signature: Any
    type: pa.DataType
    value: Any
    poison: Any
    why: str
    rules: TensorSpec | None = None


def _abort(x: Any) -> Any:
    def end() -> Any:
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="poison")]):
            return tf.identity(x)

    return tf.cond(tf.reduce_any(x == 13), end, lambda: x)


def _hang(x: Any) -> Any:
    return tf.while_loop(lambda i: tf.reduce_any(x == 13), lambda i: i + 1, [tf.zeros([], "int64")])


def _widths(x: Any) -> Any:
    return tf.map_fn(lambda image: tf.shape(tf.io.decode_jpeg(image))[1], x, tf.int32)


_INT, _FLOAT, _TEXT = (Spec([None], kind, name="x") for kind in ("int32", "float32", "string"))
_PIXELS = Spec([None, 2, 3], tf.uint8, name="x")
KINDS = {
    "null": Kind(lambda x: x, _INT, pa.int32(), 1, None, "x: null, and nothing stands for null"),
    "nan": Kind(
        *(lambda x: x, _FLOAT, pa.float32(), 1.0, float("nan"), "x: NaN"),
        TensorSpec("float32", (), float("nan"), refuse_nan=True),
    ),
    "length": Kind(
        *(lambda x: tf.reduce_sum(tf.cast(x, tf.int32), [1, 2]), _PIXELS, pa.binary()),
        *(b"pixels", b"pixel", "x: holds 5 bytes, 6 needed"),
    ),
    "jpeg": Kind(_widths, _TEXT, pa.binary(), JPEG, JPEG[:40] + b"broken", "the model failed: "),
    "string": Kind(
        *(tf.strings.to_number, _TEXT, pa.string(), "1.5", "one", "the model failed: "),
    ),
    "hang": Kind(
        *(lambda x: x + tf.cast(_hang(x)[0], tf.int32), _INT, pa.int32(), 1, 13),
        "the model gave no answer within",
    ),
    "abort": Kind(_abort, _INT, pa.int32(), 1, 13, "the model ended the process: SIGABRT"),
}


def score_poisoned(spark: SparkSession, folder: Path, name: str, plan: str) -> dict[str, Any]:
    """Score the table of one kind by one plan; what became of its rows."""
    kind = KINDS[name]
    model, source = folder / f"{name}-model", folder / f"{name}-rows"
    if not model.exists():
        save(model, [kind.signature], lambda x: {"y": kind.serve(x)})
        if kind.rules:
            write_manifest(str(model), {"inputs": {"x": kind.rules.to_json()}})
        source.mkdir()
        values = [kind.value] * ROWS
        values[POISONED] = kind.poison
        rows = pa.table({"id": pa.array(range(ROWS)), "x": pa.array(values, kind.type)})
        pq.write_table(rows, source / "rows.parquet", row_group_size=ROWS // 4)
    target = str(folder / f"{name}-{plan}")
    summary = tfspark.score_table(
        spark, str(source), str(model), target, DAY, keep=["id"], plan=plan
    )
    scored = spark.read.format("delta").load(target)
    bad = spark.read.format("delta").load(f"{target}_quarantine").collect()
    return {
        "plan": summary.plan,
        "counted": [summary.scored, summary.quarantined],
        "ids": scored.select("id").distinct().count(),
        "poisoned": scored.where(f"id = {POISONED}").count(),
        "nulls": scored.where("y IS NULL").count(),
        "keys": [json.loads(row["raw"])["id"] for row in bad],
        "reasons": [reason for row in bad for reason in row["reasons"]],
    }


def check(found: dict[str, Any], name: str, plan: str) -> None:
    """All rows but the poisoned one are scored, and that one is told."""
    why = found.pop("reasons")
    assert found == {
        "plan": plan,
        "counted": [ROWS - 1, 1],
        "ids": ROWS - 1,
        "poisoned": 0,
        "nulls": 0,
        "keys": [POISONED],
    }
    assert len(why) == 1
    assert KINDS[name].why in why[0]


def main(folder: Path) -> None:
    spark = tfspark.spark_session("poison", **{"spark.master": "local[2,4]"})
    spark.conf.set("spark.tfspark.deadline", DEADLINE)
    for name, plan, isolate in RUNS:
        spark.conf.set("spark.tfspark.isolate", isolate)
        here = folder / isolate
        here.mkdir(exist_ok=True)
        found = score_poisoned(spark, here, name, plan)
        print(json.dumps([name, plan, isolate, found]), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
