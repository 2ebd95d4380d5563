"""What is scored of the models of this folder, by which signature, and with which columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tfspark
from tests.old.make import HERE

AGES = [3.0, 0.5, -1.0, 40.0, 0.0]
WORDS = ["red", "green", "blue", "pink", ""]


def example(age: float, word: str) -> bytes:
    """A serialized Example."""
    feature = {
        "age": tf.train.Feature(float_list=tf.train.FloatList(value=[age])),
        "word": tf.train.Feature(bytes_list=tf.train.BytesList(value=[word.encode()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


COLUMNS: dict[str, list[Any]] = {
    "id": list(range(len(AGES))),
    "x1": AGES,
    "x2": AGES[::-1],
    "word": WORDS,
    "ids": [0, 3, 15, 2, 1],
    "example": [example(*row) for row in zip(AGES, WORDS, strict=True)],
}
SCHEMA = "id long, x1 float, x2 float, word string, ids long, example binary"


def rows(spark: SparkSession) -> DataFrame:
    """One table for all of them."""
    lines = list(zip(*COLUMNS.values(), strict=True))
    return spark.createDataFrame(lines, SCHEMA)


@dataclass(frozen=True)
class Case:
    """A signature of a model.

    Attributes:
        model: the folder.
        inputs: input → columns.
        begin: what a session must run first, as the model names no op that initialises it.
    """

    model: str
    inputs: dict[str, Any]
    signature: str = "serving_default"
    begin: list[str] = field(default_factory=list)

    def fed(self) -> dict[str, Any]:
        """The inputs for TensorFlow."""
        fed = {}
        for name, columns in self.inputs.items():
            if isinstance(columns, list):
                fed[name] = np.array([COLUMNS[c] for c in columns], self._dtype(columns[0])).T
            else:
                fed[name] = np.array(COLUMNS[columns], self._dtype(columns))
                if self.signature == "predict":
                    fed[name] = fed[name][:, None]
        return fed

    def arguments(self) -> list[str]:
        """The inputs in SQL, in the order of their names."""
        order = sorted(self.inputs.items())
        return [f"array({', '.join(c)})" if isinstance(c, list) else c for _, c in order]

    @staticmethod
    def _dtype(column: str) -> Any:
        return {"x1": "float32", "x2": "float32", "ids": "int64"}.get(column, object)


def sql(df: DataFrame, case: Case) -> DataFrame:
    """Scored in SQL: ids, and a column an output."""
    spark = df.sparkSession
    made = tfspark.score_udf(spark, str(HERE / case.model), signature=case.signature)
    made.register("old_score")
    df.createOrReplaceTempView("old")
    call = f"old_score({', '.join(case.arguments())})"
    if len(made.outputs) == 1:
        return spark.sql(f"SELECT id, {call} AS {made.outputs[0]} FROM old")
    scored = ", ".join(f"scored.{output}" for output in made.outputs)
    return spark.sql(f"SELECT id, {scored} FROM (SELECT id, {call} AS scored FROM old)")


X, WORD = {"x": ["x1", "x2"]}, {"word": "word"}
CASES = {
    "reference": Case("reference", X),
    "resource": Case("resource", X),
    "table": Case("table", WORD),
    "first ops": Case("first_ops", WORD),
    "unnamed": Case("unnamed", WORD, begin=["init_all_tables", "most/Assign"]),
    "examples": Case("estimator", {"examples": "example"}),
    "regress": Case("estimator", {"inputs": "example"}, "regress"),
    "predict": Case("estimator", {"age": ["x1"], "word": ["word"]}, "predict"),
    "producer 21": Case("producer_21", X),
    "slots": Case("slots", {"ids": "ids"}),
    "two graphs": Case("two_graphs", X),
}
