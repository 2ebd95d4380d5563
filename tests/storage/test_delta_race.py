"""Delta on S3, two writers at one version: neither commit is lost, whoever is late."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from tests.storage.proxy import Hold, Loses, proxy
from tests.stores import S3

ROWS = pa.table({"x": list(range(6))})
FIRST = r"PUT /{}/t%20x/_delta_log/0+1\.json"


@pytest.mark.parametrize("late", ["spark", "deltalake"])
def test_a_commit_that_comes_late_becomes_the_next_version(
    spark: SparkSession, s3_server: S3, late: str
) -> None:
    bucket = f"race-{late}"
    s3_server.files().create_dir(bucket)
    hold = Hold(FIRST.format(bucket))
    with proxy(s3_server.endpoint, hold) as slow, ThreadPoolExecutor(1) as other:
        s3_server.show(spark, bucket, slow.endpoint if late == "spark" else "")
        options = s3_server.environment
        if late == "deltalake":
            options["AWS_ENDPOINT_URL"] = slow.endpoint

        def by_spark() -> None:
            frame = spark.createDataFrame([(n,) for n in range(6)], "x long").coalesce(1)
            frame.write.format("delta").mode("append").save(f"s3a://{bucket}/t x")

        def by_deltalake() -> None:
            write_deltalake(f"s3://{bucket}/t x", ROWS, mode="append", storage_options=options)

        writers: dict[str, Callable[[], None]] = {"spark": by_spark, "deltalake": by_deltalake}
        writers.pop(late, None)
        (in_time,) = writers.values()
        in_time()  # version 0
        held = other.submit(by_spark if late == "spark" else by_deltalake)
        assert hold.held.wait(60), slow.seen
        in_time()  # version 1, as the late one would have it
        hold.let_go()
        held.result(60)
    table = DeltaTable(f"s3://{bucket}/t x", storage_options=s3_server.environment)
    assert table.version() == 2
    assert table.to_pyarrow_dataset().count_rows() == 18


def test_a_commit_whose_answer_is_lost_is_there_once(spark: SparkSession, s3_server: S3) -> None:
    """The client asks again, and its own file refuses it."""
    s3_server.files().create_dir("race-lost")
    with proxy(s3_server.endpoint, Loses(r"PUT /race-lost/.*/0+1\.json")) as between:
        s3_server.show(spark, "race-lost", between.endpoint)
        for _ in range(2):
            frame = spark.createDataFrame([(n,) for n in range(6)], "x long").coalesce(1)
            frame.write.format("delta").mode("append").save("s3a://race-lost/t")
        commits = [one for one in between.seen if one.startswith("PUT") and "1.json" in one]
    assert len(commits) == 2, between.seen
    table = DeltaTable("s3://race-lost/t", storage_options=s3_server.environment)
    assert (table.version(), table.to_pyarrow_dataset().count_rows()) == (1, 12)
