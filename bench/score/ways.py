"""The ways that run in Spark: ours, and what others would run."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.score.feed import ABOUT, DAY, SCORED_AT, from_numpy, from_pandas, opened
from bench.score.kinds import Kind


@dataclass(frozen=True)
class Job:
    """A table to score.

    Attributes:
        rows: the folder of the table; the second table, if any, is beside it as `joined.parquet`.
        model: the folder of the SavedModel; the Keras model and MLflow's are beside it.
    """

    spark: Any
    kind: Kind
    rows: Path
    model: Path
    target: Path

    def frame(self) -> Any:
        """The table as Spark has it."""
        df = self.spark.read.parquet(str(self.rows))
        if self.kind.joined:
            joined = self.spark.read.parquet(str(self.model.with_name("joined.parquet")))
            df = df.join(joined, "key").drop("key")
        return df

    def filled(self) -> Any:
        """The same without nulls where the model has no rule for them."""
        from pyspark.sql import functions as F

        nulls = {one.columns[0]: one.null for one in self.kind.inputs if one.null is not None}
        return self.frame().withColumns(
            {name: F.coalesce(name, F.lit(null)) for name, null in nulls.items()}
        )

    def result_type(self) -> Any:
        from pyspark.sql import types as T

        return T.ArrayType(T.FloatType()) if self.kind.values else T.FloatType()

    def write(self, df: Any) -> None:
        """`id` and `score` of a data frame into the day, by one commit, with our own columns."""
        from pyspark.sql import functions as F

        from tfspark.tables import write_day

        about = {**ABOUT, "scored_at": SCORED_AT}
        columns = [F.lit(value).alias(name) for name, value in about.items()]
        rows = df.select("id", "score", *columns)
        write_day(rows, str(self.target), DAY, run_id=str(time.time_ns()))


def ours(plan: str) -> Callable[[Job], None]:
    def run(job: Job) -> None:
        import tfspark

        source = job.frame() if job.kind.joined else str(job.rows)
        model, target = str(job.model), str(job.target)
        summary = tfspark.score_table(
            job.spark, source, model, target, DAY, job.kind.feeds, ["id"], plan
        )
        assert not summary.quarantined, summary

    return run


def batch_udf(job: Job, group: str = "array") -> None:
    """Spark's predict_batch_udf, which hands over NumPy arrays.

    Args:
        group: how columns side by side become one argument: `array`, as Spark's guide has it, or
            `struct`, which pandas takes without an object a row.
    """
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import functions as F

    folder, inputs = str(job.model), job.kind.inputs

    def make() -> Callable[..., np.ndarray]:
        score = opened(folder)

        def predict(*arrays: np.ndarray) -> np.ndarray:
            return score(from_numpy(arrays, inputs))

        # Spark counts its parameters: one an input.
        names = [inspect.Parameter(one.name, inspect.Parameter.POSITIONAL_ONLY) for one in inputs]
        predict.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        return predict

    df = job.filled()
    lists = [str(df.schema[one.columns[0]].dataType).startswith("ArrayType") for one in inputs]
    shapes = [
        list(one.shape) if len(one.columns) > 1 or is_list else None
        for one, is_list in zip(inputs, lists, strict=True)
    ]
    function = predict_batch_udf(
        make,
        return_type=job.result_type(),
        batch_size=job.kind.batch,
        input_tensor_shapes=shapes if any(shapes) else None,
    )
    columns = [
        getattr(F, group)(*one.columns) if len(one.columns) > 1 else F.col(one.columns[0])
        for one in inputs
    ]
    job.write(df.select("id", function(*columns).alias("score")))


def save_mlflow(kind: Kind, model: Path) -> None:
    """A model of MLflow around the SavedModel, as MLflow's guide has it: a PythonModel."""
    import mlflow

    inputs = kind.inputs

    class Saved(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            self._score = opened(context.artifacts["model"])

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return self._score(from_pandas(model_input, inputs))

    mlflow.pyfunc.save_model(
        str(model.with_name("mlflow")),
        python_model=Saved(),
        artifacts={"model": str(model)},
        pip_requirements=[],
    )


def mlflow_udf(job: Job) -> None:
    """MLflow's spark_udf, which hands over a pandas data frame."""
    import mlflow
    from pyspark.sql import functions as F

    saved = str(job.model.with_name("mlflow"))
    function = mlflow.pyfunc.spark_udf(
        job.spark, saved, result_type=job.result_type(), env_manager="local"
    )
    df = job.filled()
    job.write(df.select("id", function(F.struct(*job.kind.columns)).alias("score")))


def row_by_row(job: Job) -> None:
    """What Horovod's KerasModel.transform does: an RDD of rows, `predict_on_batch` for each."""
    from pyspark.sql import types as T

    saved = job.model.with_name("model.keras").read_bytes()
    (one,) = job.kind.inputs

    def predict(rows: Any) -> Iterator[tuple[int, float]]:
        import tempfile

        import keras
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            pass  # another way of this process has set them before
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(saved)
            file.flush()
            model = keras.models.load_model(file.name)
        for row in rows:
            values = [row[name] for name in one.columns]
            array = np.array(values, one.dtype).reshape(-1, *one.shape)
            score = model.predict_on_batch(array)["score"]
            yield row["id"], float(score[0][0])

    schema = T.StructType(
        [T.StructField("id", T.LongType()), T.StructField("score", T.FloatType())]
    )
    job.write(job.spark.createDataFrame(job.frame().rdd.mapPartitions(predict), schema=schema))


WAYS: dict[str, Callable[[Job], None]] = {
    "scan": ours("scan"),
    "arrow": ours("arrow"),
    "pandas": ours("pandas"),
    "jvm": ours("jvm"),
    "predict_batch_udf": batch_udf,
    "predict_batch_udf of a struct": partial(batch_udf, group="struct"),
    "mlflow": mlflow_udf,
    "horovod": row_by_row,
}
