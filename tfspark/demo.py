"""`tfspark demo`: the passengers, from the raw table to a night of scores, in one process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfspark import run
from tfspark.answers import show
from tfspark.config import load_settings
from tfspark.console import Steps, print_summary
from tfspark.errors import ConfigError
from tfspark.flags import Parser
from tfspark.night.after import page_of
from tfspark.night.command import nightly
from tfspark.night.record import Records
from tfspark.query import SparkSQL
from tfspark.question import Question

CONFIG = "conf/passengers.yaml"
DATE = "2026-11-20"
_NEXT = f"""
Try next:
  . scripts/env.sh
  tfspark query --config {CONFIG} --engine duckdb --order-by -probability
  tfspark nightly --config {CONFIG} --date {DATE}    # again: nothing to do
  tfspark prepare --config {CONFIG} --date {DATE} --input /wrong/file ; echo $?
  tensorboard --logdir warehouse/tensorboard
  mlflow ui --backend-store-uri sqlite:///warehouse/mlflow.db
  spark-submit --properties-file conf/spark-defaults.conf jobs/score.py --help
"""


def main(argv: Sequence[str]) -> int:
    """Run the passengers example; the project's folder is where it runs."""
    Parser(prog="tfspark demo", description=main.__doc__).parse(argv)
    if not Path(CONFIG).exists():
        raise ConfigError(
            f"{CONFIG} is not here: the example is in the project's folder; get the project, and "
            "run `tfspark demo` in its folder"
        )
    steps = Steps("demo")
    # Two ranks need two of Spark's slots, also where there is one core.
    master = f"local[{max(2, os.cpu_count() or 1)}]"
    # The night finds the day's dataset made.
    asked = {"date": DATE, "nightly.prepare": False, "spark.spark.master": master}
    settings = load_settings(CONFIG, asked)
    for job in (run.prepare, run.train):
        print_summary(job.__name__, job(settings, steps))
    if code := nightly(settings, steps, {}):
        return code
    from tfspark.session import spark_session

    print(f"\nThe first rows of {settings.scored}:")
    columns = ["PassengerId", "probability", "model_name", "model_version", "day"]
    question = Question(columns=columns, order_by=["PassengerId"], limit=10)
    show(SparkSQL(spark_session("tfspark demo")).answer(settings.scored, question))
    print_summary("demo: done", {"scored_table": settings.scored, "seconds": steps.seconds()})
    print(_NEXT)
    print(f"The night's page: {page_of(Records(settings), {'date': DATE})}")
    return 0
