"""Settings of the process that scores, as Spark has them."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tfspark.errors import ConfigError
from tfspark.scoring.worker.settings import retries, scorer_settings


@pytest.mark.parametrize(
    ("master", "failures", "expected"),
    [
        ("local", None, False),
        ("local[4]", "4", False),
        ("local[*]", None, False),
        ("local[4,1]", None, False),
        ("local[*, 3]", None, True),
        ("local-cluster[2,1,1024]", None, True),
        ("spark://host:7077", None, True),
        ("yarn", "1", False),
    ],
)
def test_whether_spark_runs_a_task_again(master: str, failures: str | None, expected: bool) -> None:
    assert retries(master, failures) is expected


def test_settings_of_a_session(spark: SparkSession) -> None:
    found = scorer_settings(spark)
    assert found == {
        "threads": 1,
        "batch_bytes": 32 << 20,
        "batch_rows": None,
        "deadline": 600.0,
        "isolate": "always",  # local[2]: no task is run again
        "wall": "auto",
        "memory": 0,
        "heap": 2 << 30,
    }
    given = {"deadline": "1.5", "isolate": "never", "batchRows": "100", "threads": "2"}
    given |= {"wall": "always", "memoryBytes": "1000000000"}
    wrong = {"deadline": "soon", "isolate": "yes", "batchRows": "-1", "threads": "0"}
    wrong |= {"wall": "on", "memoryBytes": "much"}
    for name, value in given.items():
        spark.conf.set(f"spark.tfspark.{name}", value)
    try:
        found = scorer_settings(spark)
        assert (found["deadline"], found["isolate"]) == (1.5, "never")
        assert (found["batch_rows"], found["threads"]) == (100, 2)
        assert (found["wall"], found["memory"]) == ("always", 1_000_000_000)
        for name, value in wrong.items():
            spark.conf.set(f"spark.tfspark.{name}", value)
            with pytest.raises(ConfigError, match=f"spark.tfspark.{name}"):
                scorer_settings(spark)
            spark.conf.set(f"spark.tfspark.{name}", given[name])
    finally:
        for name in given:
            spark.conf.unset(f"spark.tfspark.{name}")
