"""Scoring: a model applied to the rows of a table."""

from tfspark.scoring.frame import PLANS, score
from tfspark.scoring.table import Summary, score_table
from tfspark.scoring.udf import ScoreFunction, score_udf

__all__ = ["PLANS", "ScoreFunction", "Summary", "score", "score_table", "score_udf"]
