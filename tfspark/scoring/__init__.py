"""Scoring: a model applied to the rows of a table.

A process that scores imports modules of this package, and needs neither Spark nor pandas for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfspark.scoring.explanation import explain
    from tfspark.scoring.frame import score
    from tfspark.scoring.function import ScoreFunction, score_udf
    from tfspark.scoring.kinds.segments import Segments
    from tfspark.scoring.plans.registry import PLANS
    from tfspark.scoring.stream.job import ScoreStream, StreamSummary, score_stream
    from tfspark.scoring.table.job import Summary, score_table

__all__ = [
    "PLANS",
    "ScoreFunction",
    "ScoreStream",
    "Segments",
    "StreamSummary",
    "Summary",
    "explain",
    "score",
    "score_stream",
    "score_table",
    "score_udf",
]

_HOMES = {
    "explanation": ("explain",),
    "frame": ("score",),
    "function": ("ScoreFunction", "score_udf"),
    "kinds.segments": ("Segments",),
    "plans.registry": ("PLANS",),
    "stream.job": ("ScoreStream", "StreamSummary", "score_stream"),
    "table.job": ("Summary", "score_table"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tfspark.scoring.{module}"), name)
    raise AttributeError(f"module 'tfspark.scoring' has no attribute {name!r}")
