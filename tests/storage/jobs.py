"""The jobs of a warehouse that is on a store, as a process of its own: `... jobs WAREHOUSE`."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.conftest import PASSENGERS
from tests.passengers import DAY, flags
from tfspark import storage
from tfspark.cli import main
from tfspark.dataset import open_dataset
from tfspark.scoring import score_table
from tfspark.session import spark_session


def jobs(warehouse: str) -> None:
    for job in ("prepare", "train", "score"):
        assert main(job, flags(warehouse, training__epochs=1)) == 0, job
    open_dataset(f"{warehouse}/datasets/passengers/1").verify()
    spark = spark_session("jobs")
    scored = spark.read.format("delta").load(f"{warehouse}/scored/passengers").count()
    assert scored == 712, scored
    assert storage.files(f"{warehouse}/datasets/passengers/_staging") == []
    assert main("query", ["--table", f"{warehouse}/scored/passengers", "--engine", "duckdb"]) == 0


def no_secret_is_seen() -> None:
    """On the command line of any process."""
    if secret := os.environ.get("AWS_SECRET_ACCESS_KEY", "").encode():
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                assert secret not in file.read_bytes(), file


def plans(warehouse: str) -> None:
    """Each way to score, twice: into a table that is new, and that is there."""
    spark = spark_session("jobs")
    model = f"{warehouse}/models/passengers/1"
    between = "-" if warehouse.startswith("hdfs") else " "  # see `storage.for_delta`
    table = spark.read.csv(str(PASSENGERS), header=True, inferSchema=True)
    table.write.format("delta").save(f"{warehouse}/raw")
    for plan in ("scan", "arrow", "pandas"):
        for version in range(2):
            target = f"{warehouse}/by{between}{plan}"
            found = score_table(spark, f"{warehouse}/raw", model, target, DAY, plan=plan)
            assert (found.plan, found.scored, found.table_version) == (plan, 712, version), found


def no_commit_is_lost(warehouse: str) -> None:
    """Spark's commit is under way when another writer's of the same version comes first."""
    spark = spark_session("jobs")
    jvm = spark._jvm  # type: ignore[attr-defined]
    path = f"{warehouse}/log/_delta_log/00000000000000000001.json"
    pipe = jvm.java.io.PipedInputStream()
    feed = jvm.java.io.PipedOutputStream(pipe)
    conf = spark._jsc.hadoopConfiguration()  # type: ignore[attr-defined]
    store = jvm.tfspark.delta.ConditionalLogStore(conf)
    told: list[str] = []

    def commit() -> None:
        try:
            store.write(
                jvm.org.apache.hadoop.fs.Path(path), jvm.java.util.Scanner(pipe), False, conf
            )
        except Exception as error:
            told.append(str(error))

    slow = threading.Thread(target=commit)
    slow.start()
    time.sleep(2)  # it has looked, and waits for what it is to write
    storage.write_new(path, b"the other's")
    feed.write(b"mine\n")
    feed.close()
    slow.join(60)
    assert told, "it overwrote the other's commit"
    assert "FileAlreadyExistsException" in told[0], told
    assert storage.read_bytes(path) == b"the other's"


if __name__ == "__main__":
    jobs(sys.argv[1])
    no_secret_is_seen()
    if "plans" in sys.argv:
        plans(sys.argv[1])
    if sys.argv[1].startswith("s3"):
        no_commit_is_lost(sys.argv[1])
