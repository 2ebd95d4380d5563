"""The driver of `test_old_models.py`: all models by all plans on a cluster, in one application.

python -m tests.old.on_cluster MASTER CLASSPATH FOLDER
"""

from __future__ import annotations

import os
import sys
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import tfspark
from tests.old.cases import CASES, Case, rows, sql
from tests.old.make import HERE
from tests.sizes import size

PLANS = ("scan", "arrow", "pandas", "jvm", "sql")


def plans_of(name: str) -> list[str]:
    """One in turn, so that each plan has models of two kinds; all of them in the soak."""
    first = list(CASES).index(name)
    return [PLANS[(first + more) % len(PLANS)] for more in range(size(1, soak=len(PLANS)))]


def plan(df: DataFrame, case: Case, how: str) -> DataFrame:
    """The rows' ids and outputs."""
    model = str(HERE / case.model)
    if how == "sql":
        return sql(df, case)
    return tfspark.score(df, model, case.inputs, ["id"], how, signature=case.signature)


if __name__ == "__main__":
    master, classpath, folder = sys.argv[1:]
    natives = f"-Dorg.bytedeco.javacpp.cachedir={os.environ['JAVACPP_CACHE']}"
    executor = {"PYTHONPATH": ":".join(sys.path), "TFSPARK_MODEL_CACHE": f"{folder}/cache"}
    spark = tfspark.spark_session(
        "old models",
        **{
            "spark.master": master,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.extraClassPath": classpath,
            "spark.executor.extraClassPath": classpath,
            "spark.executor.extraJavaOptions": natives,
            "spark.executor.memory": "900m",
            "spark.executor.cores": "1",
            "spark.sql.adaptive.enabled": "false",
            **{f"spark.executorEnv.{name}": value for name, value in executor.items()},
        },
    )
    try:
        rows(spark).repartition(2).write.parquet(f"{folder}/in")
        df = spark.read.parquet(f"{folder}/in")
        for name, case in CASES.items():
            every = [plan(df, case, how).withColumn("plan", F.lit(how)) for how in plans_of(name)]
            reduce(DataFrame.unionByName, every).write.parquet(f"{folder}/{name}")
        executors = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        print(len(executors) - 1)
    finally:
        spark.stop()
