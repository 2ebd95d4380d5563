"""Scoring: a model applied to the rows of a table.

A process that scores imports modules of this package, and needs neither Spark nor pandas for it.
"""

from typing import TYPE_CHECKING

from tfspark import lazy

if TYPE_CHECKING:
    from tfspark.scoring.explanation import explain
    from tfspark.scoring.frame import score
    from tfspark.scoring.function import ScoreFunction, score_udf
    from tfspark.scoring.kinds.segments import Segments
    from tfspark.scoring.plans.registry import PLANS
    from tfspark.scoring.stream.asked import StreamSummary
    from tfspark.scoring.stream.job import ScoreStream, score_stream
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

__getattr__ = lazy.names(
    __name__,
    {
        "explanation": ("explain",),
        "frame": ("score",),
        "function": ("ScoreFunction", "score_udf"),
        "kinds.segments": ("Segments",),
        "plans.registry": ("PLANS",),
        "stream.asked": ("StreamSummary",),
        "stream.job": ("ScoreStream", "score_stream"),
        "table.job": ("Summary", "score_table"),
    },
)
