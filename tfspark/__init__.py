"""Batch training and scoring with TensorFlow on Spark.

    spark = tfspark.spark_session("my app")
    scored = tfspark.score(spark.read.parquet("passengers"), "models/passengers/1")

`import tfspark` takes milliseconds: TensorFlow and Spark are imported where they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "spark_session": "tfspark.session",
    "Segments": "tfspark.scoring",
    "explain": "tfspark.scoring",
    "score": "tfspark.scoring",
    "score_stream": "tfspark.scoring",
    "score_table": "tfspark.scoring",
    "score_udf": "tfspark.scoring",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tfspark' has no attribute {name!r}")
