"""Batch training and scoring with TensorFlow on Spark.

    spark = tfspark.spark_session("my app")
    scored = tfspark.score(spark.read.parquet("passengers"), "models/passengers/1")

`import tfspark` takes milliseconds: TensorFlow and Spark are imported where they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.scoring import Segments, explain, score, score_stream, score_table, score_udf
    from tfspark.session import spark_session

__version__ = "0.1.0"
__all__ = [
    "Segments",
    "__version__",
    "explain",
    "score",
    "score_stream",
    "score_table",
    "score_udf",
    "spark_session",
]

__getattr__ = lazy.names(
    __name__,
    {
        "scoring": ("Segments", "explain", "score", "score_stream", "score_table", "score_udf"),
        "session": ("spark_session",),
    },
)
