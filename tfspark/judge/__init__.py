"""A challenger beside the champion, on the same rows, which neither was trained on."""

from tfspark.judge.job import judge
from tfspark.judge.verdict import Check, Verdict

__all__ = ["Check", "Verdict", "judge"]
